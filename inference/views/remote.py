"""What viewers of the page may press, and what the page shows beside the labels."""

from __future__ import annotations

import json
import queue
from dataclasses import dataclass
from typing import Any, Iterator, Mapping

_WAITING = 100
_KEYS = frozenset("0123456789 \b")
"""What a page may press: whoever sees it may take pictures, and not end the run."""
_LONGEST = 255


@dataclass(frozen=True)
class Press:
    """A key, or the name of a class that was typed."""

    key: str = ""
    name: str = ""


class Remote:
    """Takes keys from other threads: those of a page, and those of a terminal.

    Attributes:
        shown: plain JSON for the page; it is replaced as a whole.
    """

    def __init__(self) -> None:
        self.shown: Mapping[str, Any] = {}
        self._presses: queue.Queue[Press] = queue.Queue(_WAITING)

    def add(self, press: Press) -> bool:
        """Add a press; return False, and leave it out, if too many wait."""
        try:
            self._presses.put_nowait(press)
        except queue.Full:
            return False
        return True

    def presses(self) -> Iterator[Press]:
        """Yield those that wait, the oldest first."""
        while True:
            try:
                yield self._presses.get_nowait()
            except queue.Empty:
                return


def press_of(body: bytes) -> Press:
    """Return the press of a page: ``{"key": "1"}`` or ``{"name": "cup"}``; raise ``ValueError``."""
    values = json.loads(body)
    if not isinstance(values, dict) or len(values) != 1:
        raise ValueError("a press has a key or a name")
    [(kind, text)] = values.items()
    if not isinstance(text, str):
        raise ValueError("a key and a name are texts")
    if kind == "key" and text in _KEYS:
        return Press(key=text)
    if kind == "name" and 1 <= len(text) <= _LONGEST:
        return Press(name=text)
    raise ValueError("a key is a digit, space or backspace, and a name has 1 to 255 characters")
