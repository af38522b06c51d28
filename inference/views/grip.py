"""How the mouse moves and resizes the guide square in the window."""

from __future__ import annotations

from typing import Callable

from hyperhive.inference.sight.guide import Guide
from hyperhive.inference.sight.square import FULL, Box, Square, square_around

_REACH = 6
"""A corner is caught within this part of the square's side."""
_NEAREST = 8.0
"""Pixels within which any corner is caught."""

_SMALLEST = 0.05
"""Side of the smallest square that can be dragged, as a share of the picture's shorter side."""


class Grip:
    """Drags the guide: at a corner it is resized, anywhere else inside it is moved.

    Places are pixels of what the window shows.

    Args:
        guide: the square of the run.
    """

    def __init__(self, guide: Guide) -> None:
        self._guide = guide
        self._picture = Box(0, 0, 1, 1)
        self._drag: Callable[[int, int], Box] | None = None

    def show(self, picture: Box) -> None:
        """Tell where in the window the camera's picture is."""
        self._picture = picture

    def press(self, x: int, y: int) -> None:
        """Begin to drag what is at this place."""
        x, y = x - self._picture.x, y - self._picture.y
        box = self._guide.square.box(self._picture.width, self._picture.height)
        reach = max(_NEAREST, box.width / _REACH)
        for right in (0, 1):
            for lower in (0, 1):
                corner = (box.x + right * box.width, box.y + lower * box.height)
                if max(abs(x - corner[0]), abs(y - corner[1])) <= reach:
                    self._drag = self._resizing(box, bool(right), bool(lower))
                    return
        if box.x <= x < box.x + box.width and box.y <= y < box.y + box.height:
            self._drag = self._moving(box, x, y)

    def move(self, x: int, y: int) -> None:
        """Go on to this place, if something is being dragged."""
        if self._drag is not None:
            width, height = self._picture[2:]
            box = self._drag(x - self._picture.x, y - self._picture.y)
            self._guide.square = Square.of(box, width, height)

    def release(self, x: int, y: int) -> None:
        """End the drag at this place; the square is kept."""
        if self._drag is not None:
            self.move(x, y)
            self._guide.keep()
            self._drag = None

    def reset(self) -> None:
        """Return to the full square."""
        self._drag = None
        self._guide.square = FULL
        self._guide.keep()

    def _moving(self, box: Box, from_x: int, from_y: int) -> Callable[[int, int], Box]:
        width, height = self._picture[2:]
        half = box.width / 2

        def moved(x: int, y: int) -> Box:
            centre = (box.x + half + x - from_x, box.y + half + y - from_y)
            return square_around(*centre, box.width, width, height)

        return moved

    def _resizing(self, box: Box, right: bool, lower: bool) -> Callable[[int, int], Box]:
        """Return the drag of one corner, while the opposite one stays where it is."""
        width, height = self._picture[2:]
        fixed_x = box.x if right else box.x + box.width
        fixed_y = box.y if lower else box.y + box.height
        most = min(width - fixed_x if right else fixed_x, height - fixed_y if lower else fixed_y)
        least = max(1, round(_SMALLEST * min(width, height)))

        def resized(x: int, y: int) -> Box:
            across = x - fixed_x if right else fixed_x - x
            down = y - fixed_y if lower else fixed_y - y
            side = min(max(across, down, least), most)
            left = fixed_x if right else fixed_x - side
            return Box(left, fixed_y if lower else fixed_y - side, side, side)

        return resized
