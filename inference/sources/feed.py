"""The newest picture of a camera or stream, and its connection, which may be lost and reopened."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import Callable, Protocol, Union

import numpy as np

from hyperhive.common.errors import DatasetError, SourceError
from hyperhive.inference.frames import Frame, Say, to_rgb
from hyperhive.model.data.images import decode

_POLL_S = 0.01

_EMPTY_S = 2.0
"""An unplugged camera gives empty reads at once and forever; a hiccup is shorter than this."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0

_HANDOVER_S = 1.0
"""Seconds to wait for a lost connection to close, and for the last attempt to reopen it."""

Pixels = Union[np.ndarray, bytes]
"""BGR pixels, uint8 ``[H, W, 3]``, or an encoded image."""


class Capture(Protocol):
    """A connection to a camera or stream, used and released by one thread."""

    def read(self) -> Pixels | None:
        """Wait for the next picture; return None if nothing came this time.

        Raises ``SourceError`` when nothing more can come.
        """
        ...

    def release(self) -> None:
        """Release the camera."""
        ...


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds.

    Args:
        silence: a connection that gives no picture for this time is lost; V4L2's own limit is 10.
        absence: a lost connection is reopened within this time, or the series ends.
        release: the end waits this long for a read that hangs. Releasing a camera during a read
            crashes, and leaving without a release may block the camera (a Jetson's Argus).
    """

    silence: float = 10.0
    absence: float = 30.0
    release: float = 11.0


@dataclass(frozen=True)
class Origin:
    """Where the pictures of a feed come from.

    Args:
        title: names it to a person; holds no password.
        open: opens it, or raises ``SourceError``.
        advice: what a person can do if no picture comes.
        patience: how long to wait.
        on_main: open it in the main thread only (macOS asks for permission there).
        exclusive: do not reopen it while a lost connection, whose read hangs, holds it.
    """

    title: str
    open: Callable[[], Capture]
    advice: str
    patience: Patience = Patience()
    on_main: bool = False
    exclusive: bool = False


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


@dataclass(frozen=True, eq=False)
class Grabbed:
    """A picture as it was read, not decoded; times as in ``Frame``, ``number`` from 0."""

    pixels: Pixels
    time: float
    moment: float
    number: int
    took: float


class Grabber:
    """One connection, read without a pause by a thread that keeps only the newest picture.

    A capture that is read now and then gives what it buffered seconds ago (opencv#13145). The
    thread opens, reads and releases, so that the caller can leave while any of these hangs.
    ``count`` is the number of pictures that came.
    """

    def __init__(self, origin: Origin, open_capture: Callable[[], Capture]) -> None:
        self._origin = origin
        self._open = open_capture
        self._newest: Grabbed | None = None
        self._failure: Exception | None = None
        self._is_empty = False
        self.count = 0
        self._closed = threading.Event()
        self._started_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="grabber", daemon=True)
        self._thread.start()

    def newest(self, since: float, until: float, stop: threading.Event) -> Grabbed | None:
        """Return a picture that came after ``since`` and before ``until``; None once stopped.

        Waits while reads are empty. Raises ``SourceError`` when patience ends, and the error that
        ended the thread.
        """
        while not stop.is_set():
            failure = self._failure  # first, because the last picture may come before it
            grabbed = self._newest
            if grabbed is not None and grabbed.moment > since:
                return grabbed
            if failure is not None:
                raise failure
            self._require_life(grabbed, until)
            stop.wait(_POLL_S)
        return None

    def close(self, seconds: float) -> None:
        """Have the thread release the capture and end; wait for that up to this time."""
        self._closed.set()
        self._thread.join(seconds)

    def is_alive(self) -> bool:
        """Return whether it still holds its capture."""
        return self._thread.is_alive()

    def _require_life(self, grabbed: Grabbed | None, until: float) -> None:
        silence = self._origin.patience.silence
        last = self._started_at if grabbed is None else grabbed.moment
        limit = min(_EMPTY_S, silence) if grabbed is not None and self._is_empty else silence
        now = time.monotonic()
        if now > min(last + limit, until):
            raise SourceError(
                f"{self._origin.title} gave no picture for {min(limit, now - last):.3g} s: "
                f"{self._origin.advice}"
            )

    def _run(self) -> None:
        try:
            capture = self._open()
        # Any error is for the thread that waits for pictures, which raises it.
        except Exception as error:
            self._failure = error
            return
        self._started_at = time.monotonic()
        try:
            self._read(capture)
        except Exception as error:
            self._failure = error
        finally:
            capture.release()

    def _read(self, capture: Capture) -> None:
        while not self._closed.is_set():
            started_at = time.perf_counter()
            pixels = capture.read()
            self._is_empty = pixels is None or len(pixels) == 0
            if pixels is None or len(pixels) == 0:
                self._closed.wait(_POLL_S)
            else:
                took = time.perf_counter() - started_at
                self._newest = Grabbed(pixels, time.time(), time.monotonic(), self.count, took)
                self.count += 1


def _decoded(pixels: Pixels) -> np.ndarray | None:
    if not isinstance(pixels, bytes):
        return to_rgb(pixels)
    try:
        return decode(pixels)
    except DatasetError:
        return None
