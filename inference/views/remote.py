"""What viewers of the page may press, and what the page shows beside the labels."""

from __future__ import annotations

import json
import queue
from typing import Any, Callable, Iterator, Mapping, NamedTuple

_WAITING = 100
_LONGEST = 255
KEY, CHOOSE, TAKE, UNDO = "key", "choose", "take", "undo"


class Press(NamedTuple):
    """What somebody asks for: a ``KEY``, or a class by its name, to be chosen or taken, or undo."""

    what: str
    text: str = ""


class Remote:
    """Takes keys from other threads: those of a page, and those of a terminal.

    Attributes:
        shown: returns plain JSON for the page; it is called in another thread, and replaced as a
            whole.
    """

    def __init__(self) -> None:
        self.shown: Callable[[], Mapping[str, Any] | None] = lambda: None
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
    """Return what a page asks for, such as ``{"take": "cup"}``; raise ``ValueError``.

    It has no keys: whoever sees the page may take pictures, and neither end the run nor write into
    a name that somebody types.
    """
    values = json.loads(body)
    if not isinstance(values, dict) or len(values) != 1:
        raise ValueError("a press is an object of one entry")
    [(what, text)] = values.items()
    if what == UNDO and text == "":
        return Press(UNDO)
    if what in (CHOOSE, TAKE) and isinstance(text, str) and 1 <= len(text) <= _LONGEST:
        return Press(what, text)
    raise ValueError("a press is choose or take, with a name of 1 to 255 characters, or undo")
