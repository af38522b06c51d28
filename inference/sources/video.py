"""Frames from video files, through OpenCV."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path
from typing import Any, Generator, Iterator

import cv2
import numpy as np

from hyperhive.common.errors import SourceError
from hyperhive.inference.frames import Frame, Say
from hyperhive.inference.settings import Sampling

_USUAL_RATE = 25.0
"""Frames per second of a video that does not give its rate."""


class Video:
    """A source of the frames of a video file, sampled by their time.

    Args:
        path: the file.
        sampling: ``every`` and ``count``, or ``all_frames``, or ``live``.
    """

    def __init__(self, path: Path, sampling: Sampling) -> None:
        self.live = sampling.live
        self.title = str(path)
        self._path = path
        self._sampling = sampling

    def frames(self, stop: threading.Event, left_out: Say) -> Generator[Frame, None, None]:
        """Yield the sampled frames; see ``Source.frames``."""
        capture = cv2.VideoCapture(str(self._path))
        try:
            chosen = self._paced(capture, stop) if self.live else self._sampled(capture)
            index = None
            started_at = time.perf_counter()
            for index, position, image in itertools.islice(chosen, self._sampling.count):
                if stop.is_set():
                    return
                name = f"{self._path.stem}-{index:06d}"
                took = time.perf_counter() - started_at
                yield Frame.from_bgr(image, name, self.title, index, position, took)
                started_at = time.perf_counter()
        finally:
            capture.release()
        if index is None:
            raise SourceError(
                f"{self._path} is neither an image nor a video that this OpenCV can read: it may "
                "be damaged, or need to be converted"
            )

    def _sampled(self, capture: Any) -> Iterator[tuple[int, float, np.ndarray]]:
        """Yield index, position in seconds and BGR pixels of the sampled frames."""
        rate = _frame_rate(capture)
        due = 0.0
        for index in itertools.count():
            if not capture.grab():
                return
            # Half a frame of tolerance, because rounding would choose the frame after the due one.
            if not self._sampling.all_frames and (index + 0.5) / rate < due:
                continue
            readable, image = capture.retrieve()
            if readable:
                due += self._sampling.interval
                yield index, index / rate, image

    def _paced(
        self, capture: Any, stop: threading.Event
    ) -> Iterator[tuple[int, float, np.ndarray]]:
        """Yield the same for the newest frame, as if the video were being filmed now."""
        rate = _frame_rate(capture)
        started_at = time.monotonic()
        for index in itertools.count():
            if not capture.grab():
                return
            if started_at + (index + 1) / rate < time.monotonic():
                continue  # the next frame is due already
            stop.wait(started_at + index / rate - time.monotonic())
            readable, image = capture.retrieve()
            if readable:
                yield index, index / rate, image


def _frame_rate(capture: Any) -> float:
    """Return frames per second; files without an index give 0, NaN, or the ticks of a time base."""
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0 < rate <= 1000 else _USUAL_RATE
