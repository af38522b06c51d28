"""Stopping in good order on a signal, and ending a process at once."""

from __future__ import annotations

import _thread
import logging
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows has no SIGHUP
]


def _soon(function: Any) -> None:
    """Call a function that takes a lock, from a signal handler.

    The handler interrupts the main thread, which may hold that lock in a ``wait``, so the function
    runs in a thread. A ``threading.Thread`` would not do: its start takes a lock too.
    """
    _thread.start_new_thread(function, ())


class StopSignals:
    """While this is open, the first Ctrl-C, SIGTERM or SIGHUP only sets ``stop``.

    A second signal raises ``KeyboardInterrupt``. With ``restore`` a second signal has its former
    effect instead, so SIGTERM ends a process that hangs in a camera's driver. SIGHUP means that a
    terminal or an SSH connection was closed; under ``nohup`` it stays ignored.

    Use it as a context manager in the main thread. ``signal_number`` is the first signal, or 0.
    With ``only_ctrl_c`` the other signals keep the effect that they have.
    """

    def __init__(self, restore: bool = False, only_ctrl_c: bool = False) -> None:
        self.stop = threading.Event()
        self.signal_number = 0
        self._is_to_restore = restore
        self._numbers = [signal.SIGINT] if only_ctrl_c else _SIGNALS
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        for number in self._numbers:
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def forget(self) -> None:
        """Take the next signal as the first one: the user chose to go on."""
        self.signal_number = 0
        self.stop.clear()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.signal_number:
            raise KeyboardInterrupt
        self.signal_number = number
        if self._is_to_restore:
            self._restore()
        _soon(self.stop.set)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class StopRequest:
    """A request to a worker to stop: the first one in good order, the second one immediately."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._hurry = False
        self._since = 0.0

    def ask(self) -> None:
        """Request a stop; do not call it in a signal handler."""
        if self.asked.is_set():
            self._hurry = True
        else:
            self._since = time.monotonic()
            self.asked.set()

    def on_signal(self, *_: object) -> None:
        """Request a stop, as a signal handler."""
        _soon(self.ask)

    def ends(self, expected_end: float, grace: float) -> bool:
        """Return whether work that should end at ``expected_end`` (monotonic) must be given back.

        It may go on for ``grace`` seconds after the first request.
        """
        if not self.asked.is_set():
            return False
        return self._hurry or max(expected_end, time.monotonic()) > self._since + grace


USERS_FILE = "_hyperhive_objectives_"
"""What the name of a module begins with that was imported from a file of the user's."""


def end_process(code: int) -> NoReturn:
    """End this process at once, with its output flushed but without Python's clean-up."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as it is where the process was started with it closed
            stream.flush()
    os._exit(code)
