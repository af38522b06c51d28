"""Series: pictures that a camera took one after the other, which look alike.

A picture's name says to which series it belongs, as in ``20261130-064501-a1b2_007.png``. All
pictures of a series belong to the same side of a split: otherwise a model would be validated on
pictures that it has nearly seen.

Pictures in a folder ``corrected`` are always trained on: a person chose them because the model was
wrong, so they say nothing of how often it is.
"""

from __future__ import annotations

import re
import secrets
import time
from pathlib import PurePosixPath
from typing import Iterator, Mapping, Sequence

import numpy as np

from hyperhive.common.errors import DatasetError

CORRECTED = "corrected"
"""The folder in a class folder that has the pictures which are always trained on."""

_TRAINED_ON = -1
"""The number of those pictures."""

_ENOUGH_SERIES = 3
"""Of a class, so that without one of them it still looks like itself."""

_NAME = re.compile(r"(\d{8}-\d{6}-[0-9a-f]{4})_\d{3,}\.\w+")


def new_series(seconds: float) -> str:
    """Return the name of a series that begins at a Unix time; it has the local time in it."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(seconds))}-{secrets.token_hex(2)}"


def picture_name(series: str, number: int) -> str:
    """Return the file name of a picture of a series, which are numbered from 0."""
    return f"{series}_{number:03d}.png"


def series_of(name: str) -> str | None:
    """Return the series to which a file name belongs; None if it belongs to none."""
    found = _NAME.fullmatch(name)
    return found[1] if found else None


def numbers_of(paths: Sequence[PurePosixPath]) -> np.ndarray | None:
    """Return a number for the series of each picture, int64 ``[N]``; None if none is of a series.

    Pictures of one series have the same number, and one without a series has a number of its own.
    What is always trained on has -1: corrected pictures, and all others of their series.
    """
    series = [series_of(path.name) for path in paths]
    corrected = [path.parent.name == CORRECTED and len(path.parts) > 2 for path in paths]
    if not any(series) and not any(corrected):
        return None
    numbers: dict[str | int, int] = {}
    found = [numbers.setdefault(own or index, len(numbers)) for index, own in enumerate(series)]
    numbered = np.array(found, dtype=np.int64)
    return np.where(np.isin(numbered, numbered[corrected]), _TRAINED_ON, numbered)


def divided_within(labels: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Return the labels with one series that may be held out, which a split has to divide."""
    each = np.unique(labels)
    free = [np.unique(series[labels == label]) for label in each]
    divided: np.ndarray = each[[np.count_nonzero(own != _TRAINED_ON) <= 1 for own in free]]
    return divided


def kept_together(labels: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Return the series that can be left out while their class stays: int64 ``[N]``.

    Of a class with one or two series, each picture is by itself, and so is what is always trained
    on: without it, a class would be missing, or half of it.

    Args:
        labels: int64 ``[N]``.
        series: see ``numbers_of``.
    """
    together: np.ndarray = series.copy()
    for members in _members(labels):
        own = np.unique(series[members])
        if np.count_nonzero(own != _TRAINED_ON) < _ENOUGH_SERIES:
            together[members] = len(labels) + members
    single = np.flatnonzero(series == _TRAINED_ON)
    together[single] = len(labels) + single
    return together


def series_split(
    labels: np.ndarray, series: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted indices ``(kept, held_out)``; both have at least one picture of each class.

    A series is held out whole. Of each class so many are, in random order, as bring the number of
    pictures near to the share, but at least one and never all. A class that has only one is divided
    within it. What is always trained on is held out only if a class has nothing else. The same on
    every device, as ``stratified_split`` is. Raises ``DatasetError`` for a class with one picture.

    Args:
        labels: int64 ``[N]``.
        series: see ``numbers_of``.
        fraction: share of each class that is to be held out, in 0..1.
        seed: decides which.
    """
    random = np.random.RandomState(seed)
    is_out = np.zeros(len(labels), dtype=bool)
    sides: dict[int, bool] = {}  # of the series so far: one may have pictures of several classes
    for members in _members(labels):
        if len(members) < 2:
            raise DatasetError("a class with one image cannot be split in two")
        free = _free(members, series, 1)
        wanted = min(max(1, round(fraction * len(members))), len(members) - 1, len(free))
        sizes = _sizes(series[free], random)
        out = _held_out(sizes, wanted, sides)
        if 0 < len(out) < len(sizes):
            sides.update({each: each in out for each in sizes})
            is_out[free] = np.isin(series[free], list(out))
        else:
            is_out[random.permutation(free)[:wanted]] = True
    return np.flatnonzero(~is_out), np.flatnonzero(is_out)


def series_fold(
    labels: np.ndarray, series: np.ndarray, folds: int, fold: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted indices ``(kept, held_out)`` of one fold of a cross-validation.

    Each picture is held out in exactly one fold, together with its series, but for those that are
    always trained on, unless a class has too few others. The largest series are
    dealt out first, each to the fold with the fewest pictures of its class. A class with fewer
    series than folds is divided within them.

    Args:
        labels: int64 ``[N]``.
        series: see ``numbers_of``.
        folds: how many there are.
        fold: which of them, from 0.
        seed: decides which series are together.
    """
    random = np.random.RandomState(seed)
    chosen = np.full(len(labels), _TRAINED_ON, dtype=np.int64)
    total = np.zeros(folds, dtype=np.int64)
    dealt: dict[int, int] = {}
    for every in _members(labels):
        members = _free(every, series, folds)
        sizes = _sizes(series[members], random)
        of_class = np.zeros(folds, dtype=np.int64)
        for each in sorted(sizes, key=lambda one: (one not in dealt, -sizes[one])):
            into = dealt.get(each, int(np.lexsort((total, of_class))[0]))
            dealt[each] = into
            of_class[into] += sizes[each]
        chosen[members] = [dealt[each] for each in series[members].tolist()]
        if not of_class.all():
            first = int(total.argmin())
            chosen[random.permutation(members)] = (first + np.arange(len(members))) % folds
        total += np.bincount(chosen[members], minlength=folds)
    return np.flatnonzero(chosen != fold), np.flatnonzero(chosen == fold)


def _members(labels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the indices of each class."""
    return (np.flatnonzero(labels == label) for label in np.unique(labels))


def _free(members: np.ndarray, series: np.ndarray, fewest: int) -> np.ndarray:
    """Return those of a class's pictures that may be held out; all, if they are too few."""
    free = members[series[members] != _TRAINED_ON]
    return free if len(free) >= fewest else members


def _sizes(series: np.ndarray, random: np.random.RandomState) -> dict[int, int]:
    """Return how many pictures each series has, in random order."""
    found, counts = np.unique(series, return_counts=True)
    order = random.permutation(len(found))
    return dict(zip(found[order].tolist(), counts[order].tolist()))


def _held_out(sizes: Mapping[int, int], wanted: int, sides: Mapping[int, bool]) -> set[int]:
    """Return the series of a class that are held out; none or all if it has to be divided.

    Args:
        sizes: of its series.
        wanted: how many pictures are to be held out.
        sides: whether a series is held out, of those of which that is decided.
    """
    out = {each for each in sizes if sides.get(each, False)}
    free = [each for each in sizes if each not in sides]
    count = sum(sizes[each] for each in out)
    for each in free:
        is_nearer = abs(count + sizes[each] - wanted) < abs(count - wanted)
        if is_nearer and len(out) + 1 < len(sizes):
            out.add(each)
            count += sizes[each]
    if not out and free:
        out.add(min(free, key=lambda each: sizes[each]))
    return out
