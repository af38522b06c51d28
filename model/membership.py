"""Whether a picture looks like those a model was trained on at all, whatever the model says of it.

A network that has seen faces of the Simpsons only is as sure of a white wall as of Bart, in its
probabilities and in its features (``benchmarks/unknown.py`` has the figures). What tells the two
apart are a few statistics of the pixels. Of the training images, and of copies of them distorted as
a camera distorts, mean and covariance are kept; a picture is as far away as its Mahalanobis
distance to them (the distance of arXiv:1807.03888, but of pixels' statistics, not of features).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Callable

import numpy as np

STATISTICS = {1: 27, 3: 34}
"""How many statistics there are of pictures with that many channels."""

PERCENTILES = 101

LARGEST = 1e12
"""No number of a spread is larger."""

_TOGETHER = 256
_SHRINKAGE = 1e-3
"""Of the correlations towards 0: two statistics that always agree make a singular matrix."""

_AS_FAR = 1e-3

_FLATTEST, _FAINTEST = 0.01, 0.03
"""Of 0..1: differences of pixels, and contrasts of a picture, far below this are of no interest."""


@dataclass(frozen=True)
class Members:
    """How the statistics of members are spread.

    Args:
        mean: of each statistic.
        precision: the inverse of their covariance matrix, each row up to its diagonal.
        distances: that of held-out members and of distorted copies of these, as 101 percentiles.
    """

    mean: list[float]
    precision: list[list[float]]
    distances: list[float]

    @classmethod
    def of(cls, pictures: np.ndarray, held_out: np.ndarray) -> Members:
        """Return that of members, copies as a camera distorts them among them.

        Args:
            pictures: uint8 ``[N, 28, 28, C]``, N of 1 or more: what is known.
            held_out: such ones that are no copies of these; they give the distances.
        """
        seen, others = statistics(pictures), statistics(held_out)
        mean, scale = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-3)
        correlation = (seen - mean).T @ (seen - mean) / len(seen) / np.outer(scale, scale)
        shrunk = (1 - _SHRINKAGE) * correlation + _SHRINKAGE * np.eye(len(mean))
        precision = np.linalg.inv(shrunk) / np.outer(scale, scale)
        rows = [_plain(row[: place + 1]) for place, row in enumerate(precision)]
        spread = cls(_plain(mean), rows, [])
        distances = np.percentile(spread._squared(others), np.linspace(0, 100, PERCENTILES))
        return cls(spread.mean, rows, _plain(distances))

    def distance(self, pictures: np.ndarray) -> np.ndarray:
        """Return float64 ``[N]``, squared, for uint8 ``[N, 28, 28, C]``."""
        return self._squared(statistics(pictures))

    def share_beyond(self, pictures: np.ndarray) -> np.ndarray:
        """Return float32 ``[N]``: the share of ``distances`` that are no less than each one's.

        What differs by a thousandth is as far: of pictures that are all the same, all are members.
        """
        nearer = self.distance(pictures) * (1 - _AS_FAR) - _AS_FAR
        within = np.interp(nearer, self.distances, np.linspace(0, 1, PERCENTILES))
        share: np.ndarray = (1 - within).astype(np.float32)
        return share

    def _squared(self, found: np.ndarray) -> np.ndarray:
        away = found - np.array(self.mean)
        squared: np.ndarray = ((away @ self._precision) * away).sum(axis=1)
        return squared

    @functools.cached_property
    def _precision(self) -> np.ndarray:
        size = len(self.mean)
        lower = np.array([row + [0.0] * (size - len(row)) for row in self.precision])
        precision: np.ndarray = lower + np.tril(lower, -1).T
        return precision


def statistics(pictures: np.ndarray) -> np.ndarray:
    """Return float64 ``[N, 27]`` for grey pictures uint8 ``[N, 28, 28, 1]``; 34 for colour.

    They are how steep the picture is (quantiles and means, by direction, and of the second
    difference, which is mostly noise), how light, how rich in contrast and in colour, and where it
    is lighter than elsewhere, in 4x4 fields.
    """
    return _in_parts(_statistics, pictures)


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
    # The logarithm makes twice as much the same step everywhere; from nothing it is a long way.
    logarithms = np.log(np.concatenate(ratios, axis=1) + _FLATTEST)
    parts = [logarithms, flat.mean(axis=2), _layout(light)]
    return np.concatenate(parts, axis=1).astype(np.float64)


def _layout(light: np.ndarray) -> np.ndarray:
    fields = light.reshape(len(light), 4, 7, 28).mean(axis=2).reshape(len(light), 16, 7)
    fields = fields.mean(axis=2)
    fields -= fields.mean(axis=1, keepdims=True)
    layout: np.ndarray = fields / (fields.std(axis=1, keepdims=True) + _FAINTEST)
    return layout


def _quantiles(values: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    places = [round(share * (values.shape[1] - 1)) for share in shares]
    return np.partition(values, places, axis=1)[:, places]


def _in_parts(function: Callable[[np.ndarray], np.ndarray], pictures: np.ndarray) -> np.ndarray:
    """Return a function of many pictures: the floats of all at once may be more than memory."""
    parts = range(0, len(pictures), _TOGETHER)
    return np.concatenate([function(pictures[i : i + _TOGETHER]) for i in parts])


def _plain(values: np.ndarray) -> list[float]:
    """Return plain Python numbers of six digits: more are noise, and make a card long."""
    return [float(f"{value:.6g}") for value in values]
