"""From any image to a network's input, in the same way for training and for cameras."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import threading
import warnings
from pathlib import PurePath
from typing import Any, Iterator

import numpy as np
from PIL import Image, UnidentifiedImageError

from hyperhive.common.errors import DatasetError

SIZE = 28
"""Width and height of the network's input in pixels, unless another is asked for."""

LARGEST_SIZE = 224
"""The largest width and height that can be asked for: that of torchvision's networks."""

_PIXELS = 256 * SIZE * SIZE
"""Of the images that are computed at once."""

_REDUCING_GAP = 4.0
"""Large squares are first averaged over whole pixels, down to 4 times the final size or more. For a
camera's 480 pixels that takes a fifth of the time, and recovers enlarged 28x28 images nearly as
well (3 % more error)."""

_NOT_READ = frozenset(["BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PCD", "PDF", "WMF"])
"""Formats that Pillow knows and does not decode itself (EPS would start Ghostscript), or that hold
something else."""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image upright, by its orientation (Exif 2.32, table 6)."""

# An image is read, or left out with a reason. What else Pillow remarks helps nobody.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
_standard_error = threading.Lock()
_registering = threading.Lock()


@functools.lru_cache(maxsize=None)
def _formats() -> tuple[str, ...]:
    """Return the formats that the installed Pillow decodes, the common ones first."""
    with _registering:  # images are read by several threads
        Image.preinit()
        Image.init()
        with contextlib.suppress(ImportError):  # for photographs of iPhones, where it is installed
            from pillow_heif import register_heif_opener

            register_heif_opener()
    return tuple(name for name in Image.ID if name not in _NOT_READ)


@functools.lru_cache(maxsize=None)
def _suffixes() -> frozenset[str]:
    formats = _formats()  # first: it registers more suffixes
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name in formats)


def is_image(path: PurePath) -> bool:
    """Return whether a name has the suffix of a format that the installed Pillow decodes."""
    return path.suffix.lower() in _suffixes()


def decode(data: bytes) -> np.ndarray:
    """Return an encoded image as uint8 RGB ``[H, W, 3]``, upright, on white where transparent.

    Of several frames it is the first. Raises ``DatasetError`` with the reason if it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            return np.asarray(_as_rgb(_upright(image)))
    except UnidentifiedImageError:
        raise DatasetError("not an image") from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise DatasetError(f"more than {most} megapixels: make it smaller") from None
    # On damaged bytes Pillow raises almost anything: SyntaxError for a broken PNG chunk, TypeError
    # for a flipped bit in a TIFF, ZeroDivisionError, NotImplementedError, ...
    except Exception as error:
        raise DatasetError(str(error) or type(error).__name__) from error


def is_image_size(value: Any) -> bool:
    """Return whether a network's input may have this side: a whole number from 28 to 224."""
    return type(value) is int and SIZE <= value <= LARGEST_SIZE


def fit(image: np.ndarray, channels: int, size: int = SIZE) -> np.ndarray:
    """Return the centred square of an image at the network's size: uint8 ``[S, S, channels]``.

    Downsampling is antialiased (Pillow's filters widen with the scale); otherwise every 17th pixel
    of a camera's 640x480 frame would reach the network. Of Pillow's filters, Lanczos recovers
    enlarged 28x28 images best, however they were enlarged. Grey is ITU-R 601 luma, as in
    Simpsons-MNIST's own grey images.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        channels: 1 for grey, 3 for colour.
        size: the side S of the network's input.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(image[top : top + side, left : left + side])
    if side != size:
        square = square.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
    return np.asarray(square if channels == 3 else square.convert("L")).reshape(
        size, size, channels
    )


def reduced(pictures: np.ndarray) -> np.ndarray:
    """Return a network's input at 28x28, by the filter of ``fit``: uint8 ``[N, 28, 28, C]``.

    Args:
        pictures: uint8 ``[N, S, S, C]``; with S of 28 they are returned as they are.
    """
    if pictures.shape[1] == SIZE:
        return pictures
    channels = pictures.shape[3]
    # ``fit`` takes colour; of three equal channels the luma is the channel itself.
    colour = (np.broadcast_to(picture, (*picture.shape[:2], 3)) for picture in pictures)
    return np.stack([fit(np.ascontiguousarray(picture), channels) for picture in colour])


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield slices of 256 images of 28x28, or fewer larger ones, so that the memory suffices."""
    at_once = max(1, _PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), at_once):
        yield images[start : start + at_once]


def _upright(image: Image.Image) -> Image.Image:
    """Return an image as its EXIF orientation says, and as it lies where that cannot be read."""
    if image.format != "TIFF":
        image.load()
        orientation = _orientation(image)
    else:
        # Loading closes a TIFF's file, from which Pillow 9.1 reads the EXIF data.
        orientation = _orientation(image)
        with _without_messages():
            image.load()
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    # On damaged EXIF data Pillow raises almost anything, as on damaged pixels.
    except Exception:
        return 1


@contextlib.contextmanager
def _without_messages() -> Iterator[None]:
    """Discard what libtiff prints on standard error; Pillow raises the same."""
    with _standard_error, open(os.devnull, "wb") as nowhere:
        try:
            kept = os.dup(2)
        except OSError:  # there is no standard error
            yield
            return
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode[0] in "IF":
        raise DatasetError(f"{image.mode}-mode pixels; save it with 8 bits per channel")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
