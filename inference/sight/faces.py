"""Faces in pictures, found with the cascade that OpenCV ships (Viola and Jones 2001)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Iterator

import cv2
import numpy as np

from hyperhive.common.errors import SourceError
from hyperhive.inference.sight.square import Box, square_around

_CASCADE = "haarcascade_frontalface_default.xml"
_SHARES = ("share/opencv4", "share/opencv", "share/OpenCV", "local/share/opencv4")
"""Where systems install it, below ``/usr`` or Python's own prefix; a Jetson in the first."""

_LONGEST = 320
"""Pixels of the longer side of the picture that is searched. The time grows with their square."""

_SMALLEST = 24
"""Pixels of the smallest face's side in that picture: the cascade's own, and a 13th of 320."""

_STEP = 1.2
"""From one size of faces to the next; with OpenCV's default of 1.1 it takes much longer."""

_NEIGHBOURS = 4
"""A face needs this many hits that agree."""

_MARGIN = 1.5
"""Side of the crop in sides of the box that was found. The cascade's box ends at the forehead and
the chin; hair, ears and hats tell people and characters apart."""


class FaceFinder:
    """Finds the faces in a picture that look at the camera.

    Raises ``SourceError`` if this OpenCV has no cascade.
    """

    finds_faces = True

    def __init__(self) -> None:
        detector = getattr(cv2, "CascadeClassifier", None)
        if detector is None:
            raise SourceError(
                f"--faces needs OpenCV 4, because OpenCV {cv2.__version__} has no face detector: "
                "pip install 'opencv-python<5'"
            )
        path = next((path for path in _places() if path.is_file()), None)
        if path is None:
            raise SourceError(
                f"--faces needs {_CASCADE}, which this OpenCV does not have: "
                "sudo apt install opencv-data, or pip install 'opencv-python<5'"
            )
        self._cascade: Any = detector()
        _read(self._cascade, path)

    def boxes(self, image: np.ndarray) -> list[Box]:
        """Return a box for each face, the largest first.

        It is 1.5 times as large as the face from forehead to chin, and lies inside the picture.

        Args:
            image: uint8 RGB ``[H, W, 3]``.
        """
        height, width = image.shape[:2]
        scale = min(1.0, _LONGEST / max(height, width))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        found = self._cascade.detectMultiScale(
            cv2.equalizeHist(grey),
            scaleFactor=_STEP,
            minNeighbors=_NEIGHBOURS,
            minSize=(_SMALLEST, _SMALLEST),
        )
        faces = sorted((tuple(map(int, face)) for face in found), key=lambda face: -face[2])
        return [_crop(face, scale, width, height) for face in faces]


def _read(cascade: Any, path: Path) -> None:
    try:
        is_read = cascade.load(str(path))
    except cv2.error:  # what is no XML; of other XML it returns False
        is_read = False
    if not is_read:
        raise SourceError(f"--faces cannot read {path}: install OpenCV's data again")


def _crop(face: tuple[int, ...], scale: float, width: int, height: int) -> Box:
    """Return what the model sees of a face that was found in the reduced picture."""
    x, y, side = (number / scale for number in face[:3])
    return square_around(x + side / 2, y + side / 2, _MARGIN * side, width, height)


def _places() -> Iterator[Path]:
    """Yield where the cascade may be: in OpenCV's own package, then where systems install it."""
    data = getattr(cv2, "data", None)  # a Jetson's own OpenCV has none
    if data is not None:
        yield Path(data.haarcascades) / _CASCADE
    for prefix in (Path(sys.prefix), Path("/usr")):
        for share in _SHARES:
            yield prefix / share / "haarcascades" / _CASCADE
