"""One frame, and where frames come from."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Callable, Generator, Iterable, Iterator, Protocol

import numpy as np

from hyperhive.common.errors import SourceError

_BATCH = 64
_BATCH_PIXELS = 8_000_000
"""A batch is held in memory: 8 megapixels are 24 MB."""

Say = Callable[[str], None]
"""Takes a sentence that a person should read."""


def to_rgb(pixels: np.ndarray) -> np.ndarray:
    """Return OpenCV's pixels, uint8 BGR ``[H, W, 3]``, as RGB."""
    import cv2  # here, because images are classified without OpenCV

    # NumPy's own reversal takes 50 times as long.
    image: np.ndarray = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return image


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source.

    Args:
        image: uint8 RGB ``[H, W, 3]``, H and W of 1 or more.
        name: relative path without a suffix, which names the frame's outputs.
        source: the file or camera that it came from.
        index: number within the source, from 0. In a video, and in a camera's live mode, the number
            of the source's own frame.
        time: seconds: the position in a video, Unix time of a camera's picture, None for an image.
        took: seconds that the source took to read it, including the wait for a camera.
        moment: seconds on the monotonic clock when a camera's picture arrived, 0 for a file.

    Raises ``SourceError`` for pictures of any other type or shape.
    """

    image: np.ndarray
    name: str
    source: str
    index: int
    time: float | None = None
    took: float = 0.0
    moment: float = 0.0

    def __post_init__(self) -> None:
        shape = self.image.shape
        if self.image.dtype != np.uint8 or shape[2:] != (3,) or 0 in shape:
            raise SourceError(
                f"{self.source} gives pictures of {self.image.dtype} {shape}, not of 8-bit "
                "colour: choose another source, or another of its modes"
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
        """Build a frame from OpenCV's pixels, which are BGR."""
        is_usual = pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
        image = to_rgb(pixels) if is_usual else pixels
        return cls(image, name, source, index, time, took)

    @classmethod
    def snapshot(
        cls, image: np.ndarray, source: str, index: int, time: float, took: float, moment: float
    ) -> Frame:
        """Build the frame of a camera; its name holds the local time and the index."""
        name = f"snapshot-{_stamp(time)}-{index:03d}"
        return cls(image, name, source, index, time, took, moment)


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(seconds))


class Source(Protocol):
    """Where frames come from: images, a video, a camera.

    ``title`` names it to a person. The frames of a ``live`` source are classified one by one, as
    they arrive.
    """

    title: str
    live: bool

    def frames(self, stop: threading.Event, left_out: Say) -> Generator[Frame, None, None]:
        """Yield the frames; whatever was opened for them is closed however the series ends.

        Args:
            stop: ends it early once set; every wait waits for this too.
            left_out: is called with a sentence about each part that could not be read, while the
                rest goes on.

        Raises ``SourceError`` if there is nothing to give, or nothing more.
        """
        ...


def batches(frames: Iterable[Frame], live: bool) -> Iterator[list[Frame]]:
    """Yield frames in lists that are worth one prediction; one by one if they are live.

    A list holds 64 frames, or fewer if they reach 8 megapixels.
    """
    batch: list[Frame] = []
    pixels = 0
    for frame in frames:
        batch.append(frame)
        pixels += frame.image.shape[0] * frame.image.shape[1]
        if live or len(batch) == _BATCH or pixels >= _BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
