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
    for number, line in enumerate(lines):
        top = _SIDE + _PAD + number * _ROW
        draw_text(canvas, (_PAD, top, _WIDTH - _PAD, top + _ROW), Line(line, WHITE))
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
    for number, line in enumerate(lines):
        top = picture.height + number * row
        draw_text(canvas, (pad, top, picture.width - pad, top + row), Line(line, WHITE))
    return canvas
