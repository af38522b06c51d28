"""What is searched and how: studies, suggestions, the search itself, and views of it."""
