"""Text on pictures: always within its box, whatever fonts and whichever Pillow a device has."""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import NamedTuple, Tuple

from PIL import Image, ImageDraw, ImageFont, features

Colour = Tuple[int, int, int]
Box = Tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels; the last two are outside."""

_FONTS = ("DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf")
"""What Linux, macOS and Windows have, and knows more letters than Pillow's own font."""

_SMALLEST_SHARE = 0.7
"""Letters shrink to this share of their size before any is left out."""

_BITMAP_HEIGHT = 11


def printable(text: str) -> str:
    """Return text as one line that does nothing to a terminal: names may hold any character."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def pretty(name: str) -> str:
    """Return a class name as one would write it: ``bart_simpson`` is ``bart simpson``."""
    return printable(" ".join(name.replace("_", " ").split()) or name)


def percent(share: float) -> str:
    """Return a probability in per cent, never 100 % for what is not certain."""
    return f"{100 if share == 1 else min(share * 100, 99):.0f} %"


class Line(NamedTuple):
    """A line of text, and how it is set."""

    text: str
    colour: Colour
    to_right: bool = False
    """Whether it ends at the right edge of its box."""
    cut_left: bool = False
    """Whether a line that is too long loses its beginning: of a path the end tells more."""


def draw_text(canvas: Image.Image, box: Box, line: Line) -> None:
    """Write one line in a box; where it is too long, smaller, and then shortened.

    Letters that the font lacks become boxes or question marks.

    Args:
        canvas: RGB, is drawn on.
        box: where; letters take at most about two thirds of its height.
        line: what.
    """
    left, top, right, bottom = box
    stamp = _stamp(printable(line.text), bottom - top, right - left, line.cut_left)
    x = right - stamp.width if line.to_right else left
    canvas.paste(line.colour, (x, top + (bottom - top - stamp.height) // 2), stamp)


@functools.lru_cache(maxsize=512)
def _stamp(text: str, height: int, width: int, cut_left: bool) -> Image.Image:
    """Return text as a mask of at most that size; labels come again and again, so it is kept."""
    stamp = _mask(text, height)
    size = height
    if stamp.width > width:
        size = int(height * max(_SMALLEST_SHARE, width / stamp.width))
        stamp = _mask(text, size)
    kept = len(text)
    while stamp.width > width and kept > 1:
        # In proportion to what is too much, or a long text takes as many steps as it has letters.
        kept = max(1, min(kept - 1, kept * width // stamp.width))
        stamp = _mask("..." + text[-kept:] if cut_left else text[:kept].rstrip() + "...", size)
    return stamp.crop((0, 0, min(stamp.width, width), min(stamp.height, height)))


def _mask(text: str, height: int) -> Image.Image:
    height = max(1, height)
    font = _font(max(1, round(height * 0.72)))
    if isinstance(font, ImageFont.FreeTypeFont):
        length = ImageDraw.Draw(Image.new("L", (1, 1))).textlength(text, font=font)
        mask = Image.new("L", (int(length) + 1, height))
        ImageDraw.Draw(mask).text((0, height // 2), text, fill=255, font=font, anchor="lm")
        return mask
    known = text.encode("latin-1", "replace").decode("latin-1")
    length = ImageDraw.Draw(Image.new("L", (1, 1))).textlength(known, font=font)
    mask = Image.new("L", (max(1, int(length)), _BITMAP_HEIGHT))
    ImageDraw.Draw(mask).text((0, 0), known, fill=255, font=font)
    scale = max(1, round(height * 0.8 / _BITMAP_HEIGHT))
    return mask.resize((mask.width * scale, mask.height * scale), Image.Resampling.NEAREST)


@functools.lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font of that size in pixels, or the one size there is of Pillow's bitmap font."""
    if features.check("freetype2"):
        for name in _FONTS:
            with contextlib.suppress(OSError):  # not on this device
                return ImageFont.truetype(name, size)
        if "size" in inspect.signature(ImageFont.load_default).parameters:  # since Pillow 10.1
            return ImageFont.load_default(size)
    return ImageFont.load_default()
