"""Search spaces: as plain JSON, and as hyperopt represents them."""
