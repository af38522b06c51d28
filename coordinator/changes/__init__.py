"""What a person changes in a study that is in the store: the same for commands and for the page."""
