"""Algorithms of others, behind the interface of ours: hyperopt's form, and Optuna's samplers."""
