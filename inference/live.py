"""What live mode needs beside labelling: when a frame is kept, what is said, what was skipped."""

from __future__ import annotations

import time

from hyperhive.inference.drawing.overlay import share_of
from hyperhive.inference.drawing.text import pretty
from hyperhive.inference.labelling import Result

_SAID_EVERY_S = 1.0


class Snapshots:
    """Says which frames are kept: those somebody asks for, and one every so many seconds.

    Args:
        every: seconds; None is none by itself, 0 is every frame.
    """

    def __init__(self, every: float | None) -> None:
        self._every = every
        self._due = time.monotonic() + (every or 0.0)

    def takes(self, asked: bool, now: float) -> bool:
        """Whether the frame of this moment of the monotonic clock is kept.

        Args:
            asked: whether somebody asks for it.
            now: the moment.
        """
        if self._every is not None and now >= self._due:
            # From now on: after a time without frames there is nothing to make up for.
            self._due = now + self._every
            return True
        return asked


class Changes:
    """Says what the label is, when it is another one; once a second at the most."""

    def __init__(self) -> None:
        self._label: str | None = None
        self._said = -_SAID_EVERY_S

    def line(self, result: Result, now: float) -> str | None:
        """Return the line to print of a result at this moment of the monotonic clock, if any."""
        prediction = result.prediction
        if prediction.label == self._label or now - self._said < _SAID_EVERY_S:
            return None
        self._label, self._said = prediction.label, now
        said = [time.strftime("%H:%M:%S"), pretty(prediction.label), share_of(prediction)]
        return " ".join(said).rstrip()


class Pace:
    """Counts the frames of a live source that were labelled, and those that were not."""

    def __init__(self) -> None:
        self.frames = 0
        self.skipped = 0
        self._last: int | None = None
        self._begun = time.monotonic()

    def add(self, result: Result) -> None:
        """Count a result."""
        index = result.frame.index
        if self._last is None:
            self._begun = time.monotonic()
        else:
            self.skipped += max(0, index - self._last - 1)
        self._last = index
        self.frames += 1

    def line(self) -> str:
        """Return what it comes to, as a sentence."""
        passed = time.monotonic() - self._begun
        rate = (self.frames - 1) / passed if passed > 0 else 0.0
        return (
            f"{self.frames:,} frames labelled, {rate:.1f} a second; "
            f"{self.skipped:,} that came meanwhile were skipped"
        )
