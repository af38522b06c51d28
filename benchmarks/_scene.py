"""What a camera sees of a picture, on paper or on a screen, that is held into its guide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Mapping

# torch before cv2: on a Jetson there is too little static TLS left for it afterwards.
import torch  # noqa: F401

# isort: split
import cv2
import numpy as np

from benchmarks._backgrounds import HEIGHT, SIDE, WIDTH, make
from benchmarks._light import lit

_BACKGROUNDS = 40
_BEST_JPEG = 95

Values = Mapping[str, float]
"""The value of each distortion in one frame; without any, the picture fills the guide."""


@dataclass(frozen=True)
class Kind:
    """A distortion: its name, its unit, and three strengths; the second is an ordinary room's."""

    title: str
    unit: str
    strengths: tuple[float, float, float]

    @property
    def room(self) -> float:
        """The strength of an ordinary room."""
        return self.strengths[1]


KINDS: dict[str, Kind] = {
    "scale": Kind("size", "± {} % of the guide", (5, 10, 20)),
    "shift": Kind("off the centre", "by {} % of the guide", (3, 6, 12)),
    "rotation": Kind("rotation", "± {}°", (4, 8, 16)),
    "perspective": Kind("perspective", "tilted by {}°", (10, 20, 35)),
    "exposure": Kind("exposure", "± {} stops", (0.25, 0.5, 1.0)),
    "gamma": Kind("tone curve", "gamma or 1/gamma of {}", (1.1, 1.2, 1.5)),
    "uneven": Kind("uneven light", "{} % less at one side", (15, 30, 60)),
    "temperature": Kind("colour temperature", "± {} mired off white", (20, 40, 80)),
    "defocus": Kind("out of focus", "a disc of radius {} px", (3, 6, 12)),
    "motion": Kind("motion blur", "{} px long", (6, 12, 24)),
    "noise": Kind("sensor noise", "deviation of {} in 255", (4, 8, 16)),
    "jpeg": Kind("JPEG", "quality {}", (80, 60, 30)),
}
"""A strength is a bound: each frame's value is drawn uniformly within it (gamma's in its logarithm,
JPEG's quality from 95 down). Lengths are in pixels of the guide's 480."""

ROOM = {name: kind.room for name, kind in KINDS.items()}
"""All distortions at once, each as strong as in an ordinary room."""


class Scene:
    """Makes a camera's frames from pictures; the same seed makes the same frames.

    Raises ``ValueError`` for an unknown distortion.

    Args:
        seed: decides the backgrounds and the values of each frame's distortions.
        strengths: the bound of each distortion to apply, by its name in ``KINDS``.
        at_bound: draw only the sign of each value, and put the value at its bound.
    """

    def __init__(self, seed: int, strengths: Mapping[str, float], at_bound: bool = False) -> None:
        unknown = sorted(set(strengths) - set(KINDS))
        if unknown:
            raise ValueError(f"unknown distortions: {', '.join(unknown)}")
        self._seed = seed
        self._strengths = dict(strengths)
        self._at_bound = at_bound
        self._backgrounds = make(_BACKGROUNDS, seed)

    def frame(self, picture: np.ndarray, number: int) -> np.ndarray:
        """Return what the camera sees: uint8 BGR ``[480, 640, 3]``.

        Args:
            picture: uint8 RGB or grey ``[28, 28, C]``.
            number: of the frame; with the seed it decides every value.
        """
        random = np.random.RandomState([self._seed, number])
        background = self._backgrounds[random.randint(_BACKGROUNDS)]
        # Draw every value, so that one distortion alone has the same value as among others.
        drawn = {name: self._draw(random) for name in KINDS}
        angles = random.uniform(0, 2 * math.pi, size=3)
        values = {name: _value(name, drawn[name], b) for name, b in self._strengths.items()}
        colour = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
        frame = placed(colour[..., ::-1], background, values, angles[0])
        frame = lit(frame, values, angles[1])
        frame = blurred(frame, values, angles[2])
        return sensed(frame, values, random)

    def _draw(self, random: np.random.RandomState) -> float:
        share = float(random.uniform(-1, 1))
        return math.copysign(1, share) if self._at_bound else share


