"""What a study shows, as plain JSON: terminal, live page and report draw the same figures."""
