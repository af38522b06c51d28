"""Distorted copies of training images, drawn anew for each batch, as tensor operations."""
