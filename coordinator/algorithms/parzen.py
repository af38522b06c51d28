"""The adaptive Parzen estimator: a mixture of Gaussians, one at each observation.

Bergstra, Bardenet, Bengio and Kegl, Algorithms for Hyper-Parameter Optimization, NeurIPS 2011,
section 4.2: the standard deviation of each is the greater of the distances to its left and its
right neighbour, clipped to a reasonable range. One more Gaussian is the prior: the middle and the
width of the space. hyperopt weighs old observations less, which the paper does not.
"""

from __future__ import annotations

import numpy as np

from hyperhive.coordinator.algorithms.mixture import Mixture
from hyperhive.coordinator.algorithms.variables import Number

_PRIOR_WEIGHT = 1.0
_FULL_WEIGHT = 25
"""So many of the latest observations count fully, and earlier ones the less the older they are."""
_LOWEST = 1e-12


def estimate(variable: Number, values: np.ndarray) -> Mixture:
    """Return the mixture for a variable's observed values, float64 of shape (n,), oldest first."""
    observed = _scaled(variable, values)
    order = np.argsort(observed)
    prior = int(np.searchsorted(observed[order], variable.centre))
    if len(observed) == 1:  # an observation at the centre itself comes first
        prior = 0 if variable.centre < observed[0] else 1
    means = _with(observed[order], prior, variable.centre)
    weights = _with(recency(len(observed))[order], prior, _PRIOR_WEIGHT)
    deviations = _deviations(means, prior, variable.width)
    return Mixture(variable, weights / weights.sum(), means, deviations)


def _with(values: np.ndarray, position: int, value: float) -> np.ndarray:
    return np.concatenate([values[:position], [value], values[position:]])


def recency(count: int) -> np.ndarray:
    """Return weights of observations by age, float64 of shape (count,), oldest first."""
    if count <= _FULL_WEIGHT:
        return np.ones(count)
    rising = np.linspace(1 / count, 1.0, num=count - _FULL_WEIGHT)
    return np.concatenate([rising, np.ones(_FULL_WEIGHT)])


def _scaled(variable: Number, values: np.ndarray) -> np.ndarray:
    """Return values on the scale of the bounds; one that was rounded to 0 counts as the lowest."""
    if not variable.is_log:
        return values
    if variable.step is not None:
        values = np.maximum(values, max(_LOWEST, float(np.exp(variable.low))))
    logs: np.ndarray = np.log(values)
    return logs


def _deviations(means: np.ndarray, prior: int, width: float) -> np.ndarray:
    """Return the greater distance to a neighbour, clipped; the prior has its own width."""
    gaps = np.diff(means)
    if len(means) == 2:
        deviations = np.full(2, 0.5 * width)
    elif len(means) == 1:
        deviations = np.array([width])
    else:
        deviations = np.concatenate([gaps[:1], np.maximum(gaps[:-1], gaps[1:]), gaps[-1:]])
    narrowest = width / min(100.0, 1.0 + len(means))
    clipped: np.ndarray = np.minimum(np.maximum(deviations, narrowest), width)
    clipped[prior] = width
    return clipped
