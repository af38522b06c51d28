"""Snapshots from a camera or a stream, or all that it can give."""

from __future__ import annotations

import itertools
import math
import threading
import time
from typing import Generator, Iterator

from hyperhive.inference.frames import DEFAULT_COUNT, Frame, Sampling, Say
from hyperhive.inference.sources.feed import Feed, Origin, Picture

_WARM_UP_S = 1.0
"""The first frames of many cameras are dark, green or empty (opencv#23202)."""


class Camera:
    """A source of snapshots: a series of the newest frames of a camera, after a countdown.

    In live mode it is the newest frame, again and again, from the first on.

    Args:
        origin: the camera or stream.
        sampling: ``count``, ``every`` and ``countdown``, or ``live``.
        say: is told what is going on.
        size: width and height that were asked for.
        hint: is added where it tells what camera it found.
    """

    live = True

    def __init__(
        self,
        origin: Origin,
        sampling: Sampling,
        say: Say,
        size: tuple[int, int] | None = None,
        hint: str = "",
    ) -> None:
        self.title = origin.title
        self._origin = origin
        self._sampling = sampling
        self._say = say
        self._size = size
        self._hint = hint

    def frames(self, stop: threading.Event, left_out: Say) -> Generator[Frame, None, None]:
        """Give the snapshots, each grabbed after its time had come; see ``Source.frames``."""
        feed = Feed(self._origin, self._say)
        try:
            yield from self._live(feed, stop) if self._sampling.live else self._series(feed, stop)
        finally:
            feed.close()

    def _series(self, feed: Feed, stop: threading.Event) -> Iterator[Frame]:
        begun = last = self._count_down(feed, stop)
        for index in range(self._sampling.count or DEFAULT_COUNT):
            due = begun + index * self._sampling.every
            stop.wait(max(0.0, due - time.monotonic()))
            picture = feed.newest(max(due, last), stop)
            if picture is None:
                return
            last = picture.moment
            if last - due > self._sampling.every:
                begun += last - due  # after an outage, not all that it missed at once
            yield self._frame(picture, index)

    def _live(self, feed: Feed, stop: threading.Event) -> Iterator[Frame]:
        last = self._first(feed, stop)
        for _ in itertools.islice(itertools.count(), self._sampling.count):
            picture = feed.newest(last, stop)
            if picture is None:
                return
            last = picture.moment
            yield self._frame(picture, picture.number)

    def _frame(self, picture: Picture, index: int) -> Frame:
        name = f"snapshot-{stamp(picture.time)}-{index:03d}"
        return Frame(picture.image, name, self.title, index, picture.time, picture.took)

    def _first(self, feed: Feed, stop: threading.Event) -> float:
        """Wait for the first picture, and tell of it; return when that was, or now once stopped."""
        first = feed.newest(time.monotonic(), stop)
        if first is None:
            return time.monotonic()
        height, width = first.image.shape[:2]
        self._say(self._size_given(width, height))
        return first.moment

    def _count_down(self, feed: Feed, stop: threading.Event) -> float:
        """Wait for the first frame, then warm up and count down; return when that was over."""
        self._first(feed, stop)
        begins = time.monotonic() + max(_WARM_UP_S, self._sampling.countdown)
        for seconds in range(math.floor(self._sampling.countdown), 0, -1):
            stop.wait(max(0.0, begins - seconds - time.monotonic()))
            if not stop.is_set():
                self._say(f"{seconds} ...")
        return begins

    def _size_given(self, width: int, height: int) -> str:
        text = f"{self.title} gives {width}x{height} pixels"
        if self._size not in (None, (width, height)):
            text += ", not the {}x{} that were asked for".format(*self._size or ())
        return text + self._hint


def stamp(seconds: float) -> str:
    """Return Unix time as it stands in the names of snapshots."""
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(seconds))
