"""The Gaussian process of what a search knows, with its running trials."""

from __future__ import annotations

import numpy as np

from hyperhive.coordinator.algorithms.cube import Cube
from hyperhive.coordinator.algorithms.gaussian.gaussian_process import GaussianProcess, fitted
from hyperhive.coordinator.algorithms.gaussian.losses import warped
from hyperhive.coordinator.algorithms.known import best_and_latest

_MOST = 500
"""The cost grows with the cube of the number of trials, and half a second is what it may take. The
model knows the best half of so many, which say where to look, and the latest half, which say what
was found there."""
_MOST_FITTED = 200
"""The hyperparameters are learned from so many of these: more change them little."""


def surrogate(cube: Cube, points: np.ndarray, losses: np.ndarray) -> GaussianProcess:
    """Return the process of trials that have ended, and of those pending as it believes them.

    Args:
        cube: the space.
        points: of all trials, float64 ``[trials, d]``.
        losses: float64 ``[trials]``, NaN for a pending trial; one at least has ended.
    """
    ended, pending = np.flatnonzero(~np.isnan(losses)), np.flatnonzero(np.isnan(losses))
    values = warped(losses[ended])
    if len(values) > _MOST:
        kept = best_and_latest(values, _MOST // 2)
        ended, values = ended[kept], values[kept]
    learned = np.unique(np.linspace(0, len(ended) - 1, _MOST_FITTED).astype(int))
    groups = np.concatenate(
        [[i] * (side.columns.stop - side.columns.start) for i, side in enumerate(cube.sides)]
    )
    kernel = fitted(points[ended[learned]], values[learned], groups)
    process = GaussianProcess(kernel, points[ended], values)
    return process.believing(points[pending]) if len(pending) else process


def first_new(ordered: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the first candidate that no trial has; if each has a trial, the first.

    To repeat a trial tells less than one beside it, unless there is nothing else to try.
    """
    seen = {point.tobytes() for point in _rounded(points)}
    is_new = [candidate.tobytes() not in seen for candidate in _rounded(ordered)]
    first: np.ndarray = ordered[is_new.index(True) if any(is_new) else 0]
    return first


def _rounded(points: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.round(points, 9) + 0.0  # -0.0 has other bytes
    return rounded
