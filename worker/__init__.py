"""The worker: runs a coordinator's trials on this device, one at a time in each slot."""
