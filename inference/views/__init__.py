"""Where results are watched: a window, and a page for browsers."""
