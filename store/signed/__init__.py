"""Code that travels through the store, signed: keys, catalogs, packages, and what was seen."""
