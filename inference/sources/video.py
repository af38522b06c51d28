"""Frames from video files, through OpenCV."""

from __future__ import annotations

import itertools
import math
import statistics
import threading
import time
from pathlib import Path
from typing import Any, Generator, Iterator

import cv2
import numpy as np

from hyperhive.common.errors import SourceError
from hyperhive.common.wording import percent
from hyperhive.inference.frames import Frame, Say
from hyperhive.inference.settings import Sampling

_USUAL_RATE = 25.0
"""Frames per second of a video that does not give its rate."""
_FASTEST_RATE = 1000.0
_STEADY = 0.1
"""Frames that come this near to the rate that a file claims, as a share, come at that rate."""
_MAY_LACK = 2
_WHOLE = 0.95
"""A file is whole with this share of its frames, or if it lacks two: its number is an estimate."""


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
        timeline, interval = _Timeline(capture), self._sampling.interval
        due = 0.0
        for index, position in timeline.frames():
            # Half a frame of tolerance, because rounding would choose the frame after the due one.
            reached = position + timeline.half_a_frame()
            if not self._sampling.all_frames and reached < due:
                continue
            readable, image = capture.retrieve()
            if readable:
                if interval:
                    # What is due before this frame is not made up for after a gap.
                    due += interval * ((reached - due) // interval + 1)
                yield index, position, image
        timeline.require_whole(self._path)

    def _paced(
        self, capture: Any, stop: threading.Event
    ) -> Iterator[tuple[int, float, np.ndarray]]:
        """Yield the same for the newest frame, as if the video were being filmed now."""
        timeline = _Timeline(capture)
        started_at = time.monotonic()
        for index, position in timeline.frames():
            if started_at + position + 1 / timeline.rate < time.monotonic():
                continue  # the next frame is due already
            stop.wait(started_at + position - time.monotonic())
            readable, image = capture.retrieve()
            if readable:
                yield index, position, image
        timeline.require_whole(self._path)


class _Timeline:
    """The times of a video's frames, as the file gives them: a phone's frame rate varies.

    ``rate`` is in frames per second: on average, or what the file claims.
    """

    def __init__(self, capture: Any) -> None:
        self._capture = capture
        # Files without an index give 0, NaN, or the ticks of a time base.
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0 < rate <= _FASTEST_RATE else _USUAL_RATE
        self._gaps: list[float] = []

    def frames(self) -> Iterator[tuple[int, float]]:
        """Grab one frame after the other; yield its index and its position in seconds."""
        begin = position = 0.0
        for index in itertools.count():
            if not self._capture.grab():
                return
            seconds = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000 - begin
            if index == 0:
                # OpenCV before 4.5 gives the time of the next frame: only differences are right.
                begin = seconds if math.isfinite(seconds) else 0.0
            else:
                # A file without times gives 0 again and again; damaged ones go back.
                goes_on = math.isfinite(seconds) and seconds > position
                self._gaps.append(seconds - position if goes_on else 1 / self.rate)
                position += self._gaps[-1]
            yield index, position

    def half_a_frame(self) -> float:
        """Return half of the seconds that the last frame took; no more than the rate's."""
        return min(1 / self.rate, self._gaps[-1]) / 2 if self._gaps else 0.0

    def require_whole(self, path: Path) -> None:
        """Raise ``SourceError`` if clearly fewer frames came than the file says that it has.

        Many files give only a duration, and OpenCV computes their number of frames with the rate
        that they claim. Where frames come at another rate, durations are compared.
        """
        seen, promised = len(self._gaps) + 1, float(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not (math.isfinite(promised) and seen + _MAY_LACK < promised):
            return
        usual = statistics.median(self._gaps) if self._gaps else 1 / self.rate
        seconds = sum(self._gaps) + usual
        is_steady = abs(usual * self.rate - 1) < _STEADY
        share = seen / promised if is_steady else seconds / (promised / self.rate)
        if share < _WHOLE:
            raise SourceError(
                f"{path} is damaged: only {percent(share, 0)} of its frames could be read, up to "
                f"second {seconds:.1f}; the others are missing from the results"
            )
