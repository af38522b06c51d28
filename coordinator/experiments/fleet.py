"""The devices of a simulated fleet: how fast they are, and what goes wrong on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SPEEDS = (10.0, 4.0, 1.0)
"""Three unlike devices, as in ``benchmarks/makespan.py``; then the same again."""


@dataclass(frozen=True)
class Fleet:
    """So many workers, on devices of ``SPEEDS`` in turn.

    Args:
        workers: how many.
        lost: the share of runs in which the device is lost: a battery, a network.
        lease: seconds after which another takes the trial of a lost device, which comes back then.
        pauses: the share of runs after which a device pauses, for twice as long as that run took,
            on average.
    """

    workers: int
    lost: float = 0.05
    lease: float = 60.0
    pauses: float = 0.05

    def speed(self, device: int) -> float:
        """Return how fast a device is, beside one that takes a table's seconds."""
        return SPEEDS[device % len(SPEEDS)]

    def lost_at(self, rng: np.random.Generator) -> float | None:
        """Return the share of a run after which its device is lost; None if it is not."""
        is_lost, share = rng.random(2)
        return float(share) if is_lost < self.lost else None

    def pause(self, seconds: float, rng: np.random.Generator) -> float:
        """Return for how many seconds a device pauses after a run that took so many; mostly 0."""
        return float(rng.exponential(2 * seconds)) if rng.random() < self.pauses else 0.0
