"""One picture of a whole series: small frames in rows, each with its label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from hyperhive.inference.drawing import overlay
from hyperhive.inference.drawing.text import Line, draw_text
from hyperhive.inference.labelling import Result

MOST = 48
_COLUMNS = 8
_TILE, _CAPTION, _NAME, _SHARE, _GAP, _HEADER = 196, 25, 20, 52, 12, 44
"""Pixels; 196 is seven times the 28 of the model's own input."""

_COUNT_WIDTH = 190


class _Tile(NamedTuple):
    picture: Image.Image
    label: Line
    share: Line
    name: Line


class ContactSheet:
    """Collects any number of results, and draws up to ``MOST`` of them, evenly spread.

    It holds at most twice that number. When it is full, it drops every second result, and from then
    on takes only every second one that is added.
    """

    def __init__(self) -> None:
        self._tiles: list[_Tile] = []
        self._stride = 1
        self._seen = 0

    def add(self, result: Result) -> None:
        """Add a result."""
        if self._seen % self._stride == 0:
            self._tiles.append(_tile(result))
            if len(self._tiles) == 2 * MOST:
                self._tiles = self._tiles[::2]
                self._stride *= 2
        self._seen += 1

    def draw(self, title: str) -> Image.Image:
        """Return the sheet, under a line with the title and the number of results.

        At least one result must have been added.
        """
        spread = np.linspace(0, len(self._tiles) - 1, min(MOST, len(self._tiles)))
        tiles = [self._tiles[i] for i in spread.round().astype(int)]
        columns = min(_COLUMNS, max(3, int(np.ceil(np.sqrt(1.5 * len(tiles))))))
        rows = -(-len(tiles) // columns)
        step, line = _TILE + _GAP, _TILE + _CAPTION + _NAME + _GAP
        size = (_GAP + columns * step, _HEADER + rows * line + _GAP)
        sheet = Image.new("RGB", size, overlay.BACKGROUND)
        self._draw_header(sheet, title, len(tiles))
        for number, tile in enumerate(tiles):
            row, column = divmod(number, columns)
            _paste(sheet, tile, _GAP + column * step, _HEADER + row * line)
        return sheet

    def _draw_header(self, sheet: Image.Image, title: str, shown: int) -> None:
        count = f"{self._seen:,} frames" if self._seen > 1 else "1 frame"
        if shown < self._seen:
            count = f"{shown} of {count}"
        split = sheet.width - _GAP - _COUNT_WIDTH
        draw_text(sheet, (_GAP, 0, split, _HEADER), Line(title, overlay.WHITE))
        right = (split, 6, sheet.width - _GAP, _HEADER - 6)
        draw_text(sheet, right, Line(count, overlay.GREY, to_right=True))


def _tile(result: Result) -> _Tile:
    prediction = result.prediction
    colour = overlay.colour_of(prediction, result.agrees)
    return _Tile(
        overlay.viewfinder(result, _TILE, _TILE),
        Line(result.caption, colour),
        Line("" if result.faces else overlay.share_of(prediction), colour, to_right=True),
        Line(result.frame.name, overlay.GREY, cut_left=True),
    )


def _paste(sheet: Image.Image, tile: _Tile, left: int, top: int) -> None:
    corner = (
        left + (_TILE - tile.picture.width) // 2,
        top + (_TILE - tile.picture.height) // 2,
    )
    sheet.paste(tile.picture, corner)
    right, below = left + _TILE, top + _TILE
    draw_text(sheet, (left, below, right - _SHARE - 4, below + _CAPTION), tile.label)
    draw_text(sheet, (right - _SHARE, below, right, below + _CAPTION), tile.share)
    draw_text(sheet, (left, below + _CAPTION, right, below + _CAPTION + _NAME), tile.name)
