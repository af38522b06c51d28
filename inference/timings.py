"""How long the parts of the way from a camera to a label take."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import Iterator

import numpy as np

CAPTURE, PREPROCESS, INFER = "capture", "preprocess", "infer"

_KEPT = 10_000
"""Live mode runs for days: of each part the last so many times are known."""


class Timings:
    """Collects seconds a frame of each part, and tells their percentiles."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {
            part: deque(maxlen=_KEPT) for part in (CAPTURE, PREPROCESS, INFER)
        }

    def add(self, part: str, seconds: float) -> None:
        """Take in how long one frame took."""
        self._seconds[part].append(seconds)

    @contextlib.contextmanager
    def measure(self, part: str, frames: int = 1) -> Iterator[None]:
        """Time what is done meanwhile, to so many frames together: each took its share."""
        begun = time.perf_counter()
        yield
        self.add(part, (time.perf_counter() - begun) / frames)

    def rows(self) -> list[tuple[str, float, float]]:
        """Return the parts that were timed, with the 50th and 95th percentile in milliseconds."""
        rows = []
        for part, seconds in self._seconds.items():
            if seconds:
                median, most = np.percentile(np.array(seconds) * 1000, (50, 95))
                rows.append((part, float(median), float(most)))
        return rows
