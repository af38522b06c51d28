"""Measures how fast this device trains and classifies, and compares devices."""
