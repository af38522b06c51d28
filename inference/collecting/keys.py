"""Keys of a terminal, one at a time."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import threading
from typing import IO, Iterator

_POLL_S = 0.1
_SEQUENCE = re.compile(r"\x1b[\[O][0-?]*[ -/]*[@-~]")
"""What arrow and function keys send (ECMA-48, 5.4)."""


def is_terminal(stream: IO[bytes]) -> bool:
    """Return whether keys can be read from a stream: one of a terminal, not on Windows."""
    try:
        import termios  # noqa: F401
    except ImportError:
        return False
    return stream.isatty()


@contextlib.contextmanager
def keys(stream: IO[bytes], stop: threading.Event) -> Iterator[Iterator[str]]:
    r"""Yield an iterator of the keys that are pressed, which are not echoed in the meantime.

    It ends when ``stop`` is set or the terminal is closed. Ctrl-C stays a signal. Arrow and
    function keys are left out; Escape is ``\x1b``.

    Args:
        stream: a terminal's input; see ``is_terminal``.
        stop: ends it.
    """
    import termios
    import tty

    terminal = stream.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield _pressed(terminal, stop)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _pressed(terminal: int, stop: threading.Event) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")
    while not stop.is_set():
        if not select.select([terminal], [], [], _POLL_S)[0]:
            continue
        try:
            data = os.read(terminal, 1024)
        except OSError:  # the terminal was closed
            return
        if not data:
            return
        yield from _SEQUENCE.sub("", decoder.decode(data))
