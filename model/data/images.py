"""From any image to the 28x28 pixels the network sees: one way for training and for cameras."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hyperhive.common.errors import DatasetError

SIZE = 28
_REDUCING_GAP = 4.0
"""Large squares are first averaged over whole pixels, to 4 times the size at least: a camera's 480
then take a fifth of the time, and enlarged 28x28 images come back nearly as well (3 % more error).
"""
SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm"]
)


def decode(data: bytes) -> np.ndarray:
    """Return an encoded image as uint8 RGB ``[H, W, 3]``, upright, on white where transparent.

    Raises ``DatasetError`` with the reason if it is none that can be read.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            # Not loaded before: Pillow 9.1 looks for EXIF data in a TIFF's file, then closed.
            return np.asarray(_as_rgb(ImageOps.exif_transpose(image)))
    except UnidentifiedImageError:
        raise DatasetError("not an image") from None
    # Pillow's decoders raise whatever they stumble over: SyntaxError for a broken PNG chunk,
    # TypeError for a flipped bit in a TIFF, ZeroDivisionError, NotImplementedError, ...
    except Exception as error:
        raise DatasetError(str(error) or type(error).__name__) from error


def fit(image: np.ndarray, channels: int) -> np.ndarray:
    """Return the centred square of an image at the network's size: uint8 ``[28, 28, channels]``.

    Downsampling is antialiased (Pillow's filters widen with the scale), or a camera's 640x480
    frame would reach the network as every 17th pixel. Of its filters Lanczos gives back the most
    of 28x28 images that were enlarged by whatever means. Grey is ITU-R 601 luma, as in
    Simpsons-MNIST's own grey form.

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


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode[0] in "IF":
        raise DatasetError(f"{image.mode}-mode pixels; save it with 8 bits a channel")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
