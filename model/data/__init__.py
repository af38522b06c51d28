"""Data sets: where they come from, how an image becomes 28x28 pixels, and where copies are kept."""
