"""Predictions and texts, drawn on pictures."""
