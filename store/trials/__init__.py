"""Trials in the store: what they are, how they are read, and every transition of one."""
