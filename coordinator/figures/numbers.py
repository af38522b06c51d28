"""Numbers and text as the figures' JSON has them: short, finite, and fit for a screen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hyperhive.common.text import printable, shortened
from hyperhive.common.values import number

_DIGITS = 6
"""Significant ones. A picture shows four at most, and a table of 10,000 trials must be small."""

LONGEST = 300
"""Characters of a text that somebody else wrote."""


def rounded(value: Any) -> float | int | None:
    """Return a finite number with 6 significant digits, as an int where it is whole; else None."""
    if type(value) is int and abs(value) < 10**_DIGITS:  # as most are
        return value
    found = number(value)
    if found is None:
        return None
    short = float(f"{found:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short


def seconds_since(start: datetime | None, moment: datetime | None) -> float | None:
    """Return how many seconds after ``start`` a moment is, to a tenth; None if one is unknown."""
    if start is None or moment is None:
        return None
    return rounded(round((moment - start).total_seconds(), 1))


def text(value: object, most: int = LONGEST) -> str:
    """Return a value as one line of printable characters."""
    return shortened(printable(str(value)), most)
