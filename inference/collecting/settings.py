"""What predict-cam is asked to collect, checked. It imports nothing heavy, for ``--help``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hyperhive.common.errors import UsageError

DEFAULT_MOST = "100/hour"
DEFAULT_KEPT = Path("kept")
_MOST = re.compile(r"([1-9]\d{0,5})/hour")
_BELOW = "below="


@dataclass(frozen=True)
class KeepSettings:
    """Which pictures to keep because they are doubtful, and where.

    Args:
        below: keep a frame whose likeliest class has a smaller probability; None keeps those that
            are ``unknown``.
        per_hour: the largest number of pictures in an hour.
        folder: where they are kept.
    """

    below: float | None
    per_hour: int
    folder: Path

    @classmethod
    def parse(cls, rule: str, most: str, folder: Path) -> KeepSettings:
        """Read ``unknown`` or ``below=0.6``, and ``100/hour``. Raises ``UsageError``."""
        per_hour = _MOST.fullmatch(most)
        if not per_hour:
            raise UsageError(f"--at-most must be a number an hour, such as 100/hour, not {most}")
        return cls(_below(rule), int(per_hour[1]), folder)


@dataclass(frozen=True)
class SortSettings:
    """Which kept pictures to go through, and the folder whose class folders they are moved to."""

    kept: Path
    into: Path


@dataclass(frozen=True)
class CollectSettings:
    """What to collect.

    Args:
        keep: keep doubtful pictures.
        save_crops: write the square of each written frame, in a folder of its label.
        sort: only go through kept pictures; nothing is classified.
    """

    keep: KeepSettings | None = None
    save_crops: bool = False
    sort: SortSettings | None = None


def _below(rule: str) -> float | None:
    if rule == "unknown":
        return None
    try:
        share = float(rule[len(_BELOW) :]) if rule.startswith(_BELOW) else -1.0
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:  # false for NaN too
        raise UsageError(
            "--keep must be unknown, or below= and a probability up to 1, such as below=0.6, not "
            f"{rule}"
        )
    return share
