"""What a value in untrusted JSON must be before it is used."""

import re
from typing import Any


def is_number(value: Any) -> bool:
    """Whether it is a number: Python takes true and false for some."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_sha256(value: Any) -> bool:
    """Whether it is a SHA-256 in hexadecimal, which may name a file too."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
