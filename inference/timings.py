"""How long each step from a camera to a label takes."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import Iterator

import numpy as np

CAPTURE, FIND, PREPROCESS, INFER = "capture", "find faces", "preprocess", "infer"

_KEPT = 10_000
"""Times that are kept of each step, because live mode runs for days."""


class Timings:
    """Collects the seconds that each step takes per frame, and returns their percentiles."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {
            step: deque(maxlen=_KEPT) for step in (CAPTURE, FIND, PREPROCESS, INFER)
        }

    def add(self, step: str, seconds: float) -> None:
        """Add the time that one frame took."""
        self._seconds[step].append(seconds)

    @contextlib.contextmanager
    def measure(self, step: str, frames: int = 1) -> Iterator[None]:
        """Time a block that handles this many frames together; each frame took an equal share."""
        started_at = time.perf_counter()
        yield
        self.add(step, (time.perf_counter() - started_at) / frames)

    def rows(self) -> list[tuple[str, float, float]]:
        """Return the steps that were timed, with the 50th and 95th percentile in milliseconds."""
        rows = []
        for step, seconds in self._seconds.items():
            if seconds:
                median, high = np.percentile(np.array(seconds) * 1000, (50, 95))
                rows.append((step, float(median), float(high)))
        return rows
