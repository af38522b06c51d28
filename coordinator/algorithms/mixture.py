"""A mixture of Gaussians over a number: how values are drawn from it, and how likely each is.

The order of all operations is that of hyperopt: so densities are the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
from scipy.special import erf

from hyperhive.coordinator.algorithms.variables import Number

_TINY = 1e-12
_CELLS = 2**14
"""Matrices of values and components are worked on in blocks of so many cells, which a core's cache
holds."""
_NOTHING = -700.0
"""exp of this is nothing beside exp(0), and NumPy's exp of less than -708 takes 6 times as long."""

_OfBlock = Callable[[np.ndarray], np.ndarray]
"""Returns the log-densities, of shape (n,), at a block of values, of shape (n, 1)."""


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
            return np.asarray(self.variable.as_value(scaled))
        means, deviations = self.means.tolist(), self.deviations.tolist()
        low, high = self.variable.low, self.variable.high
        accepted: list[float] = []
        while len(accepted) < count:
            component = rng.multinomial(1, self.weights).argmax()
            scaled = rng.normal(means[component], deviations[component])
            if low <= scaled < high:
                accepted.append(scaled)
        return np.asarray(self.variable.as_value(np.array(accepted)))

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """Return the logarithm of the density at values of the variable, both of shape (n,).

        Of a variable with a step, that of the probability of each value.
        """
        if self.variable.step is not None:
            of_block = self._log_probability(self.variable.step)
        elif self.variable.is_log:
            of_block = self._log_density_of_logs
        else:
            of_block = self._log_density()
        rows = max(1, _CELLS // len(self.means))
        blocks = [values[row : row + rows, None] for row in range(0, len(values), rows)]
        return np.concatenate([of_block(block) for block in blocks])

    def _log_density(self) -> _OfBlock:
        deviations = np.maximum(self.deviations, _TINY)
        norm = np.sqrt(2 * np.pi * self.deviations**2)
        at_mean = np.log(self.weights / norm / self._mass_in_bounds())

        def of_block(values: np.ndarray) -> np.ndarray:
            terms = _half_squares(values - self.means, deviations)
            terms += at_mean
            return _log_sum_exp(terms)

        return of_block

    def _log_density_of_logs(self, values: np.ndarray) -> np.ndarray:
        """Return the same where logarithms are normal, without truncation: it scales all alike."""
        deviations = np.maximum(self.deviations, _TINY)
        terms = _half_squares(np.log(values) - self.means, deviations)
        norm = deviations * values
        norm *= np.sqrt(2 * np.pi)
        terms -= np.log(norm, out=norm)
        terms += np.log(self.weights)
        return _log_sum_exp(terms)

    def _log_probability(self, step: float) -> _OfBlock:
        low, high = self.variable.low, self.variable.high
        if self.variable.is_log:
            low, high = max(0.0, float(np.exp(low))), float(np.exp(high))
        # Values with a step repeat: equal components lie side by side, and are evaluated once.
        is_first = np.ones(len(self.means), dtype=bool)
        is_first[1:] = (np.diff(self.means) != 0) | (np.diff(self.deviations) != 0)
        distinct, of_component = np.flatnonzero(is_first), np.cumsum(is_first) - 1
        log_mass = np.log(self._mass_in_bounds())

        def of_block(values: np.ndarray) -> np.ndarray:
            above = self._cumulative(np.minimum(values + step / 2, high), distinct)
            below = self._cumulative(np.maximum(values - step / 2, low), distinct)
            mass = self.weights * above.take(of_component, axis=1)
            mass -= self.weights * below.take(of_component, axis=1)
            # One after the other, as hyperopt adds them: sum() would add them in pairs.
            total: np.ndarray = np.log(np.cumsum(mass, axis=1, out=mass)[:, -1]) - log_mass
            return total

        return of_block

    def _cumulative(self, values: np.ndarray, components: np.ndarray) -> np.ndarray:
        """Return the distributions of some components, (n, some), at values, (n, 1)."""
        if not self.variable.is_log:
            return 0.5 * (1 + self._erf(values, components))
        return 0.5 + 0.5 * self._erf(np.log(np.maximum(values, _TINY)), components)

    def _erf(self, scaled: np.ndarray | float, components: np.ndarray | slice) -> np.ndarray:
        z: np.ndarray = scaled - self.means[components]
        z /= np.maximum(np.sqrt(2) * self.deviations[components], _TINY)
        erf(z, out=z)
        return z

    def _mass_in_bounds(self) -> float:
        if not self.variable.is_bounded:
            return 1.0
        low, high = (
            0.5 * (1 + self._erf(bound, slice(None)))
            for bound in (self.variable.low, self.variable.high)
        )
        return float(np.sum(self.weights * (high - low)))


def _half_squares(distances: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Return the exponents of Gaussians; overwrites ``distances``, (n, components)."""
    distances /= deviations
    np.square(distances, out=distances)
    distances *= -0.5
    return distances


def _log_sum_exp(terms: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sum of the exponentials of each row; overwrites ``terms``."""
    largest = terms.max(axis=1)
    terms -= largest[:, None]
    np.maximum(terms, _NOTHING, out=terms)
    total: np.ndarray = np.log(np.exp(terms, out=terms).sum(axis=1)) + largest
    return total
