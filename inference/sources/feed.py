"""The newest picture of a camera or stream, and its connection, which may be lost and reopened."""

from __future__ import annotations

import math
import threading
import time

import numpy as np

from hyperhive.common.errors import DatasetError, SourceError
from hyperhive.inference.frames import Frame, Say, to_rgb
from hyperhive.inference.sources.grabber import Grabber, Origin, Pixels
from hyperhive.model.data.images import decode

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0

_HANDOVER_S = 1.0
"""Seconds to wait for a lost connection to close, and for the last attempt to reopen it."""


class Feed:
    """The newest picture of an origin; a lost connection is reopened if possible.

    Args:
        origin: where pictures come from; it is opened when the first one is requested.
        say: is called with a sentence when the connection is lost, and when it is back.
    """

    def __init__(self, origin: Origin, say: Say) -> None:
        self._origin = origin
        self._say = say
        self._grabber: Grabber | None = None
        self._hanging: list[Grabber] = []
        self._had_one = False
        self._numbered = 0

    def newest(self, since: float, stop: threading.Event, index: int | None = None) -> Frame | None:
        """Return a frame that came after a moment of the monotonic clock; None once stopped.

        Args:
            since: the moment.
            stop: ends the wait.
            index: the frame's; None is the number of pictures that came before it.

        Raises ``SourceError`` if no picture comes: at once if none ever came, otherwise after the
        origin's ``absence``.
        """
        outage: _Outage | None = None
        while not stop.is_set():
            until = math.inf if outage is None else outage.until
            try:
                frame = self._undamaged(since, until, stop, index)
            except SourceError as error:
                if not self._had_one:
                    raise
                # The old connection is closed first: most cameras allow one at a time.
                self._disconnect(_HANDOVER_S)
                outage = self._after_loss(error, outage)
                outage.pause(stop)
                continue
            if frame is not None:
                self._had_one = True
                if outage is not None:
                    self._say(f"{self._origin.title} is back")
            return frame
        return None

    def close(self) -> None:
        """Stop reading; release the capture, and lost ones whose read still hung."""
        deadline = time.monotonic() + self._origin.patience.release
        self._disconnect(self._origin.patience.release)
        for grabber in self._hanging:
            grabber.close(max(0.0, deadline - time.monotonic()))

    def _undamaged(
        self, since: float, until: float, stop: threading.Event, index: int | None
    ) -> Frame | None:
        """Return a frame whose picture can be decoded; None once stopped."""
        grabber = self._connected()
        deadline = min(until, time.monotonic() + self._origin.patience.silence)
        while True:
            grabbed = grabber.newest(since, until, stop)
            if grabbed is None:
                return None
            # Only requested pictures are decoded: a slow device that decoded all pictures of a
            # stream would fall behind it.
            started_at = time.perf_counter()
            image = _decoded(grabbed.pixels)
            if image is not None:
                took = grabbed.took + time.perf_counter() - started_at
                number = self._numbered + grabbed.number if index is None else index
                title = self._origin.title
                return Frame.snapshot(image, title, number, grabbed.time, took, grabbed.moment)
            if time.monotonic() > deadline:
                raise SourceError(
                    f"{self._origin.title} gives only pictures that cannot be decoded: "
                    f"{self._origin.advice}"
                )
            since = grabbed.moment

    def _connected(self) -> Grabber:
        if self._grabber is None:
            self._hanging = [grabber for grabber in self._hanging if grabber.is_alive()]
            if self._hanging and self._origin.exclusive:
                raise SourceError(f"{self._origin.title} is held by a read that hangs")
            open_capture = self._origin.open
            if self._origin.on_main:
                capture = open_capture()
                self._grabber = Grabber(self._origin, lambda: capture)
            else:
                self._grabber = Grabber(self._origin, open_capture)
        return self._grabber

    def _disconnect(self, seconds: float) -> None:
        if self._grabber is not None:
            self._grabber.close(seconds)
            if self._grabber.is_alive():
                self._hanging.append(self._grabber)
            self._numbered += self._grabber.count
            self._grabber = None

    def _after_loss(self, error: SourceError, outage: _Outage | None) -> _Outage:
        """Announce a lost connection, or raise ``SourceError`` if it was lost too long ago."""
        title, absence = self._origin.title, self._origin.patience.absence
        if outage is None:
            self._say(f"{title} is lost, trying again: {error}")
            return _Outage(absence)
        if outage.is_over():
            raise SourceError(
                f"{title} went away and did not come back within {absence:.3g} s: {error}"
            ) from error
        self._say(f"{title} is not back yet, trying again in {outage.next_pause:.3g} s")
        return outage


class _Outage:
    """The time during which a lost connection is reopened, with longer and longer pauses.

    ``until`` is the moment of the monotonic clock at which the next attempt is given up.
    """

    def __init__(self, absence: float) -> None:
        self._end = time.monotonic() + absence
        self.next_pause = _FIRST_PAUSE_S
        self.until = math.inf

    def is_over(self) -> bool:
        return time.monotonic() > self._end

    def pause(self, stop: threading.Event) -> None:
        """Wait before the next attempt, but not beyond the end, so that there is a last attempt."""
        stop.wait(min(self.next_pause, max(0.0, self._end - time.monotonic())))
        self.until = max(self._end, time.monotonic() + _HANDOVER_S)
        self.next_pause = min(2 * self.next_pause, _LONGEST_PAUSE_S)


def _decoded(pixels: Pixels) -> np.ndarray | None:
    if not isinstance(pixels, bytes):
        return to_rgb(pixels)
    try:
        return decode(pixels)
    except DatasetError:
        return None
