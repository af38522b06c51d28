"""One frame, where frames come from, and how many of them to take."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Callable, Generator, Iterable, Iterator, Protocol

import numpy as np

from hyperhive.common.errors import SourceError, UsageError

DEFAULT_COUNT = 5
DEFAULT_EVERY_S = 2.0
DEFAULT_COUNTDOWN_S = 3.0
_LONGEST_WAIT_S = 86_400.0
_TOGETHER = 64
_PIXELS_TOGETHER = 8_000_000
"""Frames are held in memory while they wait for each other: 8 megapixels are 24 MB."""

Say = Callable[[str], None]
"""Is told a sentence that a person should read."""


def to_rgb(pixels: np.ndarray) -> np.ndarray:
    """Return what OpenCV gives, uint8 ``[H, W, 3]`` and blue first, with red first."""
    import cv2  # here, as images are labelled without it

    # numpy's own reversal takes 50 times as long.
    image: np.ndarray = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return image


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source.

    Args:
        image: uint8 RGB ``[H, W, 3]``, H and W of 1 or more.
        name: relative path without suffix, to call the frame's outputs by.
        source: the file or camera it came from.
        index: number within the source, from 0; of a video, and of a camera in live mode, that of
            the source's own frame.
        time: seconds; the position in a video, Unix time of a camera's picture, None of an image.
        took: seconds that reading it took its source, waiting for a camera included.

    Raises ``SourceError`` for pictures of any other type or shape.
    """

    image: np.ndarray
    name: str
    source: str
    index: int
    time: float | None = None
    took: float = 0.0

    def __post_init__(self) -> None:
        shape = self.image.shape
        if self.image.dtype != np.uint8 or shape[2:] != (3,) or 0 in shape:
            raise SourceError(
                f"{self.source} gives pictures of {self.image.dtype} {shape}, not of 8-bit "
                "colour: choose another source or "
                "another mode of it"
            )

    @classmethod
    def from_bgr(
        cls,
        pixels: np.ndarray,
        name: str,
        source: str,
        index: int,
        time: float | None,
        took: float = 0.0,
    ) -> Frame:
        """Build a frame from what OpenCV gives, whose colours come blue first."""
        usual = pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
        image = to_rgb(pixels) if usual else pixels
        return cls(image, name, source, index, time, took)


@dataclass(frozen=True)
class Sampling:
    """Which frames to take of a source that has more than one wants.

    Args:
        count: frames at most; None is ``DEFAULT_COUNT`` of a camera's snapshots and no limit else.
        every: seconds between two frames.
        countdown: seconds before a camera's first.
        all_frames: every frame of a video, whatever ``every`` says.
        live: without a pause and without an end: of a camera the newest frame, again and again; a
            video at its own pace, as if it were a camera. What comes meanwhile is skipped.
    """

    count: int | None = None
    every: float = DEFAULT_EVERY_S
    countdown: float = DEFAULT_COUNTDOWN_S
    all_frames: bool = False
    live: bool = False

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise UsageError(f"--count must be 1 or more, not {self.count}")
        for option, seconds in (("--every", self.every), ("--countdown", self.countdown)):
            if not (math.isfinite(seconds) and 0 <= seconds <= _LONGEST_WAIT_S):
                raise UsageError(
                    f"{option} must be from 0 to {_LONGEST_WAIT_S:.0f} seconds, not {seconds}"
                )


class Source(Protocol):
    """Where frames come from: images, a video, a camera.

    ``title`` names it to a person. A ``live`` source's frames are labelled each as it comes.
    """

    title: str
    live: bool

    def frames(self, stop: threading.Event, left_out: Say) -> Generator[Frame, None, None]:
        """Give the frames one by one; what was opened for it is closed however it ends.

        Args:
            stop: ends it early once set; every wait is a wait for this.
            left_out: is told of each part that could not be read while the rest goes on.

        Raises ``SourceError`` when there is nothing to give, or nothing more.
        """
        ...


def batches(frames: Iterable[Frame], live: bool) -> Iterator[list[Frame]]:
    """Give frames in lists worth a prediction; one by one if they are live.

    A list holds 64 frames, or fewer once they come to 8 megapixels.
    """
    batch: list[Frame] = []
    pixels = 0
    for frame in frames:
        batch.append(frame)
        pixels += frame.image.shape[0] * frame.image.shape[1]
        if live or len(batch) == _TOGETHER or pixels >= _PIXELS_TOGETHER:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
