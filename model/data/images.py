"""From any image to the network's 28x28 pixels, in the same way for training and for cameras."""

from __future__ import annotations

import io
from typing import Iterator

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hyperhive.common.errors import DatasetError

SIZE = 28
"""Width and height of the network's input, in pixels."""

_BATCH = 256

_REDUCING_GAP = 4.0
"""Large squares are first averaged over whole pixels, down to 4 times the final size or more. For a
camera's 480 pixels that takes a fifth of the time, and recovers enlarged 28x28 images nearly as
well (3 % more error)."""

SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm"]
)


def decode(data: bytes) -> np.ndarray:
    """Return an encoded image as uint8 RGB ``[H, W, 3]``, upright, on white where transparent.

    Raises ``DatasetError`` with the reason if it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            # Transposed before it is loaded: loading closes a TIFF's file, from which Pillow 9.1
            # reads the EXIF data.
            return np.asarray(_as_rgb(ImageOps.exif_transpose(image)))
    except UnidentifiedImageError:
        raise DatasetError("not an image") from None
    # On damaged bytes Pillow raises almost anything: SyntaxError for a broken PNG chunk, TypeError
    # for a flipped bit in a TIFF, ZeroDivisionError, NotImplementedError, ...
    except Exception as error:
        raise DatasetError(str(error) or type(error).__name__) from error


def fit(image: np.ndarray, channels: int) -> np.ndarray:
    """Return the centred square of an image at the network's size: uint8 ``[28, 28, channels]``.

    Downsampling is antialiased (Pillow's filters widen with the scale); otherwise every 17th pixel
    of a camera's 640x480 frame would reach the network. Of Pillow's filters, Lanczos recovers
    enlarged 28x28 images best, however they were enlarged. Grey is ITU-R 601 luma, as in
    Simpsons-MNIST's own grey images.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        channels: 1 for grey, 3 for colour.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(image[top : top + side, left : left + side])
    if side != SIZE:
        square = square.resize((SIZE, SIZE), Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
    return np.asarray(square if channels == 3 else square.convert("L")).reshape(
        SIZE, SIZE, channels
    )


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield slices of at most 256 images: computing with all at once could exhaust the memory."""
    for start in range(0, len(images), _BATCH):
        yield images[start : start + _BATCH]


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode[0] in "IF":
        raise DatasetError(f"{image.mode}-mode pixels; save it with 8 bits per channel")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
