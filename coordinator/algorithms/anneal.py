"""Annealing as hyperopt has it: a draw near one of the best trials, ever nearer to it.

The trial is picked by its rank, which is geometrically distributed, see ``_MEAN_RANK``. Each
variable is then drawn from a distribution of the prior's shape around the trial's value. It is
narrower the more values of this variable are known, see ``_SHRINK``.
"""

from __future__ import annotations

import numpy as np

from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import (
    MOST_LEARNED,
    Index,
    Number,
    Variable,
    Variables,
    drawn,
)

_MEAN_RANK = 2.0
"""The mean rank of the trial that is picked; the best one has rank 1."""
_SHRINK = 0.1
"""With n values known, a distribution has 1 / (1 + 0.1 n) of the prior's width."""
_LOG_OF_ZERO = 1e-16
"""Added to a value that may be rounded to 0, where its logarithm is needed."""


def suggest(variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
    """Return the values of a trial near a good one. At least one trial must have ended."""
    rng = np.random.default_rng(seed + tid)  # as hyperopt does
    losses = known.losses_with_pending()
    picked: list[int] = []  # rows: of the first trial, and of others if that lacks a variable

    def draw(variable: Variable) -> float:
        values = known.values(variable.label)
        count = known.count(variable.label)
        if not count:
            return variable.draw(rng)
        width = 1 / (1 + count * _SHRINK)
        row = next((row for row in picked if not np.isnan(values[row])), None)
        if row is None:
            rows = np.flatnonzero(~np.isnan(values))
            rank = min(int(rng.geometric(1 / _MEAN_RANK)) - 1, count - 1)
            row = int(rows[_at_rank(losses[rows], rank)])
            picked.append(row)
        if isinstance(variable, Index):
            return _index_near(variable, rng, int(values[row]), width)
        return _number_near(variable, rng, values[row], width)

    return drawn(variables, draw)


def _at_rank(losses: np.ndarray, rank: int) -> int:
    """Return where the loss of a rank is: as ``np.argsort(losses)[rank]``, without a whole sort."""
    candidates = np.flatnonzero(losses == np.partition(losses, rank)[rank])
    # Of equal losses, hyperopt takes the one that an unstable sort happens to put there.
    return int(candidates[0] if len(candidates) == 1 else np.argsort(losses)[rank])


def _number_near(variable: Number, rng: np.random.Generator, value: float, width: float) -> float:
    if not variable.is_bounded:
        offset = _LOG_OF_ZERO if variable.step is not None else 0.0
        mean = np.log(offset + value) if variable.is_log else value
        return variable.normal(rng, mean, variable.width * width)
    with np.errstate(divide="ignore"):  # a value that was rounded to 0 counts as the lowest
        middle = np.log(value) if variable.is_log else value
    half = 0.5 * (variable.width * width)
    middle = min(max(middle, variable.low + half), variable.high - half)
    return variable.uniform(rng, middle - half, middle + half)


def _index_near(variable: Index, rng: np.random.Generator, value: int, width: float) -> int:
    if variable.count > MOST_LEARNED:
        return variable.draw(rng)
    counts = np.zeros(variable.count)
    counts[value - variable.first] = 1.0
    weights = (1 - width) * counts
    weights += width / variable.count if variable.weights is None else width * variable.weights
    return variable.categorical(rng, weights)
