"""Views of studies: their state, the words for it, and where it is shown."""
