"""What predict-cam is asked to teach, checked. It imports nothing heavy, for ``--help``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hyperhive.common.errors import UsageError

DEFAULT_TRIALS = 6
DEFAULT_BURST = 1
_LARGEST_BURST = 1000


@dataclass(frozen=True)
class TeachSettings:
    """What to teach.

    Args:
        folder: has, or gets, a folder of pictures for each class.
        trials: how many configurations each version's study tries.
        burst: how many pictures a key takes.

    Raises ``UsageError`` for numbers that make no sense.
    """

    folder: Path
    trials: int = DEFAULT_TRIALS
    burst: int = DEFAULT_BURST

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise UsageError(f"--trials must be 1 or more, not {self.trials}")
        if not 1 <= self.burst <= _LARGEST_BURST:
            raise UsageError(f"--burst must be from 1 to {_LARGEST_BURST}, not {self.burst}")
