"""Trials that end early, because others were better at the same point."""
