"""What a trial can run: the interface, the registry, and the objectives of hyperhive itself."""
