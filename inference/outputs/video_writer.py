"""An annotated video of a series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hyperhive.common.errors import OutputError

_CODECS = (("mp4v", ".mp4"), ("MJPG", ".avi"))
"""The first is small, the second is in every OpenCV."""

_LIVE_RATE = 25.0
_SLOWEST, _FASTEST = 1.0, 60.0
_IMAGE_S = 1.0
_LONGEST_S = 5.0
"""A picture stands no longer, however long the next one took to come: a camera may be away."""


class Film:
    """Writes pictures to a video that plays as they came: each stands until the next.

    The pictures of images, which have no time, stand a second each. The rate is that of the first
    two pictures, or 25 a second of a live source, whose pictures come as they may.

    Args:
        path: of the video, without its suffix, which depends on what this OpenCV can write.
        live: whether it is of live mode.
    """

    def __init__(self, path: Path, live: bool) -> None:
        self._stem = path
        self._live = live
        self._writer: Any | None = None
        self._waiting: tuple[Image.Image, float] | None = None
        self._size = (0, 0)
        self._rate = _LIVE_RATE
        self._begun = 0.0
        self._written = 0
        self.path: Path | None = None

    def add(self, picture: Image.Image, time: float | None) -> None:
        """Take in the next picture; RGB, and seconds on any clock, None of an image.

        Raises ``OutputError`` where this OpenCV can write no video.
        """
        if self._waiting is None:
            self._begun = time or 0.0
        else:
            shown, since = self._waiting
            time = since + _IMAGE_S if time is None else time
            # A clock that was set back, or forward, moves the beginning with it.
            stays = min(max(time - since, 0.0), _LONGEST_S)
            self._begun += time - since - stays
            self._write(shown, time - self._begun, stays)
        self._waiting = (picture, time or 0.0)

    def close(self) -> None:
        """Write the last picture and end the video."""
        if self._waiting is not None:
            shown, since = self._waiting
            stays = 1 / self._rate if self._writer else _IMAGE_S
            self._write(shown, since + stays - self._begun, stays)
        if self._writer is not None:
            self._writer.release()

    def _write(self, picture: Image.Image, until: float, stays: float) -> None:
        """Write a picture as often as it takes to reach that second of the video."""
        if self._writer is None:
            if not self._live and stays > 0:
                self._rate = min(max(1 / stays, _SLOWEST), _FASTEST)
            self._writer = self._opened(picture)
        # Half a frame of slack: times are rounded, and a picture that came in time is not left out.
        frames = int(until * self._rate + 0.5) - self._written
        if frames <= 0:
            return
        pixels = np.ascontiguousarray(np.asarray(self._fitted(picture))[..., ::-1])
        for _ in range(frames):
            self._writer.write(pixels)
        self._written += frames

    def _opened(self, picture: Image.Image) -> Any:
        import cv2  # here, as images are labelled without it

        # Codecs that halve the resolution of colours take even sides only.
        self._size = (picture.width + picture.width % 2, picture.height + picture.height % 2)
        for codec, suffix in _CODECS:
            path = self._stem.with_suffix(suffix)
            fourcc = int.from_bytes(codec.encode("ascii"), "little")
            writer = cv2.VideoWriter(str(path), fourcc, self._rate, self._size)
            if writer.isOpened():
                self.path = path
                return writer
            writer.release()
        raise OutputError(
            "this OpenCV can write no video to {} (tried {}): leave --save-video out, or use "
            "another build of OpenCV".format(
                self._stem.parent, " and ".join(codec for codec, _ in _CODECS)
            )
        )

    def _fitted(self, picture: Image.Image) -> Image.Image:
        """Return a picture at the video's size: whole, on black where its shape is another."""
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
