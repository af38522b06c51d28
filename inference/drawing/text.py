"""Text on pictures: it stays within its box with any fonts and any Pillow that a device has."""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import NamedTuple, Tuple

from PIL import Image, ImageDraw, ImageFont, features

from hyperhive.common import fonts
from hyperhive.common.text import printable

Colour = Tuple[int, int, int]
Box = Tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""

_FONTS = ("DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf")
"""Fonts of Linux, macOS and Windows that have more letters than Pillow's own font."""

_SMALLEST_SHARE = 0.7
"""Letters shrink to this share of their size before any is omitted."""

_BITMAP_HEIGHT = 11
_USUAL_SIZE = 20


class Line(NamedTuple):
    """A line of text, and how it is drawn."""

    text: str
    colour: Colour
    to_right: bool = False
    """Whether it ends at the right edge of its box."""
    cut_left: bool = False
    """Whether a line that is too long loses its beginning: the end of a path says more."""


def draw_text(canvas: Image.Image, box: Box, line: Line) -> None:
    """Write one line in a box; a long line is written smaller, and then shortened.

    It is written in a font of this device that has all its letters. Without one, those that the
    default font lacks are escaped.

    Args:
        canvas: RGB; it is drawn on.
        box: the place; letters take at most about two thirds of its height.
        line: the text.
    """
    left, top, right, bottom = box
    stamp = _stamp(line.text, bottom - top, right - left, line.cut_left)
    x = right - stamp.width if line.to_right else left
    canvas.paste(line.colour, (x, top + (bottom - top - stamp.height) // 2), stamp)


@functools.lru_cache(maxsize=512)
def _stamp(text: str, height: int, width: int, cut_left: bool) -> Image.Image:
    """Return text as a mask of at most that size; it is cached, because labels recur."""
    text, font = _drawable(printable(text))
    stamp = _mask(text, height, font)
    size = height
    if stamp.width > width:
        size = int(height * max(_SMALLEST_SHARE, width / stamp.width))
        stamp = _mask(text, size, font)
    letters = len(text)
    while stamp.width > width and letters > 1:
        # In proportion to the excess: one letter at a time is slow for a long text.
        letters = max(1, min(letters - 1, letters * width // stamp.width))
        shortened = "..." + text[-letters:] if cut_left else text[:letters].rstrip() + "..."
        stamp = _mask(shortened, size, font)
    return stamp.crop((0, 0, min(stamp.width, width), min(stamp.height, height)))


def _drawable(text: str) -> tuple[str, str | None]:
    """Return text, in which letters that no font has are escaped, and its font's file.

    None is the default font.
    """
    default = _font(_USUAL_SIZE, None)
    if not isinstance(default, ImageFont.FreeTypeFont):
        return text.encode("latin-1", "backslashreplace").decode("latin-1"), None
    lacks = fonts.lacking(default, text)
    path = fonts.font_with(text) if lacks else None
    return (text if path else fonts.escaped(text, lacks)), (str(path) if path else None)


def _mask(text: str, height: int, name: str | None) -> Image.Image:
    height = max(1, height)
    font = _font(max(1, round(height * 0.72)), name)
    if isinstance(font, ImageFont.FreeTypeFont):
        length = ImageDraw.Draw(Image.new("L", (1, 1))).textlength(text, font=font)
        mask = Image.new("L", (int(length) + 1, height))
        ImageDraw.Draw(mask).text((0, height // 2), text, fill=255, font=font, anchor="lm")
        return mask
    length = ImageDraw.Draw(Image.new("L", (1, 1))).textlength(text, font=font)
    mask = Image.new("L", (max(1, int(length)), _BITMAP_HEIGHT))
    ImageDraw.Draw(mask).text((0, 0), text, fill=255, font=font)
    scale = max(1, round(height * 0.8 / _BITMAP_HEIGHT))
    return mask.resize((mask.width * scale, mask.height * scale), Image.Resampling.NEAREST)


@functools.lru_cache(maxsize=64)
def _font(size: int, name: str | None) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font of that size in pixels, or Pillow's bitmap font, which has one size only.

    Args:
        size: in pixels.
        name: the font's file; None for the default font.
    """
    if features.check("freetype2"):
        for each in _FONTS if name is None else [name]:
            with contextlib.suppress(OSError):  # not on this device
                return ImageFont.truetype(each, size)
        if "size" in inspect.signature(ImageFont.load_default).parameters:  # since Pillow 10.1
            return ImageFont.load_default(size)
    return ImageFont.load_default()
