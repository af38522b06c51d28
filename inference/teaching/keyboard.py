"""The terminal while things are taught: a few lines that stay in place, and keys."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import IO, Iterator, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from hyperhive.common.text import printable
from hyperhive.inference.collecting.keys import is_terminal, keys
from hyperhive.inference.opening import Terminal
from hyperhive.inference.views.remote import KEY, Press, Remote

_BETWEEN_S = 0.2


def keyboard_of(terminal: Terminal) -> IO[bytes] | None:
    """Return where a terminal's keys come from; None if it has none, or shows nothing."""
    stdin, out = terminal.stdin, terminal.out
    if stdin is None or out.quiet or not is_terminal(stdin):
        return None
    return stdin if out.is_terminal and not out.is_dumb_terminal else None


class Status:
    """Lines that stay in place at the bottom of a terminal, renewed five times a second.

    Args:
        live: shows them.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._shown: Sequence[str] = ()
        self._due = 0.0

    def show(self, lines: Sequence[str]) -> None:
        """Show these, unless they are there already or others were shown just now."""
        now = time.monotonic()
        if now >= self._due and lines != self._shown:
            self._due, self._shown = now + _BETWEEN_S, lines
            texts = [Text(printable(line), overflow="ellipsis", no_wrap=True) for line in lines]
            self._live.update(Group(*texts), refresh=True)


class Journal:
    """Prints what is learned, line by line, where no lines can stay in place."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._said = ""

    def show(self, lines: Sequence[str]) -> None:
        """Print how far the learning is, if that has changed: the third and the fifth line."""
        said = "; ".join(line for line in (lines[2], lines[4]) if line)
        if said != self._said:
            self._said = said
            self._out.print(said)


@contextlib.contextmanager
def status(
    stdin: IO[bytes] | None, out: Console, remote: Remote, stop: threading.Event
) -> Iterator[Status | Journal]:
    """Yield what shows lines, while keys of the terminal reach ``remote``.

    Args:
        stdin: see ``keyboard_of``.
        out: prints.
        remote: gets the keys.
        stop: ends the reading of keys.
    """
    if stdin is None:
        yield Journal(out)
        return
    ended = threading.Event()

    def read(pressed: Iterator[str]) -> None:
        for key in pressed:
            if not stop.is_set():
                remote.add(Press(KEY, key))

    with keys(stdin, ended) as pressed:
        thread = threading.Thread(target=read, args=(pressed,), name="keyboard", daemon=True)
        thread.start()
        try:
            with Live(console=out, auto_refresh=False, transient=True) as live:
                yield Status(live)
        finally:
            ended.set()
            thread.join()