def placed(picture: np.ndarray, background: np.ndarray, values: Values, axis: float) -> np.ndarray:
    """Return a picture enlarged and put before a background: uint8 ``[480, 640, 3]``."""
    large = cv2.resize(np.ascontiguousarray(picture), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    target = corners(values, axis)
    source = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]], np.float32)
    # Corners are at edges of pixels, but OpenCV's coordinates are at their centres.
    transform = cv2.getPerspectiveTransform(source - 0.5, (target - 0.5).astype(np.float32))
    frame = background.copy()
    return cv2.warpPerspective(
        large,
        transform,
        (WIDTH, HEIGHT),
        dst=frame,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def corners(values: Values, axis: float) -> np.ndarray:
    """Return the positions of a picture's corners in the frame: float64 ``[4, 2]``, x and y.

    Args:
        values: of scale, shift, rotation and perspective; without them the picture fills the guide.
        axis: in radians; the line in its plane about which the picture is tilted, and the
            direction in which it is shifted.
    """
    half = SIDE / 2 * (1 + values.get("scale", 0) / 100)
    square = half * np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    turned = square @ _rotation(math.radians(values.get("rotation", 0))).T
    tilt = math.radians(values.get("perspective", 0))
    across = turned @ _rotation(-axis).T
    # A pinhole camera: the picture's plane turns about the axis, two and a half guides away.
    distance = 2.5 * SIDE
    depth = 1 + across[:, 1] * math.sin(tilt) / distance
    tilted = np.stack([across[:, 0] / depth, across[:, 1] * math.cos(tilt) / depth], axis=1)
    shift = SIDE * values.get("shift", 0) / 100 * np.array([math.cos(axis), math.sin(axis)])
    return tilted @ _rotation(axis).T + shift + (WIDTH / 2, HEIGHT / 2)


def blurred(frame: np.ndarray, values: Values, direction: float) -> np.ndarray:
    """Return a frame out of focus, and blurred by motion in a direction (radians)."""
    if "defocus" in values:
        radius = abs(values["defocus"])
        reach = math.ceil(radius)
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        frame = _filtered(frame, np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))
    if "motion" in values:
        length = abs(values["motion"]) / 2
        half = length * np.array([math.cos(direction), math.sin(direction)])
        reach = math.ceil(length)
        line = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
        ends = [tuple(round(float(v) * 16) for v in reach + sign * half) for sign in (-1, 1)]
        cv2.line(line, ends[0], ends[1], 1.0, 1, cv2.LINE_8, 4)
        frame = _filtered(frame, line)
    return frame


def sensed(frame: np.ndarray, values: Values, random: np.random.RandomState) -> np.ndarray:
    """Return a frame with the noise of a sensor, after the camera's JPEG compression."""
    if "noise" in values:
        cv2.setRNGSeed(int(random.randint(2**31 - 1)))
        grain = cv2.randn(np.empty(frame.shape, np.float32), 0.0, abs(values["noise"]))
        frame = np.clip(np.round(frame + grain), 0, 255).astype(np.uint8)
    if "jpeg" in values:
        quality = [cv2.IMWRITE_JPEG_QUALITY, round(values["jpeg"])]
        _, data = cv2.imencode(".jpg", frame, quality)
        frame = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return frame


def _value(name: str, share: float, bound: float) -> float:
    """Return the value of a distortion with this bound, for a draw from -1..1."""
    if name == "gamma":
        return float(bound**share)
    if name == "jpeg":
        return _BEST_JPEG - abs(share) * (_BEST_JPEG - bound)
    return share * bound


def _filtered(frame: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    weights = (kernel / kernel.sum()).astype(np.float32)
    return cv2.filter2D(frame, -1, weights, borderType=cv2.BORDER_REPLICATE)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
