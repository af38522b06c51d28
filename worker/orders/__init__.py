"""Orders from the centre: how a worker reads them, and how a person gives them."""
