"""The process behind ``predict-cam --teach``: it learns from a folder that grows."""
