"""A picture with a few training images of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hyperhive.common.errors import OutputError
from hyperhive.common.fonts import font_with
from hyperhive.model.data.dataset import TRAIN, Dataset

_EACH = 12
_GAP = 4
_TEXT = 18
_LEAST_SIDE = 56
"""Smaller images are enlarged: on a screen, 28 pixels are a few millimetres."""


def draw_examples(dataset: Dataset, path: Path) -> None:
    """Write a PNG with a row for each class: its name, and up to 12 training images.

    They lie at equal distances in the class, so that a film's next pictures are not all that is
    seen. Raises ``OutputError`` if the file cannot be written.
    """
    labels = dataset.labels_of(TRAIN)
    side = dataset.train_images.shape[1]
    scale = -(-_LEAST_SIDE // side)
    step = side * scale + _GAP
    sheet = Image.new("RGB", (_EACH * step + _GAP, len(dataset.classes) * (step + _TEXT)), "white")
    draw = ImageDraw.Draw(sheet)
    for label, name in enumerate(dataset.classes):
        top = label * (step + _TEXT)
        _write(draw, (_GAP, top + 2), name)
        members = np.flatnonzero(labels == label)
        chosen = members[np.linspace(0, len(members) - 1, min(_EACH, len(members))).astype(int)]
        for column, index in enumerate(chosen):
            pixels = dataset.train_images[index]
            shown = Image.fromarray(np.broadcast_to(pixels, (side, side, 3)).copy())
            shown = shown.resize((side * scale, side * scale), Image.Resampling.NEAREST)
            sheet.paste(shown, (_GAP + column * step, top + _TEXT))
    try:
        sheet.save(path, "PNG")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def _write(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str) -> None:
    """Write a text in a font that has its letters, or else with escapes for what is not ASCII."""
    file = font_with(text)
    if file is None:
        text = text.encode("ascii", "backslashreplace").decode()
        draw.text(at, text, fill="black", font=ImageFont.load_default())
    else:
        draw.text(at, text, fill="black", font=ImageFont.truetype(str(file), _TEXT - 5))
