"""Serving pages to browsers."""
