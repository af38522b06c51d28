"""Pictures of no class, and members as a camera sees them, for benchmarks/unknown.py."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Callable, List

import numpy as np
from PIL import Image, ImageFilter

from benchmarks._common import loaded
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.images import fit
from hyperhive.model.data.loading import digits

Random = np.random.RandomState
Pictures = List[np.ndarray]
"""uint8 RGB ``[H, W, 3]`` of any size."""

_HEIGHT, _WIDTH = 480, 640


def strangers(
    dataset: Dataset, archive: Path | None, simpsons: Dataset, count: int
) -> dict[str, np.ndarray]:
    """Return kinds of pictures of no class, as the model's input, and as seen in a camera's frame.

    Args:
        dataset: the classes of the model.
        archive: CMU's faces; None leaves them out.
        simpsons: strangers to a model of the digits.
        count: pictures of most kinds.
    """
    random = Random(1)
    kinds = {"faces": faces(archive)} if archive else {}
    if dataset.name == "digits":
        kinds["Simpsons"] = in_colour(simpsons.test_images[: 2 * count])
    else:
        kinds["digits"] = in_colour(digits().test_images)
    for kind in ("uniform", "Gaussian", "smooth"):
        kinds[kind + " noise"] = noise(kind, count, random)
    inputs = {}
    for kind, pictures in kinds.items():
        inputs[kind] = fitted(pictures, dataset.channels)
        frames = [framed(picture, random) for picture in pictures[:count]]
        inputs[kind + ", frame"] = fitted(frames, dataset.channels)
    inputs["walls, frame"] = fitted(walls(count, random), dataset.channels)
    wholes = photographs()
    if wholes:
        inputs["photographs"] = fitted(squares(wholes, count, random), dataset.channels)
    return inputs


def in_colour(images: np.ndarray) -> Pictures:
    """Return images of a data set as RGB."""
    return [image if image.shape[2] == 3 else image.repeat(3, axis=2) for image in images]


def framed(image: np.ndarray, random: Random) -> np.ndarray:
    """Return a camera's 640x480 frame with the picture in its centred square."""
    frame = np.empty((_HEIGHT, _WIDTH, 3), np.uint8)
    frame[:] = random.randint(0, 256, 3)
    margin = (_WIDTH - _HEIGHT) // 2
    frame[:, margin : margin + _HEIGHT] = _enlarged(image)
    return frame


def faces(archive: Path) -> Pictures:
    """Return the 624 faces of CMU, 32x30 and grey."""
    dataset = loaded("folder", archive)
    return [*dataset.train_images, *dataset.test_images]


def walls(count: int, random: Random) -> Pictures:
    """Return 640x480 frames of one colour or grey, with a gradient of light and sensor noise."""
    down, across = np.mgrid[0:_HEIGHT, 0:_WIDTH] / _WIDTH - 0.5
    frames = []
    for number in range(count):
        paint = random.uniform(20, 235, 3) if number % 2 else random.uniform(20, 235)
        angle, light = random.uniform(0, 2 * np.pi), random.uniform(5, 50)
        wall = light * (np.cos(angle) * across + np.sin(angle) * down)[..., None] + paint
        wall = wall + random.standard_normal((*wall.shape[:2], 3)) * random.uniform(0, 8)
        frames.append(_bytes(wall))
    return frames


def noise(kind: str, count: int, random: Random) -> Pictures:
    """Return noise of 28x28 pixels: ``uniform``, ``Gaussian`` or ``smooth``; every third grey."""

    def one() -> np.ndarray:
        if kind == "uniform":
            return random.randint(0, 256, (28, 28, 3))
        if kind == "Gaussian":
            spread = random.standard_normal((28, 28, 3)) * random.uniform(20, 80)
            return spread + random.uniform(60, 190, 3)
        coarse = random.randint(0, 256, (*[random.randint(3, 10)] * 2, 3)).astype(np.uint8)
        return np.asarray(Image.fromarray(coarse).resize((28, 28), Image.Resampling.BICUBIC))

    pictures = [_bytes(one()) for _ in range(count)]
    return [
        picture if number % 3 else picture.mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, 2)
        for number, picture in enumerate(pictures)
    ]


