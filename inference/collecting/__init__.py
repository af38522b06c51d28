"""Pictures that are collected for training: by class, or as doubtful ones that wait for a label."""
