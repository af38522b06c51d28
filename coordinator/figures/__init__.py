"""What a study shows, as plain JSON: the same for the report, the live page and the terminal."""
