"""The newest picture of a camera or stream, whatever becomes of the connection to it."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import Callable, Protocol, Union

import numpy as np

from hyperhive.common.errors import DatasetError, SourceError
from hyperhive.inference.frames import Say, to_rgb
from hyperhive.model.data.images import decode

_POLL_S = 0.01

_EMPTY_S = 2.0
"""A camera that was pulled out gives empty reads at once and for ever; a hiccup is shorter."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0

_HANDOVER_S = 1.0
"""So long a lost connection is waited for, and the last try to have it again may take."""

Pixels = Union[np.ndarray, bytes]
"""BGR pixels, uint8 ``[H, W, 3]``, or an encoded image."""


class Capture(Protocol):
    """A connection to a camera or stream, used and released by one thread."""

    def read(self) -> Pixels | None:
        """Wait for the next picture; None if nothing came this time.

        Raises ``SourceError`` when nothing more can come.
        """
        ...

    def release(self) -> None:
        """Set the camera free."""
        ...


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds.

    Args:
        silence: a connection that gives no picture for so long is lost; V4L2's own limit is 10.
        absence: so long a lost connection is tried to be had again.
        release: so long the end waits for a read that hangs. To release a camera under it crashes,
            and whoever leaves without may leave the camera blocked (a Jetson's Argus).
    """

    silence: float = 10.0
    absence: float = 30.0
    release: float = 11.0


@dataclass(frozen=True)
class Origin:
    """Where a feed's pictures come from.

    Args:
        title: names it to a person; holds no password.
        open: opens it, or raises ``SourceError``.
        advice: what a person can do if no picture comes.
        patience: how long to wait.
        on_main: it may only be opened in the main thread (macOS asks for permission there).
        exclusive: it is not opened again while a lost connection, whose read hangs, holds it.
    """

    title: str
    open: Callable[[], Capture]
    advice: str
    patience: Patience = Patience()
    on_main: bool = False
    exclusive: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a feed.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        time: Unix time at which it came.
        moment: the same on the monotonic clock.
        number: how many came before it, those that nobody wanted included.
        took: seconds of waiting for it and decoding it.
    """

    image: np.ndarray
    time: float
    moment: float
    number: int
    took: float


class Feed:
    """The newest picture of an origin; a connection that is lost is had again, if it can be.

    Args:
        origin: where pictures come from; it is opened when the first is wanted.
        say: is told what becomes of the connection.
    """

    def __init__(self, origin: Origin, say: Say) -> None:
        self._origin = origin
        self._say = say
        self._grabber: Grabber | None = None
        self._hanging: list[Grabber] = []
        self._had_one = False
        self._numbered = 0

    def newest(self, since: float, stop: threading.Event) -> Picture | None:
        """Return a picture that came after a moment of the monotonic clock; None once stopped.

        Raises ``SourceError`` when there is none to be had: at once where none ever came, else
        after the origin's patience.
        """
        lost_at: float | None = None
        pause = _FIRST_PAUSE_S
        until = math.inf
        while not stop.is_set():
            try:
                picture = self._whole(since, until, stop)
            except SourceError as error:
                if not self._had_one:
                    raise
                self._disconnect(_HANDOVER_S)
                lost_at = self._tell_loss(error, lost_at, pause)
                end = lost_at + self._origin.patience.absence
                stop.wait(min(pause, max(0.0, end - time.monotonic())))
                until = max(end, time.monotonic() + _HANDOVER_S)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                continue
            if picture is not None and lost_at is not None:
                self._say(f"{self._origin.title} is back")
            self._had_one = self._had_one or picture is not None
            return picture
        return None

    def close(self) -> None:
        """Stop reading and release the capture, and those whose read hung when they were lost."""
        deadline = time.monotonic() + self._origin.patience.release
        self._disconnect(self._origin.patience.release)
        for grabber in self._hanging:
            grabber.close(max(0.0, deadline - time.monotonic()))

    def _whole(self, since: float, until: float, stop: threading.Event) -> Picture | None:
        """Return a picture that is not damaged; None once stopped."""
        grabber = self._connected()
        deadline = min(until, time.monotonic() + self._origin.patience.silence)
        while True:
            shot = grabber.newest(since, until, stop)
            if shot is None:
                return None
            # Only what is wanted is decoded: a slow device that decoded every picture of a stream
            # would fall behind it.
            begun = time.perf_counter()
            image = _decoded(shot.pixels)
            if image is not None:
                took = shot.took + time.perf_counter() - begun
                number = self._numbered + shot.number
                return Picture(image, shot.time, shot.moment, number, took)
            if time.monotonic() > deadline:
                raise SourceError(
                    f"{self._origin.title} gives only pictures that cannot be read: "
                    f"{self._origin.advice}"
                )
            since = shot.moment

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

    def _tell_loss(self, error: SourceError, lost_at: float | None, pause: float) -> float:
        """Say that the connection is lost, or end it; return when it was lost."""
        title, now = self._origin.title, time.monotonic()
        if lost_at is None:
            self._say(f"{title} is lost, trying again: {error}")
            return now
        if now - lost_at > self._origin.patience.absence:
            raise SourceError(
                f"{title} went away and did not come back within "
                f"{self._origin.patience.absence:.3g} s: {error}"
            ) from error
        self._say(f"{title} is not back yet, trying again in {pause:.3g} s")
        return lost_at


@dataclass(frozen=True, eq=False)
class _Shot:
    pixels: Pixels
    time: float
    moment: float
    number: int
    took: float


class Grabber:
    """One connection, read without a pause by a thread that keeps only the newest picture.

    A capture that is read now and then gives what it buffered seconds ago (opencv#13145). The
    thread opens, reads and releases: whoever waits can leave while any of these hangs. ``count``
    is how many pictures came.
    """

    def __init__(self, origin: Origin, open_capture: Callable[[], Capture]) -> None:
        self._origin = origin
        self._open = open_capture
        self._newest: _Shot | None = None
        self._failure: Exception | None = None
        self._is_empty = False
        self.count = 0
        self._closed = threading.Event()
        self._begun = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="grabber", daemon=True)
        self._thread.start()

    def newest(self, since: float, until: float, stop: threading.Event) -> _Shot | None:
        """Return a picture that came after one moment and before another; None once stopped.

        Empty reads are waited out. Raises ``SourceError`` when patience ends, and what ended the
        thread.
        """
        while not stop.is_set():
            failure = self._failure  # first: the last picture may come before it
            shot = self._newest
            if shot is not None and shot.moment > since:
                return shot
            if failure is not None:
                raise failure
            self._require_life(shot, until)
            stop.wait(_POLL_S)
        return None

    def close(self, seconds: float) -> None:
        """Have the thread release and end; wait for that, if it hangs no longer than this."""
        self._closed.set()
        self._thread.join(seconds)

    def is_alive(self) -> bool:
        """Return whether it still holds its capture."""
        return self._thread.is_alive()

    def _require_life(self, shot: _Shot | None, until: float) -> None:
        silence = self._origin.patience.silence
        last = self._begun if shot is None else shot.moment
        limit = min(_EMPTY_S, silence) if shot is not None and self._is_empty else silence
        now = time.monotonic()
        if now > min(last + limit, until):
            raise SourceError(
                f"{self._origin.title} gave no picture for {min(limit, now - last):.3g} s: "
                f"{self._origin.advice}"
            )

    def _run(self) -> None:
        try:
            capture = self._open()
        # Whatever it is, it is for the one who waits for pictures, who raises it.
        except Exception as error:
            self._failure = error
            return
        self._begun = time.monotonic()
        try:
            self._read(capture)
        except Exception as error:
            self._failure = error
        finally:
            capture.release()

    def _read(self, capture: Capture) -> None:
        while not self._closed.is_set():
            begun = time.perf_counter()
            pixels = capture.read()
            self._is_empty = pixels is None or len(pixels) == 0
            if pixels is None or len(pixels) == 0:
                self._closed.wait(_POLL_S)
            else:
                took = time.perf_counter() - begun
                self._newest = _Shot(pixels, time.time(), time.monotonic(), self.count, took)
                self.count += 1


def _decoded(pixels: Pixels) -> np.ndarray | None:
    if not isinstance(pixels, bytes):
        return to_rgb(pixels)
    try:
        return decode(pixels)
    except DatasetError:
        return None
