"""Publishing code for workers: the signing key, what is published, and its catalog."""
