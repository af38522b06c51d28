"""The multivariate tree-structured Parzen estimator: TPE with one density over all variables.

Watanabe, Tree-Structured Parzen Estimator: Understanding Its Algorithm Components and Their Roles
for Better Empirical Performance, arXiv:2304.11127, with the setting that it recommends, but for
``_NARROWING``; the joint density is that of Falkner, Klein and Hutter, BOHB, ICML 2018.

As in ``tpe.py``, the trials are split into the few best and all others, candidates are drawn from
the density l of the best, and the one with the largest l / g is taken, where g is the density of
the others. Here each density is a mixture with one component for each trial, a product of kernels
around the trial's values, and one that is the prior. So it knows which values are good together:

    l(x) = sum over trials n of w_n * product over variables v of k_v(x_v | x_n,v)

Numbers lie between 0 and 1 as in ``cube.py``, where the prior is uniform.

The tree: a candidate's factors are those of its own active variables, and a trial in which one of
them is inactive says nothing of it, so its kernel there is the prior. The choices above it set the
two apart. So a variable that stands in several options, or in none, learns from all trials.

A pending trial is among the others (a constant liar): so the next candidates keep away from it.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from hyperhive.coordinator.algorithms.cube import at_shares, parts, shares
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import Index, Variable, Variables, drawn

_GAMMA = 0.15
"""This share of the finished trials is among the best."""
_MOST_BEST = 25
"""As in hyperopt and Optuna: of more, those that are not near the optimum would have a say."""
_CANDIDATES = 24
_OWN_OPTION = 0.8
"""The kernel's probability of a trial's own option."""
_NARROWEST = 0.03
"""The least standard deviation of a kernel, as a share of the range: the paper's Delta."""
_NARROWING = 1.0
"""With N components, a kernel is not narrower than 1 / N**alpha of the range ("magic clipping").
The paper takes alpha = 2, hyperopt and Optuna 1. On Hartmann-6, 1 had half the regret of 2, with
noise and without, and on a function such as trainings have four fifths (60 trials, 10 seeds)."""
_OWN_DEVIATIONS = 0.5 / float(ndtri(0.5 * (1 + _OWN_OPTION)))
"""A kernel of a number with a step is so wide, in steps, that its own value has ``_OWN_OPTION``."""
_LEAST_MASS = 1e-300


