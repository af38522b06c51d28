"""Bayesian optimisation: a Gaussian process of the losses, and log expected improvement.

Jones, Schonlau and Welch, Efficient Global Optimization of Expensive Black-Box Functions, 1998,
with the logarithm of Ament et al. (``expected_improvement.py``), and the kriging believer for
running trials (``gaussian_process.py``).

Losses are noisy: so the loss to improve on is the lowest that the model expects at a trial, not
the lowest that was measured, and what improves is the loss without noise.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from hyperhive.coordinator.algorithms.cube import Cube, Side
from hyperhive.coordinator.algorithms.gaussian.expected_improvement import (
    log_improvement,
    log_improvement_slope,
)
from hyperhive.coordinator.algorithms.gaussian.gaussian_process import GaussianProcess
from hyperhive.coordinator.algorithms.gaussian.surrogate import first_new, surrogate
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import Index, Variables

_DRAWN = 400
"""Candidates that are drawn from the prior."""
_CENTRES, _NEAR = 5, 80
"""Candidates near the best trials: of so many, and so many of each."""
_HALVINGS = 6
"""The widest of them are half a length scale from their trial, the nearest 2^-6 of that."""
_CLIMBS = 3
"""From so many of each kind a climb starts."""
_STEPS = 15
"""Of L-BFGS in a climb."""
_CHANGES = 4
"""Changes of one category or one step that follow each other, at most."""


def suggest(variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
    """Return the values of the next trial. At least one trial must have ended."""
    rng = np.random.default_rng(seed)
    cube = Cube(variables)
    points = cube.points(known)
    process = surrogate(cube, points, known.losses)
    expected = process.mean(process.points)
    search = _Search(cube, process, float(np.min(expected)))
    centres = process.points[np.argsort(expected, kind="stable")[:_CENTRES]]
    search.add(cube.draw(rng, _DRAWN), _CLIMBS)
    search.add(np.vstack([search.near(centre, rng) for centre in centres]), _CLIMBS)
    for _ in range(_CHANGES):
        (best,) = search.ordered()[:1]
        search.add(search.changed(best), 0)
        if (search.ordered()[0] == best).all():
            break
    return cube.configuration(first_new(search.ordered(), points))


class _Search:
    """The search for the configuration of the largest log expected improvement on ``best``."""

    def __init__(self, cube: Cube, process: GaussianProcess, best: float) -> None:
        self._cube = cube
        self._process = process
        self._best = best
        self._points = np.empty((0, cube.dimensions))
        self._improvements = np.empty(0)

    def ordered(self) -> np.ndarray:
        """Return all candidates, ``[N, d]``, the best first."""
        ordered: np.ndarray = self._points[np.argsort(-self._improvements, kind="stable")]
        return ordered

    def add(self, points: np.ndarray, climbs: int) -> None:
        """Add the configurations of points, ``[N, d]``, and of climbs from the best of these."""
        points = self._cube.snapped(points)
        improvements = log_improvement(self._best, *self._process.marginal(points))
        self._points = np.vstack([self._points, points])
        self._improvements = np.append(self._improvements, improvements)
        if climbs:
            starts = points[np.argsort(-improvements, kind="stable")[:climbs]]
            self.add(np.array([self._climbed(start) for start in starts]), 0)

    def near(self, centre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw points, ``[_NEAR, d]``, around a trial: in some variables, and to some extent."""
        share = rng.uniform(size=(_NEAR, 1))
        is_changed = rng.uniform(size=(_NEAR, len(self._cube.sides))) < share
        extent = 0.5 * 2.0 ** -rng.uniform(0, _HALVINGS, size=(_NEAR, 1))
        points = np.tile(centre, (_NEAR, 1))
        for side, changes in zip(self._cube.sides, is_changed.T):
            if side.is_category:
                points[changes, side.columns] = side.draw(rng, _NEAR)[changes]
            else:
                length = np.minimum(self._process.kernel.lengths[side.columns], 1.0)
                offset = rng.normal(size=(_NEAR, 1)) * extent * length
                points[changes, side.columns] += offset[changes]
        inside: np.ndarray = np.clip(points, 0.0, 1.0)
        return inside

    def changed(self, point: np.ndarray) -> np.ndarray:
        """Return the points that differ in a category or by a step of a number, ``[N, d]``."""
        changed = [point]
        for side in self._cube.sides:
            for columns in _others(side, point[side.columns]):
                other = point.copy()
                other[side.columns] = columns
                changed.append(other)
        inside: np.ndarray = np.clip(changed, 0.0, 1.0)
        return inside

    def _climbed(self, start: np.ndarray) -> np.ndarray:
        """Return where the gradient leads from a point, along the numbers that are active there."""
        active = self._cube.configuration(start)
        columns = [
            side.columns.start
            for side in self._cube.sides
            if not side.is_category and side.variable.label in active
        ]
        point: np.ndarray = start.copy()

        def loss(place: np.ndarray) -> tuple[float, np.ndarray]:
            point[columns] = place
            improvement, slope = log_improvement_slope(self._best, *self._process.slopes(point))
            return -improvement, -slope[columns]

        if columns:
            point[columns] = minimize(
                loss,
                start[columns],
                jac=True,
                method="L-BFGS-B",
                bounds=[(0.0, 1.0)] * len(columns),
                options={"maxiter": _STEPS},
            ).x
        return point


def _others(side: Side, columns: np.ndarray) -> np.ndarray:
    """Return the columns, ``[N, columns]``, of the values next to one, or of all of a choice."""
    if side.is_category:
        return np.eye(len(columns))
    step = 1.0 if isinstance(side.variable, Index) else side.variable.step
    if step is None:
        return np.empty((0, 1))
    return side.place(side.values(columns[None]) + np.array([-step, step]))
