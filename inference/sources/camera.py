"""Snapshots of a camera or a stream, or all of its pictures in live mode."""

from __future__ import annotations

import itertools
import math
import threading
import time
from typing import Generator, Iterator

from hyperhive.inference.frames import Frame, Say
from hyperhive.inference.settings import DEFAULT_COUNT, Sampling
from hyperhive.inference.sources.feed import Feed
from hyperhive.inference.sources.grabber import Origin

_WARM_UP_S = 1.0
"""The first frames of many cameras are dark, green or empty (opencv#23202)."""


class Camera:
    """A source of snapshots: a series of the newest frames of a camera, after a countdown.

    In live mode it gives the newest frame again and again, from the first one on.

    Args:
        origin: the camera or stream.
        sampling: ``count``, ``every`` and ``countdown``, or ``live``.
        say: is called with a sentence about the camera and the countdown.
        size: width and height that were requested.
        hint: is appended to the sentence that names the camera.
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
        """Yield the snapshots, each grabbed after it was due; see ``Source.frames``."""
        feed = Feed(self._origin, self._say)
        try:
            yield from self._live(feed, stop) if self._sampling.live else self._series(feed, stop)
        finally:
            feed.close()

    def _series(self, feed: Feed, stop: threading.Event) -> Iterator[Frame]:
        interval = self._sampling.interval
        starts_at = last = self._count_down(feed, stop)
        for index in range(self._sampling.count or DEFAULT_COUNT):
            due = starts_at + index * interval
            stop.wait(max(0.0, due - time.monotonic()))
            frame = feed.newest(max(due, last), stop, index)
            if frame is None:
                return
            last = frame.moment
            if last - due > interval:
                # After an outage the series is delayed; missed snapshots are not taken at once.
                starts_at += last - due
            yield frame

    def _live(self, feed: Feed, stop: threading.Event) -> Iterator[Frame]:
        last = self._first(feed, stop)
        for _ in itertools.islice(itertools.count(), self._sampling.count):
            frame = feed.newest(last, stop)
            if frame is None:
                return
            last = frame.moment
            yield frame

    def _first(self, feed: Feed, stop: threading.Event) -> float:
        """Wait for the first picture and announce its size; return its moment.

        Once stopped, return the present moment.
        """
        first = feed.newest(time.monotonic(), stop)
        if first is None:
            return time.monotonic()
        height, width = first.image.shape[:2]
        self._say(self._size_sentence(width, height))
        return first.moment

    def _count_down(self, feed: Feed, stop: threading.Event) -> float:
        """Wait for the first picture, then count down; return when the series starts."""
        self._first(feed, stop)
        starts_at = time.monotonic() + max(_WARM_UP_S, self._sampling.countdown)
        for seconds in range(math.floor(self._sampling.countdown), 0, -1):
            stop.wait(max(0.0, starts_at - seconds - time.monotonic()))
            if not stop.is_set():
                self._say(f"{seconds} ...")
        return starts_at

    def _size_sentence(self, width: int, height: int) -> str:
        sentence = f"{self.title} gives {width}x{height} pixels"
        if self._size is not None and self._size != (width, height):
            sentence += f" instead of the requested {self._size[0]}x{self._size[1]}"
        return sentence + self._hint
