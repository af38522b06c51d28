"""A picture above lines of text."""

from __future__ import annotations

from typing import Sequence

from PIL import Image, ImageDraw

from hyperhive.inference.drawing.overlay import BACKGROUND, WHITE
from hyperhive.inference.drawing.text import Line, draw_text

_WIDTH, _SIDE, _ROW, _PAD = 720, 448, 30, 10
_SMALLEST_ROW = 18
_ROWS = 30
"""Rows of text that a picture's width would be high."""


def panel(picture: Image.Image, lines: Sequence[str]) -> Image.Image:
    """Return a square picture, enlarged, above lines of text: RGB, 720 pixels wide."""
    canvas = Image.new("RGB", (_WIDTH, _SIDE + len(lines) * _ROW + 2 * _PAD), BACKGROUND)
    canvas.paste(
        picture.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), ((_WIDTH - _SIDE) // 2, 0)
    )
    _draw_lines(canvas, lines, _SIDE + _PAD, _ROW, _PAD)
    return canvas


def with_lines(picture: Image.Image, lines: Sequence[str], flash: bool = False) -> Image.Image:
    """Return an RGB picture above lines of text of its width, in a white frame if it flashes."""
    row = max(_SMALLEST_ROW, picture.width // _ROWS)
    pad = row // 2
    canvas = Image.new("RGB", (picture.width, picture.height + len(lines) * row + pad), BACKGROUND)
    canvas.paste(picture, (0, 0))
    if flash:
        ImageDraw.Draw(canvas).rectangle(
            (0, 0, picture.width - 1, picture.height - 1), outline=WHITE, width=pad
        )
    _draw_lines(canvas, lines, picture.height, row, pad)
    return canvas


def _draw_lines(canvas: Image.Image, lines: Sequence[str], top: int, row: int, pad: int) -> None:
    for number, line in enumerate(lines):
        first = top + number * row
        draw_text(canvas, (pad, first, canvas.width - pad, first + row), Line(line, WHITE))
