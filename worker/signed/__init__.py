"""Objectives that come from the store, signed by a key that this worker was given."""
