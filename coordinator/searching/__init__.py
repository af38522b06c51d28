"""The parts of a search: the sweep, the trials beside it, the pace of its polls."""
