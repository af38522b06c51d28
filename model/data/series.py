"""Series: pictures that a camera took one after the other, which look alike.

A picture's name says to which series it belongs, as in ``20261130-064501-a1b2_007.png``. All
pictures of a series belong to the same side of a split: otherwise a model would be validated on
pictures that it has nearly seen.
"""

from __future__ import annotations

import re
import secrets
import time

_NAME = re.compile(r"(\d{8}-\d{6}-[0-9a-f]{4})_\d{3,}\.\w+")


def new_series(seconds: float) -> str:
    """Return the name of a series that begins at a Unix time; it has the local time in it."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(seconds))}-{secrets.token_hex(2)}"


def picture_name(series: str, number: int) -> str:
    """Return the file name of a picture of a series, which are numbered from 0."""
    return f"{series}_{number:03d}.png"


def series_of(name: str) -> str | None:
    """Return the series to which a file name belongs; None if it belongs to none."""
    found = _NAME.fullmatch(name)
    return found[1] if found else None
