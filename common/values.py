"""Values from untrusted JSON or BSON: each function accepts one type and rejects all others."""

from __future__ import annotations

import re
import sys
from collections import abc
from datetime import datetime
from typing import Any, Mapping


def is_number(value: Any) -> bool:
    """Return whether a value is a number; true and false, which Python counts as such, are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_fraction(value: Any) -> bool:
    """Return whether a value is a number from 0 to 1."""
    return is_number(value) and 0 <= value <= 1


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number of 0 or more, or None: a card may lack it."""
    return value is None or (type(value) is int and value >= 0)


def is_sha256(value: Any) -> bool:
    """Return whether a value is a SHA-256 in hexadecimal, which is also a safe file name."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def number(value: Any) -> float | None:
    """Return a finite number as a float, None for anything else, also if no float is so large."""
    return float(value) if is_number(value) and abs(value) <= sys.float_info.max else None


def numbers(value: Any) -> dict[str, float]:
    """Return the finite numbers of a document by name, none for anything else."""
    found = {name: number(each) for name, each in mapping(value).items()}
    return {name: each for name, each in found.items() if each is not None}


def whole(value: Any, default: int) -> int:
    """Return a whole number, ``default`` for anything else."""
    if type(value) is int:  # as most are, and it is asked for often
        return value
    if isinstance(value, float) and value.is_integer():  # MongoDB's old shell writes 3 as 3.0
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def text(value: Any) -> str | None:
    """Return a string, None for anything else."""
    return value if isinstance(value, str) else None


def date(value: Any) -> datetime | None:
    """Return a time, None for anything else."""
    return value if isinstance(value, datetime) else None


def mapping(value: Any) -> dict[str, Any]:
    """Return a copy of a document, an empty one for anything else."""
    if type(value) is dict:  # asking abc.Mapping takes long, and a trial asks often
        return value.copy()
    return dict(value) if value is not None and isinstance(value, abc.Mapping) else {}


def sequence(value: Any) -> list[Any]:
    """Return a copy of a list, an empty one for anything else."""
    return list(value) if isinstance(value, (list, tuple)) else []


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested tables by dotted name: ``optimizer.kind``."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        is_table = isinstance(value, Mapping) and value
        flat.update(flattened(value, f"{prefix}{name}.") if is_table else {prefix + name: value})
    return flat
