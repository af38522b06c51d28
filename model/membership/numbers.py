"""Lists of numbers in a card: percentiles, and what may be believed."""

from __future__ import annotations

from typing import Any, Iterable

import numpy as np

from hyperhive.common.values import is_number

PERCENTILES = 101

LARGEST = 1e12
"""Largest number that is accepted from a card."""


def folds_of(count: int, folds: int, series: np.ndarray | None = None) -> np.ndarray:
    """Return the fold of each of so many images for cross-fitting, int64 ``[N]``, from 0.

    Args:
        count: of the images, 2 or more.
        folds: the most that there may be.
        series: int64 ``[N]``, which images stay together. None if each is by itself, as they are
            if all are of one series.
    """
    groups = np.arange(count)
    if series is not None and len(np.unique(series)) > 1:
        groups = np.unique(series, return_inverse=True)[1]
    number = int(groups.max()) + 1
    dealt: np.ndarray = np.random.RandomState(0).permutation(number)[groups] % min(folds, number)
    return dealt


def percentiles(found: np.ndarray) -> list[float]:
    """Return 101 percentiles of values ``[V, N]`` of N members, then of V - 1 copies of each.

    The members weigh as much as all copies.
    """
    weighted = np.concatenate([found[:1].repeat(len(found) - 1, axis=0), found[1:]])
    return rounded(np.percentile(weighted, np.linspace(0, 100, PERCENTILES)))


def share_beyond(values: np.ndarray, of_members: list[float]) -> np.ndarray:
    """Return float64 ``[N]``: the share of members, by their percentiles, with at least a value."""
    share: np.ndarray = 1 - np.interp(values, of_members, np.linspace(0, 1, PERCENTILES))
    return share


def rounded(values: Iterable[float]) -> list[float]:
    """Return Python numbers of six digits: further digits are noise, and make a card long."""
    return [float(f"{value:.6g}") for value in values]


def require_numbers(values: Any, count: int) -> None:
    """Raise ``ValueError`` unless this is a list of so many numbers, none of them too large."""
    if not (isinstance(values, list) and len(values) == count and all(map(_is_moderate, values))):
        raise ValueError(f"not {count} numbers")


def _is_moderate(value: Any) -> bool:
    return is_number(value) and abs(value) <= LARGEST
