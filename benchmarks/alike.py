"""Evidence: the pictures that --keep skips as near-identical are those that show nothing new.

    python benchmarks/alike.py [--pairs 150]

A drawn card is held before a camera twice. Between the two frames of a pair the hand trembles and
the sensor's noise differs; in the other rows the card also moves, turns, or comes closer. Printed
are percentiles of the mean difference of both thumbnails in levels of 255, and the per cent of
pairs that are alike. Then come the milliseconds of one core that keeping takes for a frame of
640x480.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Mapping

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._backgrounds import SIDE, WIDTH, make
from benchmarks._light import lit
from benchmarks._scene import placed, sensed
from benchmarks._shapes import MEMBERS, picture

# isort: split
import numpy as np

from hyperhive.inference.collecting.crops import Recent, as_png, reduced_crop, thumbnail
from hyperhive.model.data.images import fit

CHANGES: dict[str, dict[str, float]] = {
    "held still": {},
    "moved by 3 % of the square": {"shift": 3},
    "turned by 5 degrees": {"rotation": 5},
    "5 % closer": {"scale": 5},
    "tilted by 15 degrees": {"perspective": 15},
}
_TREMBLE = {"shift": 0.2, "rotation": 0.3, "scale": 0.2, "exposure": 0.03}
"""Bounds of what changes between any two frames, in the units of ``_scene.KINDS``."""


def square(
    card: np.ndarray,
    background: np.ndarray,
    change: Mapping[str, float],
    random: np.random.RandomState,
) -> np.ndarray:
    """Return what the model sees of a card that trembles, uint8 BGR ``[480, 480, 3]``."""
    values = {name: random.uniform(-bound, bound) for name, bound in _TREMBLE.items()}
    for name, amount in change.items():
        values[name] = values.get(name, 0.0) + amount
    values["scale"] = values["scale"] - 10  # all of the card is inside the square
    frame = placed(card, background, values, random.uniform(0, 2 * math.pi))
    frame = lit(frame, {"exposure": values["exposure"]}, 0.0)
    frame = sensed(frame, {"noise": random.uniform(2, 8), "jpeg": random.uniform(60, 95)}, random)
    left = (WIDTH - SIDE) // 2
    return frame[:, left : left + SIDE]


def differences(change: Mapping[str, float], pairs: int) -> tuple[np.ndarray, float]:
    """Return the mean difference of each pair, and the share of pairs that are alike."""
    backgrounds = make(40, 0)
    found, alike = [], []
    for number in range(pairs):
        random = np.random.RandomState(number)
        card = fit(picture(MEMBERS[number % len(MEMBERS)], random), 3, 60)[..., ::-1]
        background = backgrounds[random.randint(len(backgrounds))]
        first, second = (thumbnail(square(card, background, each, random)) for each in ({}, change))
        found.append(np.abs(first - second).mean())
        alike.append(Recent([first]).has_alike(second))
    return np.array(found), float(np.mean(alike))


def milliseconds(count: int = 200) -> list[tuple[str, float, float]]:
    """Return what keeping takes of a frame in the loop that labels, and in the writer."""
    random = np.random.RandomState(0)
    seen = square(fit(picture("star", random), 3, 60), make(40, 0)[3], {}, random).copy()
    recent = Recent([thumbnail(seen) + 9 * sign for sign in (-1, 1)] * 25)
    steps = {
        "thumbnail": lambda: thumbnail(seen),
        "comparison with 50 others": lambda: recent.has_alike(thumbnail(seen)),
        "reduction to 256x256": lambda: reduced_crop(seen),
        "PNG, in the writer's thread": lambda: as_png(reduced_crop(seen)),
    }
    rows = []
    for name, step in steps.items():
        taken = []
        for _ in range(count):
            started_at = time.thread_time()
            step()
            taken.append(1000 * (time.thread_time() - started_at))
        rows.append((name, float(np.median(taken)), float(np.percentile(taken, 95))))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="which pictures look the same")
    parser.add_argument("--pairs", type=int, default=150)
    options = parser.parse_args()
    print("| between two frames | 2 % | median | 98 % | alike, % |\n|---|---|---|---|---|")
    for name, change in CHANGES.items():
        found, alike = differences(change, options.pairs)
        cells = [f"{value:.1f}" for value in np.percentile(found, (2, 50, 98))]
        print(f"| {name} | {' | '.join(cells)} | {100 * alike:.1f} |", flush=True)
    print("\n| ms of one core | p50 | p95 |\n|---|---|---|")
    for name, median, high in milliseconds():
        print(f"| {name} | {median:.2f} | {high:.2f} |")


if __name__ == "__main__":
    main()
