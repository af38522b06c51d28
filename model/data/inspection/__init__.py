"""What a data set's owner should know before anything is trained on it."""
