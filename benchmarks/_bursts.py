"""Things of our own that somebody shows to a camera, a burst at a time, as for ``--teach``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks._backgrounds import SIDE, WIDTH, make
from benchmarks._light import lit
from benchmarks._scene import KINDS, ROOM, blurred, placed, sensed
from benchmarks._shapes import Random, picture
from hyperhive.model.data.series import picture_name

THINGS = ("ball", "box", "star")
STRANGER = "cross"
"""A fourth thing, which is never shown while the model learns."""

_TREMBLE = 0.25
"""Share of an ordinary room's distortions by which the frames of a burst differ from each other."""
_BACKGROUNDS = 40
_NUMBERS = {"ball": 1, "box": 2, "star": 3, "cross": 4}


def thing(name: str) -> np.ndarray:
    """Return the one drawing of its kind that is shown in all bursts: uint8 RGB ``[H, W, 3]``."""
    return picture(name, Random(_NUMBERS[name]))


def burst(name: str, count: int, random: Random, tremble: float = _TREMBLE) -> list[np.ndarray]:
    """Return what is in the guide in a burst: uint8 RGB ``[480, 480, 3]``.

    Background, light and pose are drawn once, as in an ordinary room; each frame trembles a little,
    by a share of the room's distortions.
    """
    backgrounds = make(_BACKGROUNDS, seed=0)
    background = backgrounds[random.randint(_BACKGROUNDS)]
    angles = random.uniform(0, 2 * np.pi, size=3)
    pose = {kind: random.uniform(-1, 1) for kind in KINDS}
    drawn = thing(name)
    moments = [_trembling(pose, random, tremble) for _ in range(count)]
    return [_frame(drawn, background, values, angles, random) for values in moments]


def write(root: Path, bursts: int, each: int, random: Random) -> None:
    """Write bursts of all things to class folders, named as ``predict-cam`` names them."""
    for name in THINGS:
        (root / name).mkdir(parents=True)
        for number in range(bursts):
            series = f"20260101-{number:06d}-{_NUMBERS[name]:04x}"
            for index, shown in enumerate(burst(name, each, random)):
                path = root / name / picture_name(series, index)
                cv2.imwrite(str(path), shown[..., ::-1])


def _trembling(pose: dict[str, float], random: Random, tremble: float) -> dict[str, float]:
    shares = {kind: each + tremble * random.uniform(-1, 1) for kind, each in pose.items()}
    values = {kind: share * ROOM[kind] for kind, share in shares.items()}
    values["gamma"] = ROOM["gamma"] ** shares["gamma"]
    values["jpeg"] = 90
    return values


def _frame(
    drawn: np.ndarray,
    background: np.ndarray,
    values: dict[str, float],
    angles: np.ndarray,
    random: Random,
) -> np.ndarray:
    frame = placed(np.ascontiguousarray(drawn[..., ::-1]), background, values, angles[0])
    frame = blurred(lit(frame, values, angles[1]), values, angles[2])
    frame = sensed(frame, values, random)
    left = (WIDTH - SIDE) // 2
    return np.ascontiguousarray(frame[:, left : left + SIDE, ::-1])
