"""Numbers, text and curves as the figures' JSON has them: short, finite, fit for a screen."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Mapping, TypeVar

from hyperhive.common.text import printable, shortened
from hyperhive.common.values import number

_DIGITS = 6
"""Significant ones. A picture shows four at most, and a table of 10,000 trials must be small."""

LONGEST = 300
"""Characters of a text that somebody else wrote."""

STEPS = {"number": "epoch", "epoch": "epoch", "step": "step"}
"""What names the step of a report, and what it is called: LeNet-5's history has ``number``."""

_Point = TypeVar("_Point")


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


def step_of(report: Mapping[str, Any]) -> float | None:
    """Return the step of what a trial reported; None if it has none."""
    found = (number(report.get(name)) for name in STEPS)
    return next((step for step in found if step is not None), None)


def step_word(report: Mapping[str, Any]) -> str | None:
    """Return what the step of a report is called; None if it has none."""
    found = (word for name, word in STEPS.items() if number(report.get(name)) is not None)
    return next(found, None)


def thinned(points: list[_Point], most: int) -> list[_Point]:
    """Return every so-many-th point, at most so many, and always the last."""
    apart = -(-len(points) // most) or 1
    return points[::-apart][::-1]


def text(value: object, most: int = LONGEST) -> str:
    """Return a value as one line of printable characters."""
    return shortened(printable(str(value)), most)
