"""Radial basis functions: a cubic interpolant of the losses, and random points around the best.

Regis and Shoemaker, A Stochastic Radial Basis Function Method for the Global Optimization of
Expensive Functions, INFORMS Journal on Computing 2007 (LMSRBF), and Combining Radial Basis Function
Surrogates and Dynamic Coordinate Search in High-Dimensional Expensive Black-Box Optimization,
Engineering Optimization 2013 (DYCORS). Eriksson, Bindel and Shoemaker's pySOT made them known.

Candidates are the best point with some of its variables changed: all at first, and fewer the more
trials have ended. The one is taken that is best by a weighted sum of what the surrogate predicts
and of its distance from all trials, whose weights take turns. A pending trial counts for the
distance. It would have the surrogate's own value, which changes no interpolant.

How far variables are changed is worked out from the trials in the order of their numbers: half as
far after failures, twice as far after successes. There is no restart: when it has become too small,
it begins again as large as at first, and all trials stay known.

As losses are noisy, the surrogate is smoothed a little and does not go through all of them
(a smoothing spline: Wahba, Spline Models for Observational Data, 1990).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from hyperhive.coordinator.algorithms.cube import Cube, parts
from hyperhive.coordinator.algorithms.known import Known, best_and_latest
from hyperhive.coordinator.algorithms.variables import Variables

_WEIGHTS = (0.3, 0.5, 0.8, 0.95)
"""Of the prediction, in turns; the rest is the distance's."""
_FEWEST_CANDIDATES, _MOST_CANDIDATES = 500, 5000
_FIRST_SCALE = 0.2
"""Standard deviation of a change, as a share of a variable's range."""
_HALVINGS = 6
_SUCCESSES = 3
_FEWEST_FAILURES = 5
_HORIZON = 200
"""So many trials after the first design, a candidate differs from the best in one variable. DYCORS
has the budget here, which an algorithm does not know."""
_MOST = 250
"""The surrogate knows so many of the best trials, as the minimum is near them, and of the latest,
as the candidates are; the distance also so many pending ones. The cost grows with the cube."""
_SMOOTHING = 0.01
"""In units of the mean curvature. On Hartmann-6 with and without noise, and on a function such as
trainings have, with 1 and 16 workers, 0.01 and 0.001 were within the error of 1e-6 and of
generalized cross-validation, or better (60 trials, 10 seeds)."""
_SAME = 1e-6
"""Points that are nearer to each other are the same."""


