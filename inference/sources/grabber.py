"""One connection to a camera or stream, read by a thread that keeps the newest picture."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Callable, Protocol, Union

import numpy as np

from hyperhive.common.errors import SourceError

_POLL_S = 0.01

_EMPTY_S = 2.0
"""An unplugged camera gives empty reads at once and forever; a hiccup is shorter than this."""

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
