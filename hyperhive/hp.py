"""hyperopt's ``hp``, with which a search space is written.

Each function takes the arguments of hyperopt's, and returns the same expression, but imports
hyperopt only when that is needed: see ``hyperhive.coordinator.spaces.expressions``. A device that
only works needs no hyperopt.
"""

from __future__ import annotations

from typing import Any, Iterable

from hyperhive.coordinator.spaces.expressions import Expression

__all__ = [
    "choice",
    "lognormal",
    "loguniform",
    "normal",
    "pchoice",
    "qlognormal",
    "qloguniform",
    "qnormal",
    "quniform",
    "randint",
    "uniform",
    "uniformint",
]


def choice(label: str, options: Iterable[Any]) -> Any:
    """Return one of the options, each of which may hold further expressions."""
    return Expression("choice", label, options=list(options))


def pchoice(label: str, p_options: Iterable[tuple[float, Any]]) -> Any:
    """Return one of the options, which are given as pairs of a probability and an option."""
    return Expression("pchoice", label, p_options=list(p_options))


def uniform(label: str, low: float, high: float) -> Any:
    """Return a number between ``low`` and ``high``."""
    return Expression("uniform", label, low=low, high=high)


def quniform(label: str, low: float, high: float, q: float) -> Any:
    """Return a number between ``low`` and ``high``, rounded to a multiple of ``q``."""
    return Expression("quniform", label, low=low, high=high, q=q)


def uniformint(label: str, low: float, high: float) -> Any:
    """Return a whole number from ``low`` to ``high``."""
    return Expression("uniformint", label, low=low, high=high)


def randint(label: str, low: int, high: int | None = None) -> Any:
    """Return a whole number from ``low`` to ``high - 1``, or below ``low`` if that is alone."""
    bounds = {"low": low} if high is None else {"low": low, "high": high}
    return Expression("randint", label, **bounds)


def loguniform(label: str, low: float, high: float) -> Any:
    """Return a number whose logarithm is between ``low`` and ``high``."""
    return Expression("loguniform", label, low=low, high=high)


def qloguniform(label: str, low: float, high: float, q: float) -> Any:
    """Return a number whose logarithm is between ``low`` and ``high``, rounded to ``q``."""
    return Expression("qloguniform", label, low=low, high=high, q=q)


def normal(label: str, mu: float, sigma: float) -> Any:
    """Return a normally distributed number."""
    return Expression("normal", label, mu=mu, sigma=sigma)


def qnormal(label: str, mu: float, sigma: float, q: float) -> Any:
    """Return a normally distributed number, rounded to a multiple of ``q``."""
    return Expression("qnormal", label, mu=mu, sigma=sigma, q=q)


def lognormal(label: str, mu: float, sigma: float) -> Any:
    """Return a number whose logarithm is normally distributed."""
    return Expression("lognormal", label, mu=mu, sigma=sigma)


def qlognormal(label: str, mu: float, sigma: float, q: float) -> Any:
    """Return a number whose logarithm is normally distributed, rounded to a multiple of ``q``."""
    return Expression("qlognormal", label, mu=mu, sigma=sigma, q=q)