def suggest(variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
    """Return the values of the next trial. At least one trial must have ended."""
    rng = np.random.default_rng(seed)
    cube = Cube(variables)
    points, losses = cube.points(known), known.losses
    pending = np.flatnonzero(np.isnan(losses))
    rows = best_and_latest(losses, _MOST)
    surrogate = Surrogate(points[rows], _capped(losses[rows]), _SMOOTHING)
    best = points[rows[np.argmin(surrogate(points[rows]))]]
    design = 2 * (len(variables) + 1)  # what the papers begin with: neither success nor failure
    patience = max(_FEWEST_FAILURES, len(variables), len(pending))
    scale = _scale(losses[~np.isnan(losses)], design, patience)
    candidates = _candidates(cube, best, scale, known.finished - design, rng)
    taken = points[np.concatenate([rows, pending[-_MOST:]])]
    weight = _WEIGHTS[tid % len(_WEIGHTS)]
    return cube.configuration(_chosen(candidates, surrogate, taken, weight))


def _capped(losses: np.ndarray) -> np.ndarray:
    """Return losses from 0 to 1, those above the upper quartile as the upper quartile.

    A surrogate of few very high losses oscillates. The papers cap at the median: but then half of
    all trials are alike, and the surrogate does not know which way is down.
    """
    capped = 0.5 * np.minimum(losses, np.quantile(losses, 0.75))  # halves: so nothing overflows
    capped -= capped.min()
    found: np.ndarray = capped / max(capped.max(), np.finfo(float).tiny)
    return found


class Surrogate:
    """A cubic radial basis function with a linear tail.

        s(x) = sum over i of weights_i * |x - points_i|^3 + tail . (1, x)

    where no linear function of the points has a part in the weights. It exists for all points:
    where they leave the tail open, as few points do, or the columns of a choice, whose sum is 1,
    the shortest tail is taken.

    Args:
        points: float64 ``[n, d]``.
        values: float64 ``[n]``.
        smoothing: 0 for an interpolant; in units of the mean curvature, which is the mean
            eigenvalue of the basis functions where no linear function has a part.

    Attributes:
        ridge: the smoothing as it is added to the diagonal.
    """

    def __init__(self, points: np.ndarray, values: np.ndarray, smoothing: float) -> None:
        self._points = points
        left, singular, right = np.linalg.svd(_with_one(points))
        rank = int(np.sum(singular > 1e-9 * singular[0]))
        linear, bent = left[:, :rank], left[:, rank:]
        cubes = cdist(points, points) ** 3
        curvature = bent.T @ cubes @ bent
        size = len(curvature)
        self.ridge = smoothing * max(np.trace(curvature) / max(size, 1), _SAME)
        system = curvature + self.ridge * np.eye(size)
        self._weights = bent @ np.linalg.solve(system, bent.T @ values)
        rest = linear.T @ (values - cubes @ self._weights)
        self._tail = right[:rank].T @ (rest / singular[:rank])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the values at points, float64 ``[N, d]``: float64 ``[N]``."""
        bent = cdist(points, self._points) ** 3 @ self._weights
        found: np.ndarray = bent + _with_one(points) @ self._tail
        return found


def _with_one(points: np.ndarray) -> np.ndarray:
    return np.hstack([np.ones((len(points), 1)), points])


def _scale(losses: np.ndarray, design: int, patience: int) -> float:
    """Return how far variables are changed, after these losses in the order of trials.

    Args:
        losses: of all finished trials, without NaN.
        design: the number of the first that do not count.
        patience: so many failures in a row halve it; three successes double it.
    """
    scale, successes, failures = _FIRST_SCALE, 0, 0
    best = np.min(losses[:design])
    for loss in losses[design:].tolist():
        successes, failures = (successes + 1, 0) if loss < best else (0, failures + 1)
        best = min(best, loss)
        if successes == _SUCCESSES:
            scale, successes = min(2 * scale, _FIRST_SCALE), 0
        if failures == patience:
            scale, failures = 0.5 * scale, 0
        if scale < _FIRST_SCALE * 0.5**_HALVINGS:
            scale = _FIRST_SCALE
    return scale


def _candidates(
    cube: Cube, best: np.ndarray, scale: float, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Return points around the best, float64 ``[candidates, d]``, when ``count`` have ended.

    Each variable is changed with a probability that falls with the logarithm of the count (DYCORS).
    A number moves by a normally distributed step, reflected at the bounds, and at least as wide as
    its own steps; a choice, and what is inactive at the best point, is drawn from the prior.
    """
    values = cube.configuration(best)
    size = min(max(100 * len(values), _FEWEST_CANDIDATES), _MOST_CANDIDATES)
    points = np.hstack([side.draw(rng, size) for side in cube.sides])
    active = [side for side in cube.sides if side.variable.label in values]
    share = min(20 / len(active), 1) * (1 - np.log(max(count, 0) + 1) / np.log(_HORIZON))
    is_changed = rng.random((size, len(active))) < share
    unchanged = np.flatnonzero(~is_changed.any(axis=1))
    is_changed[unchanged, rng.integers(len(active), size=len(unchanged))] = True
    for side, changed in zip(active, is_changed.T):
        columns = points[:, side.columns]
        if not side.is_category:
            begin, end = parts(side.variable, np.array([values[side.variable.label]]))
            step = max(scale, float(end[0] - begin[0]))
            moved = best[side.columns] + step * rng.standard_normal((size, 1))
            columns[:] = 1 - np.abs(1 - np.abs(moved) % 2)
        columns[~changed] = best[side.columns]
    return cube.snapped(points)


def _chosen(
    candidates: np.ndarray, surrogate: Surrogate, taken: np.ndarray, weight: float
) -> np.ndarray:
    """Return the candidate with the best weighted score (LMSRBF)."""
    nearest = cdist(candidates, taken).min(axis=1)
    is_new = nearest > _SAME
    if is_new.any():
        candidates, nearest = candidates[is_new], nearest[is_new]
    score = weight * _unit(surrogate(candidates)) + (1 - weight) * _unit(-nearest)
    best: np.ndarray = candidates[np.argmin(score)]
    return best


def _unit(values: np.ndarray) -> np.ndarray:
    """Return values from 0 to 1; all 1 if they are equal, as in the papers."""
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread > 0 else np.ones(len(values))
