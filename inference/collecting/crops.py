"""The squares that a model sees, as they are collected, and which of them look the same."""

from __future__ import annotations

import collections
import io
from typing import Iterable

import numpy as np
from PIL import Image

from hyperhive.model.data.images import fit

LARGEST = 256
"""Pixels of a collected picture's side: no network takes more than 224."""

THUMBNAIL = 16
_ALIKE = 3.0
"""Levels of 255. Of 150 pairs of frames of a card that was held still before a noisy camera, all
are alike; of those between which it moved by 3 % of the square, none; 1 % of those in which it came
5 % closer; 5 % of those in which it turned by 5 degrees, as balls do (``benchmarks/alike.py``)."""

_RECENT = 50
_PNG_LEVEL = 1
"""Of compression: faster than the usual 6, for files that are a little larger."""


def reduced_crop(square: np.ndarray) -> np.ndarray:
    """Return a square, uint8 RGB ``[S, S, 3]``, with a side of 256 at most."""
    return fit(square, 3, LARGEST) if len(square) > LARGEST else square


def as_png(picture: np.ndarray) -> bytes:
    """Return a picture, uint8 RGB ``[S, S, 3]``, as a PNG file."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG", compress_level=_PNG_LEVEL)
    return data.getvalue()


def thumbnail(square: np.ndarray) -> np.ndarray:
    """Return what ``Recent`` compares of a square: float32 ``[256]``, levels around their mean.

    Without the mean, a camera whose exposure changes a little shows nothing new.
    """
    grey = fit(square, 1, THUMBNAIL).reshape(-1).astype(np.float32)
    centred: np.ndarray = grey - grey.mean()
    return centred


class Recent:
    """The thumbnails of the latest pictures, to which a new one may look the same.

    Args:
        thumbnails: those of earlier pictures, the latest last; only 50 are remembered.
    """

    def __init__(self, thumbnails: Iterable[np.ndarray] = ()) -> None:
        self._thumbnails = collections.deque(thumbnails, maxlen=_RECENT)

    def has_alike(self, seen: np.ndarray) -> bool:
        """Return whether one of them differs from a thumbnail by 3 levels or less on average."""
        if not self._thumbnails:
            return False
        differences = np.abs(np.stack(self._thumbnails) - seen).mean(axis=1)
        return bool(differences.min() <= _ALIKE)

    def add(self, seen: np.ndarray) -> None:
        """Remember a thumbnail, and forget the oldest if there are more than 50."""
        self._thumbnails.append(seen)

    def forget(self, seen: np.ndarray) -> None:
        """Forget a thumbnail that was added: its picture is gone."""
        others = (each for each in self._thumbnails if each is not seen)
        self._thumbnails = collections.deque(others, self._thumbnails.maxlen)
