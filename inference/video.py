"""Frames from video files, through OpenCV."""

import itertools
import threading
from pathlib import Path
from typing import Any, Generator, Iterator, Tuple

import cv2
import numpy as np

from inference.errors import SourceError
from inference.frames import Frame, Sampling, Say

_USUAL_RATE = 25.0
"""Frames a second of a video that does not say."""


class Video:
    """A source of a video file's frames, sampled by their time.

    Args:
        path: the file.
        sampling: ``every`` and ``count``, or ``all_frames``.
    """

    live = False

    def __init__(self, path: Path, sampling: Sampling) -> None:
        self.title = str(path)
        self._path = path
        self._sampling = sampling

    def frames(self, stop: threading.Event, left_out: Say) -> Generator[Frame, None, None]:
        """Give the sampled frames; see ``Source.frames``."""
        capture = cv2.VideoCapture(str(self._path))
        try:
            wanted = itertools.islice(self._sampled(capture), self._sampling.count)
            index = None
            for index, at, image in wanted:
                if stop.is_set():
                    return
                name = "{}-{:06d}".format(self._path.stem, index)
                yield Frame.from_bgr(image, name, self.title, index, at)
        finally:
            capture.release()
        if index is None:
            raise SourceError(
                "{} is neither an image nor a video that this OpenCV can read: it may be damaged, "
                "or need converting".format(self._path)
            )

    def _sampled(self, capture: Any) -> Iterator[Tuple[int, float, np.ndarray]]:
        """Give index, position in seconds and BGR pixels of the frames that are wanted."""
        rate = _frame_rate(capture)
        due = 0.0
        for index in itertools.count():
            if not capture.grab():
                return
            # Half a frame of slack, or rounding would choose the frame after the one that is due.
            if not self._sampling.all_frames and (index + 0.5) / rate < due:
                continue
            readable, image = capture.retrieve()
            if readable:
                due += self._sampling.every
                yield index, index / rate, image


def _frame_rate(capture: Any) -> float:
    """Return frames a second; files without an index say 0, NaN, or a time base's ticks."""
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0 < rate <= 1000 else _USUAL_RATE
