"""The report of studies: one HTML file with their figures, to keep and to mail."""
