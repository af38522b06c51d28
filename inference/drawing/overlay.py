"""A picture with its prediction drawn below it."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw

from hyperhive.inference.drawing.text import Colour, Line, draw_text
from hyperhive.inference.labelling import Result
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.wording import percent, pretty

SMALLEST, LARGEST = 320, 1280
"""Pixels of an annotated picture's longer side; others are enlarged or reduced to these."""

WHITE: Colour = (245, 245, 245)
GREY: Colour = (160, 160, 168)
YELLOW: Colour = (255, 217, 15)
GREEN: Colour = (96, 211, 120)
RED: Colour = (255, 107, 97)
BACKGROUND: Colour = (24, 24, 28)
TRACK: Colour = (58, 58, 66)
_DIMMED = 0.4


@functools.lru_cache(maxsize=2)
def annotated(result: Result) -> Image.Image:
    """Return a result's annotated frame, RGB; see ``annotate``.

    The last two are remembered: outputs, window and page show the same picture, and draw it once.
    """
    return annotate(result.frame.image, result.prediction, result.agrees)


def annotate(image: np.ndarray, prediction: Prediction, agrees: bool | None) -> Image.Image:
    """Return the picture above a panel with the label and the likeliest classes.

    Beside ``unknown`` stands the reason.

    Everything outside the centred square that the model sees is darkened. The panel is below the
    picture because no colour is readable on every picture, and text would cover a 28x28 one.

    Args:
        image: uint8 RGB ``[H, W, 3]`` of any size.
        prediction: the model's answer.
        agrees: whether that is the expected class; None if none is expected.
    """
    picture = viewfinder(image)
    width = max(SMALLEST, picture.width)
    row = min(52, max(26, width // 16))
    pad = row // 3
    rows = len(prediction.top)
    title = row * 3 // 2
    canvas = Image.new("RGB", (width, picture.height + title + rows * row + 2 * pad), BACKGROUND)
    canvas.paste(picture, ((width - picture.width) // 2, 0))
    top = picture.height + pad
    colour = colour_of(prediction, agrees)
    if prediction.doubt is None:
        split, text, inset = width - pad - title * 2, share_of(prediction), 0
    else:
        split, text, inset = width * 2 // 5, prediction.doubt.why, (title - row) // 2
    draw_text(canvas, (pad, top, split - pad, top + title), Line(pretty(prediction.label), colour))
    beside = (split, top + inset, width - pad, top + title - inset)
    draw_text(canvas, beside, Line(text, colour, to_right=True))
    for rank in range(rows):
        first = top + title + rank * row
        _draw_bar(canvas, first, row, pad, prediction.top[rank], colour if rank == 0 else GREY)
    return canvas


def viewfinder(image: np.ndarray) -> Image.Image:
    """Return a picture, uint8 RGB ``[H, W, 3]``, with what the model does not see darkened."""
    return _guided(resized(Image.fromarray(image), SMALLEST, LARGEST))


def with_inset(picture: Image.Image, seen: np.ndarray) -> Image.Image:
    """Return the picture with the model's input, enlarged, in its corner.

    Args:
        picture: RGB.
        seen: uint8 ``[S, S, C]``, C of 1 or 3; its pixels stay square, unless a third of the
            picture has fewer than S.
    """
    third = max(1, min(picture.size) // 3)
    side = third // len(seen) * len(seen) or third
    inset = pixels(seen).resize((side, side), Image.Resampling.NEAREST)
    line = 2
    result = picture.copy()
    ImageDraw.Draw(result).rectangle(
        (0, 0, inset.width + 2 * line - 1, inset.height + 2 * line - 1), fill=WHITE
    )
    result.paste(inset, (line, line))
    return result


def pixels(seen: np.ndarray) -> Image.Image:
    """Return the model's input, uint8 ``[S, S, C]``, as an RGB image of that size."""
    return Image.fromarray(np.broadcast_to(seen, (*seen.shape[:2], 3)).copy())


def resized(image: Image.Image, smallest: int, largest: int) -> Image.Image:
    """Return an image whose longer side has about ``smallest`` to ``largest`` pixels.

    Small ones grow by a whole factor and their pixels stay square, as the model sees them.
    """
    side = max(image.size)
    if side < smallest:
        factor = min(-(-smallest // side), max(1, largest // side))
        size = (image.width * factor, image.height * factor)
        return image.resize(size, Image.Resampling.NEAREST)
    if side > largest:
        size = (
            max(1, round(image.width * largest / side)),
            max(1, round(image.height * largest / side)),
        )
        return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return image


def colour_of(prediction: Prediction, agrees: bool | None) -> Colour:
    """Return a label's colour: green is right, red is wrong, yellow may be either.

    Grey is ``unknown``, which is not a wrong answer.
    """
    if agrees:
        return GREEN
    if not prediction.known:
        return GREY
    return YELLOW if agrees is None else RED


def share_of(prediction: Prediction) -> str:
    """Return the probability to show beside a label; an empty text beside ``unknown``."""
    return percent(prediction.probability) if prediction.known else ""


def _guided(picture: Image.Image) -> Image.Image:
    """Return the picture with a frame around what the model sees, and the rest darkened."""
    width, height = picture.size
    if width == height:
        return picture
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    seen = picture.crop((left, top, left + side, top + side))
    guided = picture.point([int(level * _DIMMED) for level in range(256)] * 3)
    guided.paste(seen, (left, top))
    line = max(1, side // 160)
    outside = (left - line, top - line, left + side + line - 1, top + side + line - 1)
    ImageDraw.Draw(guided).rectangle(outside, outline=WHITE, width=line)
    return guided


def _draw_bar(
    canvas: Image.Image, top: int, row: int, pad: int, entry: tuple[str, float], colour: Colour
) -> None:
    """Draw one class in a row of the panel: its name, a bar, its probability."""
    name, share = entry
    start, end = canvas.width * 45 // 100, canvas.width - pad - row * 2
    draw_text(canvas, (pad, top, start - pad, top + row), Line(pretty(name), WHITE))
    thin = row // 3
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((start, top + thin, end, top + row - thin), fill=TRACK)
    filled = start + round((end - start) * share)
    if filled > start:
        draw.rectangle((start, top + thin, filled, top + row - thin), fill=colour)
    box = (end + 1, top, canvas.width - pad, top + row)
    draw_text(canvas, box, Line(percent(share), WHITE, to_right=True))
