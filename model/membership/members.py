"""Whether a picture is like the training images: its distance, and how like a photograph it is.

A network that has only seen faces of the Simpsons is as sure of a white wall as of Bart, both in
its probabilities and in its features (``benchmarks/unknown.py`` has the figures). Statistics of the
pixels tell the two apart. Their mean and covariance are taken over the training images and over
copies distorted as by a camera. A picture's distance is its Mahalanobis distance to them (Lee et
al. 2018, arXiv:1807.03888, but of pixel statistics instead of features).

Photographs are not far from drawings, so a small network tells them apart by more statistics. It
has learned from the members and from squares of three photographs (outlier exposure, Hendrycks et
al. 2019, arXiv:1812.04606).

How far away members may be, and how like a photograph, is found by cross-fitting: the distances of
each twentieth of the images are to the mean and covariance of the others. So every image counts,
also in a set of fifty, and none is measured by statistics that it is a part of.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Mapping

import numpy as np

from hyperhive.common.values import is_count, is_fraction
from hyperhive.model.membership.classifier import PhotographClassifier
from hyperhive.model.membership.numbers import (
    PERCENTILES,
    folds_of,
    percentiles,
    require_numbers,
    rounded,
    share_beyond,
)
from hyperhive.model.membership.statistics import OF_DISTANCE, STATISTICS, of_texture, statistics

_SHRINKAGE = 1e-3
"""Least weight that shrinks the correlations towards 0: without it, two statistics that always
agree would make the matrix singular. To it is added 1/N for N images, as if one more image had
shown no correlation: those of few images are mostly chance."""

_FOLDS = 20

_SMALLEST_STD = 1e-3

_TOLERANCE = 1e-3
"""Distances that differ by no more than this, relative and absolute, count as equal."""

_RARER_BY_DISTANCE, _RARER_BY_LOOK = 2.5, 5 / 3
"""How many times fewer members the distance refuses where there is a classifier, and the classifier
itself: 2 % and 3 % at a threshold of 5 %, so that 95 % or more pass both. What is no photograph is
far away, so a smaller share is enough for the distance. A larger one for the classifier refuses too
many members in the worst of rooms (``benchmarks/camera.py``)."""

_LEAST_SEPARATION = 0.25
"""Least share of a photograph that a classifier must refuse, which has not seen it, to be used. It
is five times the share of members that it refuses."""


@dataclass(frozen=True)
class MemberStatistics:
    """Mean and spread of the statistics of members.

    Args:
        mean: of each statistic.
        precision: the inverse of their covariance matrix, each row up to its diagonal.
        distances: squared distances of members and their distorted copies, each to statistics that
            it is no part of, as 101 percentiles.
        images: the number of members; None in a card of an earlier version.
        photographs: tells members from photographs; None in a card of an earlier version, and where
            the members are too like photographs.
        separation: which share of a photograph a classifier refused that had not seen it, at a
            threshold that 95 % of members pass; None in a card of an earlier version.
    """

    mean: list[float]
    precision: list[list[float]]
    distances: list[float]
    images: int | None = None
    photographs: PhotographClassifier | None = None
    separation: float | None = None

    @classmethod
    def of(
        cls,
        versions: np.ndarray,
        photographs: np.ndarray | None = None,
        series: np.ndarray | None = None,
    ) -> MemberStatistics:
        """Return the statistics of members and of copies of them, distorted as by a camera.

        Args:
            versions: uint8 ``[V, N, 28, 28, C]``, V and N of 2 or more: the N members, then V - 1
                copies of each. Among the distances the members weigh as much as all copies.
            photographs: uint8 ``[P, M, 28, 28, C]``: M squares of each of P photographs, P of 2 or
                more. With None there is no classifier.
            series: int64 ``[N]``, which members are of one series, see ``data.series``: it is left
                out whole, because a new picture is not of a series that is known. None if each
                is by itself.
        """
        every = np.stack([statistics(version) for version in versions])
        rows = every[..., : OF_DISTANCE[versions.shape[-1]]]
        count = rows.shape[1]
        fold = folds_of(count, _FOLDS, series)
        squared = np.empty(rows.shape[:2])
        for number in range(fold.max() + 1):
            inside = fold == number
            squared[:, inside] = cls._fitted(rows[:, ~inside])._squared(rows[:, inside])
        members = replace(cls._fitted(rows), distances=percentiles(squared), images=count)
        return members if photographs is None else members._told_from(photographs, every, series)

    def _told_from(
        self, photographs: np.ndarray, every: np.ndarray, series: np.ndarray | None
    ) -> MemberStatistics:
        """Return these with a classifier, if it tells members ``[V, N, S]`` from photographs."""
        # Here, because a device that only reads a card may lack PyTorch.
        from hyperhive.model.membership.fitting import fitted

        classifier, separation = fitted(
            every, np.stack([statistics(one) for one in photographs]), series
        )
        used = classifier if separation >= _LEAST_SEPARATION else None
        return replace(self, photographs=used, separation=separation)

    @classmethod
    def _fitted(cls, rows: np.ndarray) -> MemberStatistics:
        """Return mean and precision of statistics float64 ``[V, N, S]``, without distances."""
        known = rows.reshape(-1, rows.shape[2])
        mean, scale = known.mean(axis=0), np.maximum(known.std(axis=0), _SMALLEST_STD)
        correlation = (known - mean).T @ (known - mean) / len(known) / np.outer(scale, scale)
        weight = min(_SHRINKAGE + 1 / rows.shape[1], 1.0)
        shrunk = (1 - weight) * correlation + weight * np.eye(len(mean))
        precision = np.linalg.inv(shrunk) / np.outer(scale, scale)
        triangle = [rounded(row[: place + 1]) for place, row in enumerate(precision)]
        return cls(rounded(mean), triangle, [])

    @classmethod
    def from_json(cls, values: Mapping[str, Any], channels: int) -> MemberStatistics:
        """Build them from untrusted JSON; raises ``ValueError`` or ``TypeError``."""
        fields = dict(values)
        photographs = fields.pop("photographs", None)
        if photographs is not None:
            size = of_texture(np.empty(STATISTICS[channels])).size
            photographs = PhotographClassifier.from_json(photographs, size)
        members = cls(photographs=photographs, **fields)
        size = OF_DISTANCE[channels]
        require_numbers(members.mean, size)
        require_numbers(members.distances, PERCENTILES)
        if members.distances != sorted(members.distances):
            raise ValueError("the distances are not percentiles")
        if len(members.precision) != size:
            raise ValueError("the precision is not a matrix of the right size")
        for place, row in enumerate(members.precision):
            require_numbers(row, place + 1)
        if not is_count(members.images):
            raise ValueError("the number of images is not a whole number")
        if not (members.separation is None or is_fraction(members.separation)):
            raise ValueError("the separation is not in 0..1")
        return members

    def distance(self, pictures: np.ndarray) -> np.ndarray:
        """Return squared distances, float64 ``[N]``, for uint8 ``[N, S, S, C]``."""
        return self._squared(statistics(pictures))

    def share_beyond(self, pictures: np.ndarray) -> np.ndarray:
        """Return float32 ``[N]``, 0 to 1: the share of members that are at least as unlike members.

        Without a classifier it is the share of ``distances`` that are at least the picture's own.
        With one it is the smaller of two: that share, raised so that 2 % count as 5 %, and the
        share of members that are at least as like a photograph, raised so that 3 % count as 5 %.

        A tolerance keeps rounding out of it: in a data set whose pictures are all the same, every
        one of them is a member.
        """
        rows = statistics(pictures)
        lowered = self._squared(rows) * (1 - _TOLERANCE) - _TOLERANCE
        share = share_beyond(lowered, self.distances)
        if self.photographs is not None:
            look = self.photographs.share_beyond(rows)
            share = np.minimum(
                1 - (1 - share) ** _RARER_BY_DISTANCE, 1 - (1 - look) ** _RARER_BY_LOOK
            )
        return share.astype(np.float32)

    def _squared(self, rows: np.ndarray) -> np.ndarray:
        """Return squared distances ``[...]`` of statistics ``[..., S]``; the first ones count."""
        away = rows[..., : len(self.mean)] - np.array(self.mean)
        squared: np.ndarray = ((away @ self._precision) * away).sum(axis=-1)
        return squared

    @functools.cached_property
    def _precision(self) -> np.ndarray:
        size = len(self.mean)
        lower = np.array([row + [0.0] * (size - len(row)) for row in self.precision])
        precision: np.ndarray = lower + np.tril(lower, -1).T
        return precision
