"""Drawn shapes on cards: a small data set, and what a camera sees of such cards and of others."""

from __future__ import annotations

import math
from typing import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from hyperhive.model.data.class_folders import TEST_FRACTION
from hyperhive.model.data.dataset import Dataset, stratified_split
from hyperhive.model.data.images import fit

Random = np.random.RandomState

MEMBERS = ("ball", "box", "star")
STRANGERS = ("cross", "ring", "stripes", "noise")

HELD = (0.86, 1.0)
"""Shares of the guide that a card fills, when it is held as it should be."""
FAR = (0.5, 0.65)
"""The same for a card that is held too far away."""

_HEIGHT, _WIDTH = 480, 640


def data_set(each: int, seed: int) -> Dataset:
    """Return a data set with this many pictures of each member, a fifth of them for the test."""
    random = Random(seed)
    names = [name for name in MEMBERS for _ in range(each)]
    images = np.stack([fit(picture(name, random), 3) for name in names])
    labels = np.repeat(np.arange(len(MEMBERS), dtype=np.int64), each)
    train, test = stratified_split(labels, TEST_FRACTION, seed)
    return Dataset("shapes", MEMBERS, images[train], labels[train], images[test], labels[test])


def picture(name: str, random: Random) -> np.ndarray:
    """Return a shape in a dark colour on a light card: uint8 RGB ``[H, W, 3]``, 60 to 220 px."""
    width, height = (int(side) for side in random.randint(60, 221, 2))
    if name == "noise":
        return random.randint(0, 256, (height, width, 3)).astype(np.uint8)
    card = Image.new("RGB", (width, height), tuple(map(int, random.randint(150, 256, 3))))
    ink = tuple(map(int, random.randint(0, 121, 3)))
    centre = np.array([width, height]) / 2 + random.uniform(-6, 6, 2)
    _DRAWINGS[name](
        ImageDraw.Draw(card), centre, min(width, height) * random.uniform(0.25, 0.42), ink
    )
    return np.asarray(card)


def frames(
    names: Sequence[str], random: Random, shares: tuple[float, float] = HELD
) -> list[np.ndarray]:
    """Return what a camera sees of a new card of each name: uint8 RGB ``[480, 640, 3]``."""
    return [_seen(picture(name, random), random, shares) for name in names]


def _seen(drawn: np.ndarray, random: Random, shares: tuple[float, float]) -> np.ndarray:
    """Return the centred square of a card before a grey wall: turned, blurred, in another light."""
    side = min(drawn.shape[:2])
    top, left = ((whole - side) // 2 for whole in drawn.shape[:2])
    shown = int(_HEIGHT * random.uniform(*shares))
    card = Image.fromarray(drawn[top : top + side, left : left + side])
    x = (_WIDTH - shown) // 2 + random.randint(-12, 13)
    y = min(max((_HEIGHT - shown) // 2 + random.randint(-8, 9), 0), _HEIGHT - shown)
    wall = (int(random.randint(90, 171)),) * 3
    frame = Image.new("RGB", (_WIDTH, _HEIGHT), wall)
    frame.paste(card.resize((shown, shown), Image.Resampling.BICUBIC), (int(x), int(y)))
    turned = frame.rotate(random.uniform(-4, 4), Image.Resampling.BILINEAR, fillcolor=wall)
    blurred = turned.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 1.5)))
    gain = random.uniform(0.9, 1.1)
    return np.asarray(blurred.point([min(int(level * gain), 255) for level in range(256)] * 3))


Ink = tuple
Drawing = Callable[[ImageDraw.ImageDraw, np.ndarray, float, Ink], None]


def _ball(draw: ImageDraw.ImageDraw, centre: np.ndarray, size: float, ink: Ink) -> None:
    draw.ellipse([*(centre - size), *(centre + size)], fill=ink)


def _box(draw: ImageDraw.ImageDraw, centre: np.ndarray, size: float, ink: Ink) -> None:
    draw.rectangle([*(centre - size), *(centre + size)], fill=ink)


def _star(draw: ImageDraw.ImageDraw, centre: np.ndarray, size: float, ink: Ink) -> None:
    angles = 4 * math.pi / 5 * np.arange(5)
    corners = centre + size * np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    draw.polygon([tuple(corner) for corner in corners], fill=ink)


def _cross(draw: ImageDraw.ImageDraw, centre: np.ndarray, size: float, ink: Ink) -> None:
    for way in (1, -1):
        reach = np.array([size, way * size])
        draw.line([*(centre - reach), *(centre + reach)], fill=ink, width=9)


def _ring(draw: ImageDraw.ImageDraw, centre: np.ndarray, size: float, ink: Ink) -> None:
    draw.ellipse([*(centre - size), *(centre + size)], outline=ink, width=6)


def _stripes(draw: ImageDraw.ImageDraw, centre: np.ndarray, size: float, ink: Ink) -> None:
    for x in range(0, 2 * math.ceil(centre[0]) + 12, 12):
        draw.line([x, 0, x, 2 * centre[1] + 12], fill=ink, width=5)


_DRAWINGS: dict[str, Drawing] = {
    "ball": _ball,
    "box": _box,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "stripes": _stripes,
}
