"""The tree-structured Parzen estimator (TPE).

Bergstra, Bardenet, Bengio and Kegl, Algorithms for Hyper-Parameter Optimization, NeurIPS 2011,
section 4, and Bergstra, Yamins and Cox, Making a Science of Model Search, ICML 2013.

The trials are split into the few best and all others. Each variable has two densities (equation 2
of the first): l(x) of its values in the best trials, whose loss is ``less``, and g(x) of those in
the others, whose loss is ``greater``. The expected improvement grows with l(x) / g(x) (section
4.1): so candidates are drawn from l, and the one with the largest ratio is taken. Variables are
independent of each other, but for those of an option: they are drawn only if it was chosen, and
learn only from trials that had it (the tree).
"""

from __future__ import annotations

import numpy as np

from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.parzen import estimate, recency
from hyperhive.coordinator.algorithms.variables import (
    MOST_LEARNED,
    Index,
    Number,
    Variable,
    Variables,
    drawn,
)

_GAMMA = 0.25
"""Of n trials, 0.25 * sqrt(n) are among the best: hyperopt's rule, not the paper's quantile."""
_MOST_BEST = 25
_CANDIDATES = 24
_PRIOR_COUNT = 1.0
"""So many observations of each index the prior is worth, if it is uniform."""


def suggest(variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
    """Return the values of the next trial. At least one trial must have ended."""
    rng = np.random.default_rng(seed)
    is_best = _best(known.losses_with_pending())

    def draw(variable: Variable) -> float:
        values = known.values(variable.label)
        has_value = ~np.isnan(values)
        best, others = values[is_best & has_value], values[~is_best & has_value]
        if isinstance(variable, Index):
            return _index(variable, best, others, rng)
        return _number(variable, best, others, rng)

    return drawn(variables, draw)


def _best(losses: np.ndarray) -> np.ndarray:
    """Return which trials are among the best, bool of shape (trials,): those below y* of eq. 2."""
    count = min(int(np.ceil(_GAMMA * np.sqrt(len(losses)))), _MOST_BEST)
    is_best = np.zeros(len(losses), dtype=bool)
    # Of equal losses, hyperopt takes those that an unstable sort happens to put first.
    is_best[np.argsort(losses)[:count]] = True
    return is_best


def _number(
    variable: Number, best: np.ndarray, others: np.ndarray, rng: np.random.Generator
) -> float:
    less, greater = estimate(variable, best), estimate(variable, others)
    candidates = less.draw(rng, _CANDIDATES)
    score = less.log_density(candidates) - greater.log_density(candidates)
    return float(candidates[np.argmax(score)])


def _index(variable: Index, best: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> int:
    if variable.count > MOST_LEARNED:
        return variable.draw(rng)
    less, greater = _probabilities(variable, best), _probabilities(variable, others)
    candidates = rng.multinomial(1, less, _CANDIDATES).argmax(axis=1)
    score = np.log(less[candidates]) - np.log(greater[candidates])
    return variable.first + int(candidates[np.argmax(score)])


def _probabilities(variable: Index, values: np.ndarray) -> np.ndarray:
    """Return the probability of each index, (count,): its count and the prior's (section 4.2)."""
    indices = values.astype(int) - variable.first
    prior = 1.0 if variable.weights is None else variable.count * variable.weights
    counts = np.bincount(indices, recency(len(values)), variable.count) + _PRIOR_COUNT * prior
    probabilities: np.ndarray = counts / np.sum(counts)
    return probabilities
