"""An annotated video of a series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hyperhive.common.errors import OutputError

_CODECS = (("mp4v", ".mp4"), ("MJPG", ".avi"))
"""The first makes small files, the second is in every OpenCV."""

_LIVE_RATE = 25.0
_SLOWEST, _FASTEST = 10.0, 60.0
"""Frames per second of a video whose pictures have times: later ones may come at a higher rate."""
_IMAGE_S = 1.0
_LONGEST_S = 5.0
"""A picture stands no longer than this, even if the camera was away for an hour after it."""


class VideoWriter:
    """Writes pictures to a video that plays at their own times: each stands until the next.

    The pictures of image files have no time: each stands for one second, and the frame rate is one
    per second. Otherwise it is the rate of the first two pictures, from 10 to 60 per second, and 25
    per second in live mode, whose pictures come irregularly.

    Args:
        path: of the video, without its suffix, which depends on what this OpenCV can write.
        live: whether it is of live mode.
    """

    def __init__(self, path: Path, live: bool) -> None:
        self._stem = path
        self._live = live
        self._has_times = False
        self._writer: Any | None = None
        self._waiting: tuple[Image.Image, float] | None = None
        self._size = (0, 0)
        self._rate = _LIVE_RATE
        self._started_at = 0.0
        self._written = 0
        self.path: Path | None = None

    def add(self, picture: Image.Image, time: float | None) -> None:
        """Add the next picture.

        Args:
            picture: RGB.
            time: seconds on any clock; None for an image file.

        Raises ``OutputError`` if this OpenCV cannot write videos.
        """
        self._has_times = time is not None
        if self._waiting is None:
            self._started_at = time or 0.0
        else:
            shown, since = self._waiting
            time = since + _IMAGE_S if time is None else time
            # A gap that is cut short, and a clock that was set back, move the start with them.
            stays = min(max(time - since, 0.0), _LONGEST_S)
            self._started_at += time - since - stays
            self._write(shown, time - self._started_at, stays)
        self._waiting = (picture, time or 0.0)

    def close(self) -> None:
        """Write the last picture and end the video."""
        if self._waiting is not None:
            shown, since = self._waiting
            stays = 1 / self._rate if self._writer else _IMAGE_S
            self._write(shown, since + stays - self._started_at, stays)
        if self._writer is not None:
            self._writer.release()

    def _write(self, picture: Image.Image, until: float, stays: float) -> None:
        """Write a picture as often as it takes to reach that second of the video."""
        if self._writer is None:
            if not self._has_times:
                self._rate = 1 / _IMAGE_S
            elif not self._live and stays > 0:
                self._rate = min(max(1 / stays, _SLOWEST), _FASTEST)
            self._writer = self._opened(picture)
        # Half a frame of tolerance: times are rounded, and a picture in time must not be dropped.
        frames = int(until * self._rate + 0.5) - self._written
        if frames <= 0:
            return
        pixels = np.ascontiguousarray(np.asarray(self._fitted(picture))[..., ::-1])
        for _ in range(frames):
            self._writer.write(pixels)
        self._written += frames

    def _opened(self, picture: Image.Image) -> Any:
        import cv2  # here, because images are classified without OpenCV

        # Codecs that halve the resolution of colours need even sides.
        self._size = (picture.width + picture.width % 2, picture.height + picture.height % 2)
        for codec, suffix in _CODECS:
            path = self._stem.with_suffix(suffix)
            fourcc = int.from_bytes(codec.encode("ascii"), "little")
            writer = cv2.VideoWriter(str(path), fourcc, self._rate, self._size)
            if writer.isOpened():
                self.path = path
                return writer
            writer.release()
        codecs = " and ".join(codec for codec, _ in _CODECS)
        raise OutputError(
            f"this OpenCV cannot write a video to {self._stem.parent} (tried {codecs}): omit "
            "--save-video, or use another build of OpenCV"
        )

    def _fitted(self, picture: Image.Image) -> Image.Image:
        """Return a picture at the video's size: whole, on black if its shape is another."""
        if picture.size == self._size:
            return picture
        scale = min(self._size[0] / picture.width, self._size[1] / picture.height, 1.0)
        if scale < 1:
            size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        whole = Image.new("RGB", self._size)
        left = (self._size[0] - picture.width) // 2
        whole.paste(picture, (left, (self._size[1] - picture.height) // 2))
        return whole
