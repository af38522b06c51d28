"""Serving sites to browsers."""
