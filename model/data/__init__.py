"""Data sets: where they come from, how an image becomes a network's input, and their copies."""
