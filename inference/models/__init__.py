"""Which model classifies: one of a file, or the best one of a study."""
