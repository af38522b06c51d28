"""A small picture in a terminal: each character is two pixels, one above the other."""

from __future__ import annotations

import numpy as np
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from hyperhive.model.data.images import fit

_SIDE = 40
_SMALLEST = 8
_UPPER_HALF = "\u2580"


def blocks(square: np.ndarray, to: Console) -> Text | None:
    """Return a square picture as coloured half blocks; None if the terminal cannot show it.

    rich reduces the colours to those that the terminal has.

    Args:
        square: uint8 RGB ``[S, S, 3]``.
        to: the terminal; the picture leaves it room for text.
    """
    side = min(_SIDE, to.width - 1, 2 * (to.height - 9)) // 2 * 2
    has_colours = to.color_system is not None and not to.no_color
    if not has_colours or not to.encoding.startswith("utf") or side < _SMALLEST:
        return None
    pixels = fit(square, 3, side).tolist()
    text = Text(no_wrap=True)
    for upper, lower in zip(pixels[::2], pixels[1::2]):
        for above, below in zip(upper, lower):
            text.append(
                _UPPER_HALF, Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            )
        text.append("\n")
    return text
