"""Algorithms that model the losses by a Gaussian process: ``gp``, ``turbo`` and ``turbo_tpe``."""
