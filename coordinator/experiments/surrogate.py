"""A model of what configurations give, fitted to those that were measured.

It is no measurement: between the points a table says what the model says. Its kind is the one of
``KINDS`` with the smallest error on configurations that it was not fitted to.
"""

from __future__ import annotations

import warnings
from typing import Any, Callable, Mapping

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

FOLDS = 10
"""Of the cross-validation."""


def _forest(dimensions: int) -> Any:
    return ExtraTreesRegressor(n_estimators=100, min_samples_leaf=2, random_state=0)


def _boosting(dimensions: int) -> Any:
    how: dict[str, Any] = {"n_estimators": 300, "learning_rate": 0.05, "max_depth": 4}
    return GradientBoostingRegressor(subsample=0.5, random_state=0, **how)


def _process(dimensions: int) -> Any:
    scales = np.full(dimensions, 0.5)
    signal = ConstantKernel(1.0) * Matern(scales, (0.02, 20.0), nu=2.5)
    kernel = signal + WhiteKernel(0.1, (1e-5, 1.0))
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


KINDS: Mapping[str, Callable[[int], Any]] = {
    "forest": _forest,
    "boosting": _boosting,
    "process": _process,
}
"""Extremely randomized trees, gradient boosting, a Gaussian process: each for so many columns."""


def fitted(kind: str, points: np.ndarray, targets: np.ndarray) -> Any:
    """Return a model of targets, float64 ``[N]``, at points of the cube, float64 ``[N, d]``."""
    with warnings.catch_warnings():
        # A column that decides nothing has a length scale at its bound, as it should.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KINDS[kind](points.shape[1]).fit(points, targets)


def error(kind: str, points: np.ndarray, targets: np.ndarray) -> float:
    """Return the root of the mean squared error at points that the model was not fitted to."""
    fold = np.random.default_rng(0).permutation(len(points)) % FOLDS
    found = np.empty(len(points))
    for number in range(FOLDS):
        held = fold == number
        found[held] = fitted(kind, points[~held], targets[~held]).predict(points[held])
    return float(np.sqrt(np.mean((found - targets) ** 2)))
