"""``predict-cam --label``: kept pictures are shown, and keys move them into class folders."""

from __future__ import annotations

import threading
from typing import IO

import numpy as np
from PIL import Image
from rich.console import Console

from hyperhive.common.errors import DatasetError, UsageError
from hyperhive.common.signals import StopSignals
from hyperhive.inference.collecting.blocks import blocks
from hyperhive.inference.collecting.kept import Kept
from hyperhive.inference.collecting.keys import is_terminal, keys
from hyperhive.inference.collecting.settings import SortSettings
from hyperhive.inference.collecting.sorting import KEYS, Sorting
from hyperhive.inference.drawing.panel import panel
from hyperhive.inference.opening import Terminal
from hyperhive.inference.views.display import has_window
from hyperhive.inference.wording import percent, pretty
from hyperhive.model.data.images import decode
from hyperhive.model.data.walk import read_file

_WAIT_MS = 50


def sort(settings: SortSettings, show: bool | None, terminal: Terminal) -> int:
    """Go through kept pictures until the last one is done, or q, or a signal.

    Args:
        settings: which pictures, and where to.
        show: whether to ask in a window, if there is a display.
        terminal: where to ask otherwise.

    Returns:
        The number of the signal that ended it, or 0.

    Raises ``UsageError`` if there is nowhere to ask, ``OutputError``.
    """
    in_window = bool(show) and has_window(True, terminal.warn, terminal.environment)
    stdin = None if in_window else _typed_input(terminal)
    sorting = Sorting(settings.kept, settings.into)
    if sorting.current is None:
        terminal.announce(f"no picture waits in {settings.kept}")
        return 0
    with StopSignals(restore=True) as signals:
        try:
            if stdin is None:
                _ask_in_window(sorting, signals.stop)
            else:
                _ask_in_terminal(sorting, signals.stop, stdin, terminal.out)
        finally:
            terminal.announce(sorting.conclude())
    return signals.signal_number


def _typed_input(terminal: Terminal) -> IO[bytes]:
    """Return where keys come from; raise ``UsageError`` if that is no terminal."""
    if terminal.out.quiet:
        raise UsageError("--label shows each picture and asks for its class: omit --quiet")
    stdin = terminal.stdin
    if stdin is None or not is_terminal(stdin) or not terminal.out.file.isatty():
        raise UsageError(
            "--label asks for keys, and this is no terminal (Windows has none that it can use): "
            "run it in one, as by ssh -t, or with --show where there is a display"
        )
    return stdin


def _ask_in_terminal(
    sorting: Sorting, stop: threading.Event, stdin: IO[bytes], out: Console
) -> None:
    with keys(stdin, stop) as pressed:
        _print(sorting, out)
        for key in pressed:
            if not sorting.press(key):
                return
            _print(sorting, out)


def _print(sorting: Sorting, out: Console) -> None:
    """Show the picture and what can be pressed, in place of what was there."""
    if out.is_terminal and not out.is_dumb_terminal:
        out.clear()
    current = sorting.current
    picture = None if current is None else _pixels(current)
    if picture is not None:
        shown = blocks(picture, out)
        if shown is not None:
            out.print(shown)
    for line in lines(sorting):
        out.print(line)


def _ask_in_window(sorting: Sorting, stop: threading.Event) -> None:
    from hyperhive.inference.views.window import Window

    window = Window()
    try:
        while not stop.is_set():
            current = sorting.current
            picture = None if current is None else _pixels(current)
            shown = Image.new("RGB", (1, 1)) if picture is None else Image.fromarray(picture)
            key = window.ask(panel(shown, lines(sorting)), _WAIT_MS, stop)
            if key is None or not sorting.press(key):
                return
    finally:
        window.close()


def lines(sorting: Sorting) -> list[str]:
    """Return what is said of the current picture, and what each key does."""
    current = sorting.current
    about = ["that was the last one"] if current is None else _about(current, sorting.place)
    named = [f"{number} {pretty(name)}" for number, name in enumerate(sorting.names[:KEYS], 1)]
    others = [pretty(name) for name in sorting.names[KEYS:]]
    if others:
        named.append(f"(n: {', '.join(others)})")
    keys_line = "n other class   space skip   x discard   backspace undo   q end"
    return [*about, "   ".join(named), sorting.name_field.line or keys_line, sorting.message]


def _about(current: Kept, place: str) -> list[str]:
    if current.label is None:
        answer = "its answer is not known"
    else:
        top = ", ".join(f"{pretty(name)} {percent(share)}" for name, share in current.top)
        answer = f"{pretty(current.label)} ({top})"
    where = f", of {current.source}" if current.source else ""
    return [f"{current.path} ({place}){where}", answer]


def _pixels(current: Kept) -> np.ndarray | None:
    """Return a picture; None if it cannot be read: it can be discarded all the same."""
    try:
        return decode(read_file(current.path))
    except (DatasetError, OSError):
        return None