def suggest(variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
    """Return the values of the next trial. At least one trial must have ended."""
    rng = np.random.default_rng(seed)
    rows, weights = _best(known.losses)
    is_other = np.ones(len(known.losses), dtype=bool)
    is_other[rows] = False
    others = np.flatnonzero(is_other)
    less = Density(variables, known, rows, weights)
    greater = Density(variables, known, others, np.ones(len(others) + 1))
    candidates = [less.draw(rng) for _ in range(_CANDIDATES)]
    score = less.log_density(candidates) - greater.log_density(candidates)
    return candidates[int(np.argmax(score))]


def _best(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the best trials, ``[n]``, and weights of them and the prior, ``[n + 1]``.

    A trial's weight is by how much it improves on the best of the others, and the prior's is the
    mean: so l / g follows the expected improvement.
    """
    finished = np.flatnonzero(~np.isnan(losses))
    order = finished[np.argsort(losses[finished], kind="stable")]
    count = min(int(np.ceil(_GAMMA * len(order))), _MOST_BEST)
    rows = np.sort(order[:count])
    scaled = losses / max(np.nanmax(np.abs(losses)), np.finfo(float).tiny)  # no overflow
    gains = scaled[order[min(count, len(order) - 1)]] - scaled[rows]
    if not gains.any():
        gains = np.ones(count)
    return rows, np.append(gains, np.mean(gains))


class Density:
    """A mixture of products of kernels, one around each of some trials, and of the prior.

    Args:
        variables: of the space.
        known: the trials.
        rows: those of the components, ``[n]``.
        weights: of the components, and last of the prior, float64 ``[n + 1]``.
    """

    def __init__(
        self, variables: Variables, known: Known, rows: np.ndarray, weights: np.ndarray
    ) -> None:
        self._variables = variables
        self._weights = weights / weights.sum()
        self._kernels: dict[str, _Options | _Gaussians] = {}
        for variable in variables:
            values = np.append(known.values(variable.label)[rows], np.nan)
            if isinstance(variable, Index) and variable.is_choice:
                self._kernels[variable.label] = _Options(variable, values)
            else:
                self._kernels[variable.label] = _Gaussians(variable, values)

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw a configuration: its values by label, of the variables that are active."""
        component = int(rng.choice(len(self._weights), p=self._weights))
        return drawn(self._variables, lambda each: self._kernels[each.label].draw(rng, component))

    def log_density(self, configurations: list[dict[str, float]]) -> np.ndarray:
        """Return the logarithm of the density at configurations, float64 of shape (count,).

        Of a number with a step and of an index it is the probability, of another number the
        density of its place between 0 and 1.
        """
        with np.errstate(divide="ignore"):  # a component of weight 0 has no part
            terms = np.log(np.tile(self._weights, (len(configurations), 1)))
        for variable in self._variables:
            values = np.array([each.get(variable.label, np.nan) for each in configurations])
            is_active = ~np.isnan(values)
            terms[is_active] += self._kernels[variable.label].logs(values[is_active])
        largest = terms.max(axis=1)
        total: np.ndarray = largest + np.log(np.exp(terms - largest[:, None]).sum(axis=1))
        return total


class _Options:
    """The kernels of a choice, as Aitchison and Aitken, Biometrika 1976, have them.

    A trial's own option has ``_OWN_OPTION``; the others share the rest as the prior says.

    Args:
        choice: the variable.
        values: of the trials, float64 ``[n]``: NaN where the kernel is the prior.
    """

    def __init__(self, choice: Index, values: np.ndarray) -> None:
        weights = np.ones(choice.count) if choice.weights is None else choice.weights
        self._prior = weights / weights.sum()
        self._is_prior = np.isnan(values)
        self._own = np.where(self._is_prior, 0, values).astype(int)
        others = 1 - self._prior[self._own]
        self._at_own = np.where(others > 0, _OWN_OPTION, 1.0)
        self._elsewhere = (1 - self._at_own) / np.where(others > 0, others, 1.0)

    def draw(self, rng: np.random.Generator, component: int) -> int:
        """Draw an option from one kernel."""
        prior = self._prior
        if not self._is_prior[component]:
            if rng.random() < self._at_own[component]:
                return int(self._own[component])
            prior = np.where(np.arange(len(prior)) == self._own[component], 0.0, prior)
        return int(rng.choice(len(prior), p=prior / prior.sum()))

    def logs(self, values: np.ndarray) -> np.ndarray:
        """Return the logarithms of all kernels, ``[m, n]``, at values, float64 ``[m]``."""
        options = values.astype(int)[:, None]
        prior = self._prior[options]
        elsewhere = np.where(self._is_prior, prior, prior * self._elsewhere)
        is_own = (options == self._own) & ~self._is_prior
        with np.errstate(divide="ignore"):  # an option of weight 0, tried by hand
            return np.asarray(np.log(np.where(is_own, self._at_own, elsewhere)))


class _Gaussians:
    """The kernels of a number or a whole number: Gaussians between 0 and 1, truncated to that.

    The standard deviation of each is the greater of the distances to its two neighbours, as in
    hyperopt, where the bounds are neighbours too; see ``_NARROWEST`` and ``_NARROWING``.

    Args:
        variable: the variable.
        values: of the trials, float64 ``[n]``: NaN where the kernel is the prior.
    """

    def __init__(self, variable: Variable, values: np.ndarray) -> None:
        self._variable = variable
        self._is_prior = np.isnan(values)
        self._means = np.full(len(values), 0.5)
        self._deviations = np.ones(len(values))
        known = values[~self._is_prior]
        means = shares(variable, known)
        order = np.argsort(means, kind="stable")
        gaps = np.diff(np.concatenate([[0.0], means[order], [1.0]]))
        widest = np.empty(len(means))
        widest[order] = np.maximum(gaps[:-1], gaps[1:])
        begin, end = parts(variable, known)
        floor = max(_NARROWEST, (len(known) + 1) ** -_NARROWING)
        self._means[~self._is_prior] = means
        self._deviations[~self._is_prior] = np.maximum(
            widest, np.maximum(floor, _OWN_DEVIATIONS * (end - begin))
        )
        self._low = ndtr(-self._means / self._deviations)
        self._high = ndtr((1 - self._means) / self._deviations)

    def draw(self, rng: np.random.Generator, component: int) -> float:
        """Draw a value from one kernel."""
        place = rng.random()
        if not self._is_prior[component]:
            low, high = self._low[component], self._high[component]
            scaled = ndtri(low + place * (high - low))
            place = self._means[component] + self._deviations[component] * scaled
        (value,) = at_shares(self._variable, np.clip([place], 0.0, 1.0))
        return int(value) if isinstance(self._variable, Index) else float(value)

    def logs(self, values: np.ndarray) -> np.ndarray:
        """Return the logarithms of all kernels, ``[m, n]``, at values, float64 ``[m]``."""
        begin, end = (each[:, None] for each in parts(self._variable, values))
        if isinstance(self._variable, Index) or self._variable.step is not None:
            low, high = ((each - self._means) / self._deviations for each in (begin, end))
            is_above = low > 0  # of the two tails, the lower one has all digits
            low, high = np.where(is_above, -high, low), np.where(is_above, -low, high)
            found = np.log(np.maximum(ndtr(high) - ndtr(low), _LEAST_MASS))
            of_prior = np.log(np.maximum(end - begin, _LEAST_MASS))
        else:
            scaled = (begin - self._means) / self._deviations
            found = -0.5 * scaled**2 - np.log(self._deviations * np.sqrt(2 * np.pi))
            of_prior = np.zeros((len(values), 1))
        found -= np.log(self._high - self._low)
        logs: np.ndarray = np.where(self._is_prior, of_prior, found)
        return logs
