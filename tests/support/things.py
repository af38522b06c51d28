"""Somebody who shows drawn things to a network camera, each before several backgrounds."""

from __future__ import annotations

import functools

import numpy as np

from benchmarks._bursts import Random, burst
from support.mjpeg import MjpegServer

BALL, BOX, STAR, CROSS = "ball", "box", "star", "cross"
_EACH = 8
"""Frames of a burst, which are shown again and again."""
_TREMBLE = 1.0
"""So much that no two frames look the same to a collection."""


@functools.lru_cache(maxsize=None)
def moment(name: str, number: int) -> tuple[np.ndarray, ...]:
    """Return the frames of a burst of a thing, uint8 RGB ``[480, 480, 3]``."""
    return tuple(burst(name, _EACH, Random(1000 * sum(name.encode()) + number), _TREMBLE))


class Shown(MjpegServer):
    """A camera before which somebody holds a thing."""

    def __init__(self, fps: float = 15.0) -> None:
        super().__init__(fps)
        self.show(BALL, 0)
        self.picture = lambda number: self._frames[number % _EACH]

    def show(self, name: str, number: int) -> None:
        """Hold up a thing before the background, and in the light, of this number."""
        self._frames = moment(name, number)
