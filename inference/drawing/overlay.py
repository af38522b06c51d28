"""A picture with its prediction drawn below it."""

from __future__ import annotations

import functools
from typing import Sequence

import numpy as np
from PIL import Image, ImageDraw

from hyperhive.inference.drawing.text import Colour, Line, draw_text
from hyperhive.inference.labelling import Answer, Result
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.sight.square import FULL, Box
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
    """Return a result's annotated frame, RGB; see ``annotate``. Faces have no panel.

    The last two are remembered: outputs, window and page show the same picture, and draw it once.
    """
    if result.faces is not None:
        return viewfinder(result)
    return annotate(result.frame.image, result.prediction, result.agrees, result.box)


def annotate(
    image: np.ndarray, prediction: Prediction, agrees: bool | None, box: Box | None = None
) -> Image.Image:
    """Return the picture above a panel with the label and the likeliest classes.

    Beside ``unknown`` stands the reason.

    Everything outside the square that the model sees is darkened. The panel is below the
    picture because no colour is readable on every picture, and text would cover a 28x28 one.

    Args:
        image: uint8 RGB ``[H, W, 3]`` of any size.
        prediction: the model's answer.
        agrees: whether that is the expected class; None if none is expected.
        box: what the model saw; None is the largest square in the middle.
    """
    box = box or FULL.box(image.shape[1], image.shape[0])
    picture = _guided(image, box, SMALLEST, LARGEST)
    width = max(SMALLEST, picture.width)
    row = min(52, max(26, width // 16))
    pad = row // 3
    rows = len(prediction.top)
    title = row * 3 // 2
    canvas = Image.new("RGB", (width, picture.height + title + rows * row + 2 * pad), BACKGROUND)
    canvas.paste(picture, picture_place(image)[:2])
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


def picture_place(image: np.ndarray) -> Box:
    """Return where ``annotate`` draws a picture, ``[H, W, 3]``."""
    width, height = _resized_size((image.shape[1], image.shape[0]), SMALLEST, LARGEST)
    return Box((max(SMALLEST, width) - width) // 2, 0, width, height)


def viewfinder(result: Result, smallest: int = SMALLEST, largest: int = LARGEST) -> Image.Image:
    """Return a result's picture, RGB, with what the model does not see darkened.

    Of faces, each has a frame and its label instead.

    Args:
        result: the picture and its answers.
        smallest: least pixels of the longer side.
        largest: most pixels of the longer side.
    """
    image = result.frame.image
    if result.faces is not None:
        return _marked(image, result.faces, smallest, largest)
    return _guided(image, result.answers[0].box, smallest, largest)


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
    size = _resized_size(image.size, smallest, largest)
    if max(size) > max(image.size):
        return image.resize(size, Image.Resampling.NEAREST)
    if max(size) < max(image.size):
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


def _resized_size(size: tuple[int, int], smallest: int, largest: int) -> tuple[int, int]:
    width, height = size
    side = max(size)
    if side < smallest:
        factor = min(-(-smallest // side), max(1, largest // side))
        return width * factor, height * factor
    if side > largest:
        return max(1, round(width * largest / side)), max(1, round(height * largest / side))
    return size


def _guided(image: np.ndarray, seen: Box, smallest: int, largest: int) -> Image.Image:
    """Return the picture with a frame around what the model sees, and the rest darkened."""
    picture = resized(Image.fromarray(image), smallest, largest)
    box = seen.scaled(image.shape[1::-1], picture.size)
    if (box.width, box.height) == picture.size:
        return picture
    corner, end = box[:2], (box.x + box.width, box.y + box.height)
    guided = picture.point([int(level * _DIMMED) for level in range(256)] * 3)
    guided.paste(picture.crop((*corner, *end)), corner)
    line = max(1, box.width // 160)
    outside = (box.x - line, box.y - line, end[0] + line - 1, end[1] + line - 1)
    ImageDraw.Draw(guided).rectangle(outside, outline=WHITE, width=line)
    return guided


def _marked(image: np.ndarray, faces: Sequence[Answer], smallest: int, largest: int) -> Image.Image:
    """Return the picture with a frame around each face, and its label at the frame."""
    picture = resized(Image.fromarray(image), smallest, largest).copy()
    row = max(16, max(picture.size) // 28)
    for box, prediction in reversed(faces):  # the largest is in front
        box = box.scaled(image.shape[1::-1], picture.size)
        colour = colour_of(prediction, None)
        right, bottom = box.x + box.width, box.y + box.height
        line = max(2, row // 10)
        draw = ImageDraw.Draw(picture)
        draw.rectangle((box.x, box.y, right - 1, bottom - 1), outline=colour, width=line)
        text = " ".join(part for part in (pretty(prediction.label), share_of(prediction)) if part)
        # Above the face; at the picture's edge inside its box.
        top = box.y - row if box.y >= row else box.y
        place = (box.x, top, right, top + row)
        draw.rectangle((box.x, top, right - 1, top + row - 1), fill=BACKGROUND)
        draw_text(picture, place, Line(text, colour))
    return picture


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
