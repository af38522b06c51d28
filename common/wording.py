"""Numbers and named values as people read them: in one form in all that hyperhive prints."""

from __future__ import annotations

from typing import Any, Mapping

from hyperhive.common.text import printable, shortened

_LONGEST = 40
"""Characters of one value that is no number."""


def percent(share: float | None, decimals: int = 1) -> str:
    """Return a share of 1 in per cent, ``97.6 %``; only all of it is ``100 %``."""
    if share is None:
        return "unknown"
    if share >= 1:
        return f"{100 * share:.0f} %"
    return f"{min(100 * share, 100 - 10**-decimals):.{decimals}f} %"


def counted(count: int, noun: str) -> str:
    """Return a number of things, ``1 trial`` or ``3 trials``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(length: int) -> str:
    """Return a number of bytes, ``340 bytes``, ``12.5 kB``, ``200 MB`` or ``1 GB``."""
    for unit, bytes_of_it in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if length >= 0.99995 * bytes_of_it:  # else it would be 1000 of the next unit
            return f"{length / bytes_of_it:.1f}".replace(".0", "") + f" {unit}"
    return counted(length, "byte")


def in_words(values: Mapping[str, Any]) -> str:
    """Return named values of any types as one line: ``learning rate 0.0312, activation relu``."""
    return ", ".join(
        f"{printable(str(name).replace('_', ' '))} {_word(value)}" for name, value in values.items()
    )


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # 12.0 is what hyperopt's quniform gives for 12; %g writes a whole number of five digits
        # as 1.2e+04.
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e9 else f"{value:.4g}"
    return shortened(printable(str(value)), _LONGEST)
