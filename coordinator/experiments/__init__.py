"""Experiments with algorithms: many searches of one table of results, on a simulated fleet."""
