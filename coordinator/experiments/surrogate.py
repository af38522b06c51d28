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
_EDGE = 1e-3
"""A share of 0 or 1 has the logit of one so far from it."""


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


def scaled(losses: np.ndarray, is_share: bool) -> np.ndarray:
    """Return losses on the scale on which they are modelled: of a share of 1 the logit.

    There 2 % is as far from 4 % as 96 % from 98 %, and no model leaves 0 to 1.
    """
    found: np.ndarray = np.log((losses + _EDGE) / (1 - losses + _EDGE)) if is_share else losses
    return found


def unscaled(values: np.ndarray, is_share: bool) -> np.ndarray:
    """Return the losses that ``scaled`` gives these values for; a share is 0 to 1."""
    if not is_share:
        return values
    odds = np.exp(values)
    found: np.ndarray = np.clip((odds * (1 + _EDGE) - _EDGE) / (1 + odds), 0.0, 1.0)
    return found


def fitted(kind: str, points: np.ndarray, targets: np.ndarray) -> Any:
    """Return a model of targets, float64 ``[N]``, at points of the cube, float64 ``[N, d]``."""
    with warnings.catch_warnings():
        # A column that decides nothing has a length scale at its bound, as it should.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KINDS[kind](points.shape[1]).fit(points, targets)


def error(kind: str, points: np.ndarray, losses: np.ndarray, is_share: bool) -> float:
    """Return the root of the mean squared error at points that the model was not fitted to."""
    fold = np.random.default_rng(0).permutation(len(points)) % FOLDS
    targets, found = scaled(losses, is_share), np.empty(len(points))
    for number in range(FOLDS):
        held = fold == number
        found[held] = fitted(kind, points[~held], targets[~held]).predict(points[held])
    return float(np.sqrt(np.mean((unscaled(found, is_share) - losses) ** 2)))
