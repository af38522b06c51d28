"""The adaptive Parzen estimator: a mixture of Gaussians, one at each observation.

Bergstra, Bardenet, Bengio and Kegl, Algorithms for Hyper-Parameter Optimization, NeurIPS 2011,
section 4: "we [...] set the standard deviation of each Gaussian to the greater of the distances to
the left and right neighbor, but [...] clipped to remain in a reasonable range". The prior is one
more Gaussian, of the middle and the width of the space.

The order of all operations is that of hyperopt: so the densities are the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from hyperhive.coordinator.algorithms.variables import Number

_PRIOR_WEIGHT = 1.0
_FULL_WEIGHT = 25
"""So many of the latest observations count fully, and earlier ones the less the older they are."""
_TINY = 1e-12


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians on a variable's scale, truncated to its bounds.

    All arrays are float64 of shape (components,); ``means`` ascend.
    """

    variable: Number
    weights: np.ndarray
    means: np.ndarray
    deviations: np.ndarray

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw values of the variable, float64 of shape (count,)."""
        if not self.variable.is_bounded:
            component = rng.multinomial(1, self.weights, (count,)).argmax(axis=1)
            scaled = rng.normal(self.means[component], self.deviations[component])
            return self.variable.as_value(scaled)
        means, deviations = self.means.tolist(), self.deviations.tolist()
        low, high = self.variable.low, self.variable.high
        accepted: list[float] = []
        while len(accepted) < count:
            component = rng.multinomial(1, self.weights).argmax()
            scaled = rng.normal(means[component], deviations[component])
            if low <= scaled < high:
                accepted.append(scaled)
        return self.variable.as_value(np.array(accepted))

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """Return the logarithm of the density at values of the variable, both of shape (n,).

        Of a variable with a step, that of the probability of each value.
        """
        if self.variable.step is not None:
            return self._log_probability(values, self.variable.step)
        if self.variable.is_log:
            return self._log_density_of_logs(values)
        spread = values[:, None] - self.means
        spread /= np.maximum(self.deviations, _TINY)
        np.square(spread, out=spread)
        spread *= -0.5
        norm = np.sqrt(2 * np.pi * self.deviations**2)
        spread += np.log(self.weights / norm / self._mass_in_bounds())
        return _log_sum_exp(spread)

    def _log_density_of_logs(self, values: np.ndarray) -> np.ndarray:
        """Return the density of log-normal components; truncation scales all values alike."""
        deviations = np.maximum(self.deviations, _TINY)
        spread = np.log(values[:, None]) - self.means
        spread /= deviations
        np.square(spread, out=spread)
        spread *= -0.5
        norm = deviations * values[:, None]
        norm *= np.sqrt(2 * np.pi)
        spread -= np.log(norm, out=norm)
        spread += np.log(self.weights)
        return _log_sum_exp(spread)

    def _log_probability(self, values: np.ndarray, step: float) -> np.ndarray:
        distinct, inverse = np.unique(values, return_inverse=True)
        low, high = self.variable.low, self.variable.high
        if self.variable.is_log:
            low, high = max(0.0, float(np.exp(low))), float(np.exp(high))
        above = np.minimum(distinct + step / 2, high)[:, None]
        below = np.maximum(distinct - step / 2, low)[:, None]
        mass = self.weights * self._cumulative(above)
        mass -= self.weights * self._cumulative(below)
        # One after the other, as hyperopt adds them: sum() would add them pairwise.
        total = np.cumsum(mass, axis=1, out=mass)[:, -1]
        log_probability: np.ndarray = np.log(total) - np.log(self._mass_in_bounds())
        return log_probability[inverse]

    def _cumulative(self, values: np.ndarray) -> np.ndarray:
        """Return the distribution of each component, (n, components), at values, (n, 1)."""
        if not self.variable.is_log:
            return self._normal_cumulative(values)
        scaled = np.log(np.maximum(values, _TINY)) - self.means
        scaled /= np.maximum(np.sqrt(2) * self.deviations, _TINY)
        erf(scaled, out=scaled)
        scaled *= 0.5
        scaled += 0.5
        return scaled

    def _normal_cumulative(self, scaled: np.ndarray | float) -> np.ndarray:
        z: np.ndarray = scaled - self.means
        z /= np.maximum(np.sqrt(2) * self.deviations, _TINY)
        erf(z, out=z)
        z += 1
        z *= 0.5
        return z

    def _mass_in_bounds(self) -> float:
        if not self.variable.is_bounded:
            return 1.0
        high = self._normal_cumulative(self.variable.high)
        low = self._normal_cumulative(self.variable.low)
        return float(np.sum(self.weights * (high - low)))


def estimate(variable: Number, values: np.ndarray) -> Mixture:
    """Return the mixture for a variable's observed values, float64 of shape (n,), oldest first."""
    observed = _scaled(variable, values)
    order = np.argsort(observed)
    prior = int(np.searchsorted(observed[order], variable.centre))
    if len(observed) == 1:  # an observation at the centre itself comes first
        prior = 0 if variable.centre < observed[0] else 1
    means = np.insert(observed[order], prior, variable.centre)
    weights = np.insert(recency(len(observed))[order], prior, _PRIOR_WEIGHT)
    deviations = _deviations(means, prior, variable.width)
    return Mixture(variable, weights / weights.sum(), means, deviations)


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
        values = np.maximum(values, max(_TINY, float(np.exp(variable.low))))
    return np.log(values)


def _deviations(means: np.ndarray, prior: int, width: float) -> np.ndarray:
    """Return the greater distance to a neighbour, clipped; the prior has its own width."""
    gaps = np.diff(means)
    if len(means) == 2:  # noqa: PLR2004
        deviations = np.full(2, 0.5 * width)
    elif len(means) == 1:
        deviations = np.array([width])
    else:
        deviations = np.concatenate([gaps[:1], np.maximum(gaps[:-1], gaps[1:]), gaps[-1:]])
    narrowest = width / min(100.0, 1.0 + len(means))
    deviations = np.clip(deviations, narrowest, width)
    deviations[prior] = width
    return deviations


def _log_sum_exp(terms: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sum of the exponentials of each row; overwrites ``terms``."""
    largest = terms.max(axis=1)
    terms -= largest[:, None]
    total: np.ndarray = np.log(np.exp(terms, out=terms).sum(axis=1)) + largest
    return total
