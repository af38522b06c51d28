"""Backgrounds behind a picture that is shown to a camera: walls, cloth, wood, and clutter."""

from __future__ import annotations

import functools

# torch before cv2: on a Jetson there is too little static TLS left for it afterwards.
import torch  # noqa: F401

# isort: split
import cv2
import numpy as np

WIDTH, HEIGHT = 640, 480
"""Size of a frame, in pixels."""

SIDE = HEIGHT
"""Side of the guide, the centred square of the frame, in pixels."""


@functools.lru_cache(maxsize=4)
def make(count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Return backgrounds, uint8 BGR ``[480, 640, 3]``, with the same number of each sort."""
    random = np.random.RandomState(seed)
    sorts = (_wall, _cloth, _wood, _clutter)
    return tuple(sorts[number % len(sorts)](random) for number in range(count))


def _wall(random: np.random.RandomState) -> np.ndarray:
    """Return a plain wall that is lighter at one side."""
    near, far = _colour(random), random.uniform(0.6, 1.0)
    across = np.linspace(1, far, WIDTH)[None, :, None] * np.linspace(1, far, HEIGHT)[:, None, None]
    return _picture(near * across)


def _cloth(random: np.random.RandomState) -> np.ndarray:
    """Return checks or stripes in two colours."""
    width = random.randint(8, 60)
    y, x = np.mgrid[:HEIGHT, :WIDTH] // width % 2
    second = (x ^ y if random.randint(2) else x)[..., None].astype(bool)
    return _picture(np.where(second, _colour(random), _colour(random)))


def _wood(random: np.random.RandomState) -> np.ndarray:
    """Return a grain: noise that is stretched in one direction."""
    grain = cv2.GaussianBlur(random.normal(size=(HEIGHT, WIDTH)), (0, 0), sigmaX=60, sigmaY=2)
    grain = grain / np.abs(grain).max()
    return _picture(_colour(random) * (1 + 0.35 * grain[..., None]))


def _clutter(random: np.random.RandomState) -> np.ndarray:
    """Return objects in many colours, slightly out of focus."""
    frame = _wall(random)
    for _ in range(30):
        centre = (random.randint(WIDTH), random.randint(HEIGHT))
        axes = (random.randint(15, 120), random.randint(15, 120))
        colour = _colour(random).tolist()
        if random.randint(2):
            cv2.ellipse(frame, centre, axes, random.randint(180), 0, 360, colour, -1)
        else:
            cv2.rectangle(frame, centre, (centre[0] + axes[0], centre[1] + axes[1]), colour, -1)
    return cv2.GaussianBlur(frame, (0, 0), 2)


def _colour(random: np.random.RandomState) -> np.ndarray:
    """Return a colour as in a room, which is seldom a strong one."""
    grey = random.uniform(40, 230)
    return np.clip(grey + random.normal(0, 25, size=3), 0, 255)


def _picture(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)
