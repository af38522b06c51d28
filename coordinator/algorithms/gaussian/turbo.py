"""A trust region around the best trial, that grows with success and shrinks without: TuRBO-1.

Eriksson, Pearce, Gardner, Turner and Poloczek, Scalable Global Optimization via Local Bayesian
Optimization, NeurIPS 2019, arXiv:1910.01739, section 2: one region. Its state is worked out again
from all trials, in the order of their numbers. This differs from the paper's method:

- Noise: a trial's loss counts as what the model expects there, so luck is no success.
- Asynchrony: q is the number of trials that run at once, those pending and the one to suggest. The
  paper's batch is q trials in a row. Only trials inside the region count, whoever suggested them:
  one that was chosen from a larger region, or at random, says nothing about this one.
- A category has no place in the box: where a variable is changed, it is drawn from its prior, the
  more seldom the smaller the region.
- A trial where the last region ended, still running at the restart, does not begin the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import cholesky

from hyperhive.coordinator.algorithms.cube import Cube
from hyperhive.coordinator.algorithms.gaussian.gaussian_process import GaussianProcess
from hyperhive.coordinator.algorithms.gaussian.surrogate import first_new, surrogate
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import Variables

FIRST_LENGTH, LEAST_LENGTH, MOST_LENGTH = 0.8, 0.5**7, 1.6
SUCCESSES = 3
"""The paper's L_init, L_min, L_max and tau_succ."""
LEAST_GAIN = 1e-3
"""An improvement of less, in standard deviations of all losses, is none."""
_MOST_DESIGN, _DRAWN = 10, 20
_PERTURBED = 20
"""Of d variables, so many are changed on average (the paper's supplement)."""
_MOST_CANDIDATES = 500
"""The paper has min(100 d, 5000); a joint draw of 5000 would take seconds."""
_JITTER = 1e-6


@dataclass
class Region:
    """A trust region, as trials change it.

    Args:
        extents: how much longer than the region's length its side is in each column, ``[d]``.
        together: q, the number of trials in a batch.
        variables: their number, d.

    Attributes:
        length: L.
        centre: the point of its best trial, ``[d]``.
        successes, failures: the batches in a row that improved on the best, or did not.
        began: the number of trials taken before it began.
    """

    extents: np.ndarray
    together: int
    variables: int
    length: float = FIRST_LENGTH
    successes: int = 0
    failures: int = 0
    centre: np.ndarray = field(default_factory=lambda: np.empty(0))
    began: int = 0
    _taken: int = 0
    _left: np.ndarray | None = None
    _best: float = np.inf
    _designed: int = 0
    _batch: list[bool] = field(default_factory=list)

    @property
    def is_designed(self) -> bool:
        """Whether it has enough trials to begin with; before, they are drawn from the prior."""
        return self._designed >= min(self.variables + 1, _MOST_DESIGN)

    @property
    def most_failures(self) -> int:
        """The paper's tau_fail, in batches."""
        return int(np.ceil(max(4, self.variables) / self.together))

    def holds(self, point: np.ndarray) -> bool:
        """Return whether a point, ``[d]``, is inside."""
        return self._is_near(self.centre, self.length, point)

    def _is_near(self, centre: np.ndarray, length: float, point: np.ndarray) -> bool:
        return bool(np.all(np.abs(point - centre) <= 0.5 * length * self.extents + 1e-9))

    def take(self, point: np.ndarray, loss: float) -> None:
        """Take the next trial that has ended."""
        self._taken += 1
        if not self.is_designed and self._is_left(point):
            return
        is_better = loss < self._best - LEAST_GAIN
        counts = self.is_designed and self.holds(point)
        self._designed += 1
        if is_better:
            self._best, self.centre = loss, point
        if counts:
            self._batch.append(is_better)
            if len(self._batch) >= self.together:
                self._end_batch(any(self._batch))

    def _is_left(self, point: np.ndarray) -> bool:
        """Return whether a point is where the last region ended."""
        return self._left is not None and self._is_near(self._left, 2 * LEAST_LENGTH, point)

    def _end_batch(self, is_success: bool) -> None:
        self._batch = []
        self.successes = self.successes + 1 if is_success else 0
        self.failures = 0 if is_success else self.failures + 1
        if self.successes == SUCCESSES:
            self.length, self.successes = min(2 * self.length, MOST_LENGTH), 0
        elif self.failures == self.most_failures:
            self.length, self.failures = 0.5 * self.length, 0
            if self.length < LEAST_LENGTH:
                self._restart()

    def _restart(self) -> None:
        self.began, self._left = self._taken, self.centre
        self.length, self._best, self._designed = FIRST_LENGTH, np.inf, 0
        self.successes = self.failures = 0


def suggest(variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
    """Return the values of the next trial. At least one trial must have ended."""
    rng = np.random.default_rng(seed)
    cube = Cube(variables)
    points, losses = cube.points(known), known.losses
    process = surrogate(cube, points, losses)
    has_ended = ~np.isnan(losses)
    together = 1 + int(np.sum(~has_ended))
    region = Region(_extents(cube, process), together, len(variables))
    for point, loss in zip(points[has_ended], process.mean(points[has_ended])):
        region.take(point, float(loss))
    if not region.is_designed:
        return cube.configuration(first_new(cube.draw(rng, _DRAWN), points))
    if region.began:  # a model of this region alone, as a local one should be
        row = int(np.flatnonzero(has_ended)[region.began])
        process = surrogate(cube, points[row:], losses[row:])
    candidates = cube.snapped(_candidates(cube, region, rng))
    order = np.argsort(_sampled(process, candidates, rng), kind="stable")
    return cube.configuration(first_new(candidates[order], points))


def _extents(cube: Cube, process: GaussianProcess) -> np.ndarray:
    """Return each column's length scale over their geometric mean, ``[d]``; no end for options."""
    extents = np.full(cube.dimensions, np.inf)
    numbers = [side.columns.start for side in cube.sides if not side.is_category]
    if numbers:
        lengths = process.kernel.lengths[numbers]
        extents[numbers] = lengths / np.exp(np.mean(np.log(lengths)))
    return extents


def _candidates(cube: Cube, region: Region, rng: np.random.Generator) -> np.ndarray:
    """Draw points of the region, ``[N, d]``, that differ from its centre in some variables."""
    centre, sides = region.centre, len(cube.sides)
    count = min(100 * sides, _MOST_CANDIDATES)
    is_changed = rng.uniform(size=(count, sides)) < _PERTURBED / sides
    is_changed[np.arange(count), rng.integers(sides, size=count)] = True
    points = np.tile(centre, (count, 1))
    for side, changes in zip(cube.sides, is_changed.T):
        columns = side.columns
        if side.is_category:
            changes = changes & (rng.uniform(size=count) < region.length)
            points[changes, columns] = side.draw(rng, count)[changes]
        else:
            half = 0.5 * region.length * region.extents[columns]
            low, high = np.maximum(centre[columns] - half, 0), np.minimum(centre[columns] + half, 1)
            points[changes, columns] = rng.uniform(low, high, size=(count, 1))[changes]
    return points


def _sampled(process: GaussianProcess, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one function of the process; return its losses, ``[N]``: Thompson sampling."""
    mean, covariance = process.joint(points)
    covariance.flat[:: len(points) + 1] += _JITTER * process.kernel.variance
    factor = cholesky(covariance, lower=True, check_finite=False)
    losses: np.ndarray = mean + factor @ rng.normal(size=len(points))
    return losses