def photographs() -> Pictures:
    """Return photographs that no model was trained with; none without scikit-image, which has them.

    They show an astronaut, a man with a camera, a cat, coffee, a rocket and a motorcycle.
    """
    try:
        from skimage import data
    except ImportError:
        print("skipping scikit-image's photographs: pip install scikit-image")
        return []
    shown = [data.astronaut(), data.camera(), data.chelsea(), data.coffee(), data.rocket()]
    shown.append(data.stereo_motorcycle()[0])
    return [np.asarray(Image.fromarray(each).convert("RGB")) for each in shown]


def squares(wholes: Pictures, count: int, random: Random) -> Pictures:
    """Return squares of 60 or more pixels, from each of the photographs in turn."""
    found = []
    for number in range(count):
        whole = wholes[number % len(wholes)]
        side = int(np.exp(random.uniform(np.log(60), np.log(min(whole.shape[:2])))))
        top, left = (random.randint(length - side + 1) for length in whole.shape[:2])
        found.append(whole[top : top + side, left : left + side])
    return found


def _blur(image: np.ndarray, random: Random) -> np.ndarray:
    picture = Image.fromarray(image)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6 * _HEIGHT / 28)))


def _jpeg(image: np.ndarray, random: Random) -> np.ndarray:
    packed = io.BytesIO()
    Image.fromarray(image).save(packed, "JPEG", quality=40)
    return np.asarray(Image.open(packed).convert("RGB"))


def _border(image: np.ndarray, random: Random) -> np.ndarray:
    framed = np.empty_like(image)
    framed[:] = random.randint(60, 220, 3)
    margin = _HEIGHT // 20
    inside = Image.fromarray(image).resize((_HEIGHT - 2 * margin,) * 2, Image.Resampling.BICUBIC)
    framed[margin:-margin, margin:-margin] = np.asarray(inside)
    return framed


MILD: dict[str, Callable[[np.ndarray, Random], np.ndarray]] = {
    "none": lambda image, random: image,
    "blur of 0.6 of the model's pixels": _blur,
    "JPEG of quality 40": _jpeg,
    "a quarter darker": lambda image, random: _bytes(image * 0.75),
    "a quarter brighter": lambda image, random: _bytes(image * 1.25),
    "warm light": lambda image, random: _bytes(image * np.array([1.1, 1.0, 0.85])),
    "10 % background": _border,
    "sensor noise of 12": lambda image, random: _bytes(
        image + random.standard_normal(image.shape) * 12
    ),
}
"""Mild distortions of a member's picture of 480x480 pixels, as by a camera."""


def distorted(images: Pictures, kind: str, random: Random, channels: int) -> np.ndarray:
    """Return members as the model sees them through a camera: uint8 ``[N, 28, 28, channels]``."""
    return fitted([MILD[kind](_enlarged(image), random) for image in images], channels)


def fitted(pictures: Pictures, channels: int) -> np.ndarray:
    """Return the model's input for pictures: uint8 ``[N, 28, 28, channels]``."""
    return np.stack([fit(picture, channels) for picture in pictures])


def scrambled(images: np.ndarray, random: Random) -> np.ndarray:
    """Return non-members made from members: uint8 ``[3 N, 28, 28, C]``.

    They are members with their sixteenths in another order, two members laid over each other, and
    members whose spectrum has the phases of noise. Any data set can give such outliers for outlier
    exposure (arXiv:1812.04606).
    """
    count = len(images)
    tiles = images.reshape(count, 4, 7, 4, 7, -1).swapaxes(2, 3).reshape(count, 16, 7, 7, -1)
    order = random.rand(count, 16).argsort(axis=1)
    tiles = tiles[np.arange(count)[:, None], order].reshape(count, 4, 4, 7, 7, -1)
    mixed = (images.astype(int) + images[random.permutation(count)]) // 2
    spectrum = np.fft.fft2(images, axes=(1, 2))
    phase = np.angle(np.fft.fft2(random.standard_normal((count, 28, 28, 1)), axes=(1, 2)))
    haze = np.fft.ifft2(spectrum * np.exp(1j * phase), axes=(1, 2)).real
    return np.concatenate([tiles.swapaxes(2, 3).reshape(images.shape), mixed, _bytes(haze)])


def _enlarged(image: np.ndarray) -> np.ndarray:
    size = (_HEIGHT, _HEIGHT)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def _bytes(levels: np.ndarray) -> np.ndarray:
    return np.clip(levels, 0, 255).astype(np.uint8)
