"""How much a picture looks like the training images, whatever the network makes of it.

A network that has only seen faces of the Simpsons is as sure of a white wall as of Bart, both in
its probabilities and in its features (``benchmarks/unknown.py`` has the figures). A few statistics
of the pixels tell the two apart. Their mean and covariance are taken over the training images and
over copies distorted as by a camera. A picture's distance is its Mahalanobis distance to them (Lee
et al. 2018, arXiv:1807.03888, but of pixel statistics instead of features).

How far away members may be is found by cross-fitting: the distances of each twentieth of the images
are to the mean and covariance of the others. So every image counts, also in a set of fifty, and
none is measured by statistics that it is a part of.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Mapping

import numpy as np

from hyperhive.common.values import is_count, is_number
from hyperhive.model.data.images import batches, reduced

STATISTICS = {1: 27, 3: 34}
"""Number of statistics of a picture, by its number of channels."""

PERCENTILES = 101

LARGEST = 1e12
"""Largest number that is accepted from a card."""

_SHRINKAGE = 1e-3
"""Least weight that shrinks the correlations towards 0: without it, two statistics that always
agree would make the matrix singular. To it is added 1/N for N images, as if one more image had
shown no correlation: those of few images are mostly chance."""

_FOLDS = 20

_SMALLEST_STD = 1e-3

_TOLERANCE = 1e-3
"""Distances that differ by no more than this, relative and absolute, count as equal."""

_FLATTEST, _FAINTEST = 0.01, 0.03
"""In 0..1. Differences between pixels far below the first, and contrasts of a picture far below the
second, are noise, and must not count."""


@dataclass(frozen=True)
class MemberStatistics:
    """Mean and spread of the statistics of members.

    Args:
        mean: of each statistic.
        precision: the inverse of their covariance matrix, each row up to its diagonal.
        distances: squared distances of members and their distorted copies, each to statistics that
            it is no part of, as 101 percentiles.
        images: the number of members; None in a card of an earlier version.
    """

    mean: list[float]
    precision: list[list[float]]
    distances: list[float]
    images: int | None = None

    @classmethod
    def of(cls, versions: np.ndarray) -> MemberStatistics:
        """Return the statistics of members and of copies of them, distorted as by a camera.

        Args:
            versions: uint8 ``[V, N, 28, 28, C]``, V and N of 2 or more: the N members, then V - 1
                copies of each. Among the distances the members weigh as much as all copies.
        """
        rows = np.stack([statistics(version) for version in versions])
        count = rows.shape[1]
        fold = np.random.RandomState(0).permutation(count) % min(_FOLDS, count)
        squared = np.empty(rows.shape[:2])
        for number in range(fold.max() + 1):
            inside = fold == number
            squared[:, inside] = cls._fitted(rows[:, ~inside])._squared(rows[:, inside])
        weighted = np.concatenate([squared[:1].repeat(len(rows) - 1, axis=0), squared[1:]])
        distances = np.percentile(weighted, np.linspace(0, 100, PERCENTILES))
        return replace(cls._fitted(rows), distances=_rounded(distances), images=count)

    @classmethod
    def _fitted(cls, rows: np.ndarray) -> MemberStatistics:
        """Return mean and precision of statistics float64 ``[V, N, S]``, without distances."""
        known = rows.reshape(-1, rows.shape[2])
        mean, scale = known.mean(axis=0), np.maximum(known.std(axis=0), _SMALLEST_STD)
        correlation = (known - mean).T @ (known - mean) / len(known) / np.outer(scale, scale)
        weight = min(_SHRINKAGE + 1 / rows.shape[1], 1.0)
        shrunk = (1 - weight) * correlation + weight * np.eye(len(mean))
        precision = np.linalg.inv(shrunk) / np.outer(scale, scale)
        triangle = [_rounded(row[: place + 1]) for place, row in enumerate(precision)]
        return cls(_rounded(mean), triangle, [])

    @classmethod
    def from_json(cls, values: Mapping[str, Any], channels: int) -> MemberStatistics:
        """Build them from untrusted JSON; raises ``ValueError`` or ``TypeError``."""
        members = cls(**values)
        size = STATISTICS[channels]
        _require_numbers(members.mean, size)
        _require_numbers(members.distances, PERCENTILES)
        if members.distances != sorted(members.distances):
            raise ValueError("the distances are not percentiles")
        if len(members.precision) != size:
            raise ValueError("the precision is not a matrix of the right size")
        for place, row in enumerate(members.precision):
            _require_numbers(row, place + 1)
        if not is_count(members.images):
            raise ValueError("the number of images is not a whole number")
        return members

    def distance(self, pictures: np.ndarray) -> np.ndarray:
        """Return squared distances, float64 ``[N]``, for uint8 ``[N, S, S, C]``."""
        return self._squared(statistics(pictures))

    def share_beyond(self, pictures: np.ndarray) -> np.ndarray:
        """Return float32 ``[N]``: the share of ``distances`` that are at least each picture's own.

        A tolerance keeps rounding out of it: in a data set whose pictures are all the same, every
        one of them is a member.
        """
        lowered = self.distance(pictures) * (1 - _TOLERANCE) - _TOLERANCE
        within = np.interp(lowered, self.distances, np.linspace(0, 1, PERCENTILES))
        share: np.ndarray = (1 - within).astype(np.float32)
        return share

    def _squared(self, rows: np.ndarray) -> np.ndarray:
        away = rows - np.array(self.mean)
        squared: np.ndarray = ((away @ self._precision) * away).sum(axis=-1)
        return squared

    @functools.cached_property
    def _precision(self) -> np.ndarray:
        size = len(self.mean)
        lower = np.array([row + [0.0] * (size - len(row)) for row in self.precision])
        precision: np.ndarray = lower + np.tril(lower, -1).T
        return precision


def statistics(pictures: np.ndarray) -> np.ndarray:
    """Return float64 ``[N, 27]`` for grey pictures uint8 ``[N, S, S, 1]``, 34 for colour.

    They are statistics of the pictures at 28x28, whatever a network sees of them.

    They say how steep the picture is (quantiles; means by direction, and of the second difference,
    which is mostly noise), how light, how rich in contrast and in colour, and which of its 4x4
    fields are lighter than the others.
    """
    return np.concatenate([_statistics(reduced(batch)) for batch in batches(pictures)])


def _statistics(pictures: np.ndarray) -> np.ndarray:
    # Channels first: NumPy is slow over a last axis of three.
    levels = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).astype(np.float32) / 255
    light = levels.mean(axis=1)
    across = np.abs(np.diff(levels, axis=3)).mean(axis=1)
    down = np.abs(np.diff(levels, axis=2)).mean(axis=1)
    bent = np.abs(np.diff(light, n=2, axis=2))
    count, channels = levels.shape[:2]
    flat = levels.reshape(count, channels, -1)
    steep = np.concatenate([across.reshape(count, -1), down.reshape(count, -1)], axis=1)
    ratios = [
        _quantiles(steep, (0.1, 0.25, 0.5, 0.75, 0.9, 0.98)),
        np.stack([part.mean(axis=(1, 2)) for part in (across, down, bent)], axis=1),
        flat.std(axis=2),
    ]
    if channels == 3:
        saturation = flat.max(axis=1) - flat.min(axis=1)
        ratios.append(_quantiles(saturation, (0.1, 0.5, 0.9)))
    # In the logarithm, twice as much is the same step everywhere; the offset keeps zero finite.
    logarithms = np.log(np.concatenate(ratios, axis=1) + _FLATTEST)
    parts = [logarithms, flat.mean(axis=2), _layout(light)]
    return np.concatenate(parts, axis=1).astype(np.float64)


def _layout(light: np.ndarray) -> np.ndarray:
    """Return ``[N, 16]``: the lightness of 4x4 fields, relative to the picture's own."""
    fields = light.reshape(len(light), 4, 7, 28).mean(axis=2).reshape(len(light), 16, 7)
    fields = fields.mean(axis=2)
    fields -= fields.mean(axis=1, keepdims=True)
    layout: np.ndarray = fields / (fields.std(axis=1, keepdims=True) + _FAINTEST)
    return layout


def _quantiles(values: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    places = [round(share * (values.shape[1] - 1)) for share in shares]
    return np.partition(values, places, axis=1)[:, places]


def _rounded(values: np.ndarray) -> list[float]:
    """Return Python numbers of six digits: further digits are noise, and make a card long."""
    return [float(f"{value:.6g}") for value in values]


def _require_numbers(values: Any, count: int) -> None:
    if not (isinstance(values, list) and len(values) == count and all(map(_is_moderate, values))):
        raise ValueError(f"not {count} numbers")


def _is_moderate(value: Any) -> bool:
    return is_number(value) and abs(value) <= LARGEST
