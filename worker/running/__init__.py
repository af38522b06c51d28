"""Running trials that a worker holds: alone, or several short ones as a batch."""
