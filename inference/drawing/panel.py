"""A picture above lines of text."""

from __future__ import annotations

from typing import Sequence

from PIL import Image

from hyperhive.inference.drawing.overlay import BACKGROUND, WHITE
from hyperhive.inference.drawing.text import Line, draw_text

_WIDTH, _SIDE, _ROW, _PAD = 720, 448, 30, 10


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
