"""Studies from Python: ``hyperhive.search``, ``open_study``, ``Study``; docs/python.md shows them.

Of the coordinator, only this package starts workers, and holds trials as a worker does.
"""
