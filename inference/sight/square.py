"""The square of a picture that the model sees, and boxes of pixels."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hyperhive.common.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

FULL_TEXT = "full"
_NUMBER = r"(\d{1,3}(?:\.\d*)?|\.\d+)"
_SQUARE = re.compile(rf"\s*{_NUMBER}\s*,\s*{_NUMBER}\s*,\s*{_NUMBER}\s*")
_DIGITS = 4


class Box(NamedTuple):
    """A rectangle of a picture, in its pixels; ``x`` and ``y`` are its left upper corner."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """Return this part of an image, ``[H, W, ...]``, as a view."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]

    def scaled(self, before: tuple[int, int], after: tuple[int, int]) -> Box:
        """Return the same rectangle of a picture that was resized, by its widths and heights."""
        across, down = after[0] / before[0], after[1] / before[1]
        left, top = int(self.x * across), int(self.y * down)
        right, bottom = (self.x + self.width) * across, (self.y + self.height) * down
        return Box(left, top, max(1, round(right) - left), max(1, round(bottom) - top))


def square_around(x: float, y: float, side: float, width: int, height: int) -> Box:
    """Return the square around a point, moved and reduced so that it lies inside the picture.

    Args:
        x: of the point, in pixels.
        y: of the point, in pixels.
        side: of the square, in pixels.
        width: of the picture.
        height: of the picture.
    """
    whole = min(max(1, round(side)), width, height)
    left = min(max(0, _rounded(x - whole / 2)), width - whole)
    top = min(max(0, _rounded(y - whole / 2)), height - whole)
    return Box(left, top, whole, whole)


def _rounded(number: float) -> int:
    """Return the nearest whole number; of two the lower one, as a centred square has it."""
    return math.ceil(number - 0.5)


@dataclass(frozen=True)
class Square:
    """The square that the model sees, for pictures of any size.

    Args:
        x: of its centre, as a share of the picture's width, 0 to 1.
        y: of its centre, as a share of the picture's height, 0 to 1.
        size: of its side, as a share of the picture's shorter side, above 0 to 1.

    Raises ``UsageError`` for other numbers.
    """

    x: float = 0.5
    y: float = 0.5
    size: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1 and 0 < self.size <= 1):
            raise UsageError(
                f"the square {self} lies outside the picture: X and Y of its centre, and SIZE, "
                "are shares of the picture from 0 to 1"
            )

    def __str__(self) -> str:
        """Return it as ``parse`` reads it."""
        return ",".join(f"{share:g}" for share in (self.x, self.y, self.size))

    @classmethod
    def parse(cls, text: str) -> Square:
        """Return the square of ``0.5,0.4,0.6`` or ``full``; raises ``UsageError``."""
        if text == FULL_TEXT:
            return FULL
        match = _SQUARE.fullmatch(text)
        if not match:
            raise UsageError(
                f"--square must be X,Y,SIZE, such as 0.5,0.4,0.6, or full, not {text}: shares of "
                "the picture's width, height and shorter side"
            )
        return cls(*map(float, match.groups()))

    @classmethod
    def of(cls, box: Box, width: int, height: int) -> Square:
        """Return the square of these pixels of a picture of this size."""
        shares = (
            (box.x + box.width / 2) / width,
            (box.y + box.height / 2) / height,
            box.width / min(width, height),
        )
        return cls(*(round(share, _DIGITS) for share in shares))

    def box(self, width: int, height: int) -> Box:
        """Return its pixels in a picture of this size; a square that leaves it is moved inside."""
        side = self.size * min(width, height)
        return square_around(self.x * width, self.y * height, side, width, height)

    def fits(self, width: int, height: int) -> bool:
        """Return whether it lies inside a picture of this size, but for a pixel of rounding."""
        half = self.size * min(width, height) / 2 - 1
        x, y = self.x * width, self.y * height
        return half <= x <= width - half and half <= y <= height - half


FULL = Square()
"""The largest square, in the middle of the picture."""
