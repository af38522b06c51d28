"""Snapshots from a camera, through OpenCV."""

import math
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Generator, Optional

import cv2
import numpy as np

from inference.errors import SourceError
from inference.frames import DEFAULT_COUNT, Frame, Sampling, Say

_WARM_UP_S = 1.0
"""The first frames of many cameras are dark, green or empty (opencv#23202)."""

_PATIENCE_S = 10.0
"""How long a camera may give nothing; V4L2's own time-out is 10 s."""

_POLL_S = 0.01

_BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION}
"""Named, or OpenCV asks every backend it has, each with complaints of its own."""


class Camera:
    """A source of snapshots: a series of the newest frames of a camera, after a countdown.

    Args:
        index: OpenCV's number of the camera.
        sampling: ``count``, ``every`` and ``countdown``.
        say: is told what is going on.
        open_capture: opens the camera; by default OpenCV's way for this system.
        patience: seconds that the camera may give nothing.
    """

    live = True

    def __init__(
        self,
        index: int,
        sampling: Sampling,
        say: Say,
        open_capture: Optional[Callable[[int], Any]] = None,
        patience: float = _PATIENCE_S,
    ) -> None:
        self.title = "camera {}".format(index)
        self._index = index
        self._sampling = sampling
        self._say = say
        self._open = open_capture or _open_camera
        self._patience = patience

    def frames(self, stop: threading.Event, left_out: Say) -> Generator[Frame, None, None]:
        """Give the snapshots, each grabbed after its time had come; see ``Source.frames``."""
        capture = self._open(self._index)
        if not capture.isOpened():
            capture.release()
            raise SourceError(_no_camera(self._index))
        grabber = _Grabber(capture, self.title, self._patience)
        try:
            begun = last = self._count_down(grabber, stop)
            for index in range(self._sampling.count or DEFAULT_COUNT):
                due = begun + index * self._sampling.every
                stop.wait(max(0.0, due - time.monotonic()))
                shot = grabber.newest(max(due, last), stop)
                if shot is None:
                    return
                last = shot.moment
                stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(shot.time))
                name = "snapshot-{}-{:03d}".format(stamp, index)
                yield Frame.from_bgr(shot.image, name, self.title, index, shot.time)
        finally:
            grabber.close()

    def _count_down(self, grabber: "_Grabber", stop: threading.Event) -> float:
        """Wait for the first frame, then warm up and count down; return when that was over."""
        first = grabber.newest(time.monotonic(), stop)
        if first is not None:
            height, width = first.image.shape[:2]
            self._say("{} gives {}x{} pixels".format(self.title, width, height))
        begins = time.monotonic() + max(_WARM_UP_S, self._sampling.countdown)
        for seconds in range(math.floor(self._sampling.countdown), 0, -1):
            stop.wait(max(0.0, begins - seconds - time.monotonic()))
            if not stop.is_set():
                self._say("{} ...".format(seconds))
        return begins


@dataclass(frozen=True, eq=False)
class _Shot:
    """BGR pixels, Unix time, and the moment on the monotonic clock at which they came."""

    image: np.ndarray
    time: float
    moment: float


class _Grabber:
    """Reads a capture without a pause in a thread of its own, and keeps only the newest frame.

    A capture that is read now and then gives what it buffered seconds ago (opencv#13145).
    """

    def __init__(self, capture: Any, title: str, patience: float) -> None:
        self._capture = capture
        self._title = title
        self._patience = patience
        self._newest: Optional[_Shot] = None
        self._failure: Optional[cv2.error] = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="grabber", daemon=True)
        self._thread.start()

    def newest(self, since: float, stop: threading.Event) -> Optional[_Shot]:
        """Return a frame that came after a moment of the monotonic clock; None once stopped.

        Empty reads are waited out. Raises ``SourceError`` when patience ends, or OpenCV fails.
        """
        deadline = time.monotonic() + self._patience
        while not stop.is_set():
            shot = self._newest
            if shot is not None and shot.moment > since:
                return shot
            if self._failure is not None:
                raise SourceError("{} failed: {}".format(self._title, self._failure))
            if time.monotonic() > deadline:
                raise SourceError(
                    "{} gave no picture for {:.0f} s: check its cable, try another port, and see "
                    "that no other program uses it".format(self._title, self._patience)
                )
            stop.wait(_POLL_S)
        return None

    def close(self) -> None:
        """Stop reading and release the capture."""
        self._closed.set()
        # Within OpenCV's own time-out a read that hangs comes back, and releasing under it crashes.
        self._thread.join(_PATIENCE_S + 1)
        if not self._thread.is_alive():
            self._capture.release()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                readable, image = self._capture.read()
            except cv2.error as error:
                self._failure = error
                return
            if readable and image is not None and image.size:
                self._newest = _Shot(image, time.time(), time.monotonic())
            else:
                self._closed.wait(_POLL_S)


def _open_camera(index: int) -> Any:
    return cv2.VideoCapture(index, _BACKENDS.get(sys.platform, cv2.CAP_ANY))


def _no_camera(index: int) -> str:
    if sys.platform == "darwin":
        hint = (
            "allow your terminal the camera in System Settings > Privacy & Security > Camera, "
            "then run this again"
        )
    else:
        there = sorted(str(path) for path in Path("/dev").glob("video*"))
        hint = "plug one in" if not there else "there is {}".format(", ".join(there))
        hint += ", and see that no other program uses it"
    return "camera {} cannot be opened: {}; or label files with --source FILE-or-FOLDER".format(
        index, hint
    )
