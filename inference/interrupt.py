"""Ending a series early, in good order."""

import _thread
import signal
import threading
from types import FrameType
from typing import Any, Dict, Optional

_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows has no SIGHUP
]


class Interrupt:
    """While this is open, Ctrl-C and SIGTERM only set ``stop``; a second one ends the process.

    So does SIGHUP, a terminal or SSH connection that goes away (unless it is ignored, by nohup): a
    camera that is not released then may stay blocked.

    Use it as a context manager, in the main thread. ``signal_number`` is what came, or 0.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.signal_number = 0
        self._before: Dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        for number in _SIGNALS:
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _on_signal(self, number: int, _: Optional[FrameType]) -> None:
        self._restore()
        self.signal_number = number
        # Not here: the main thread, which this interrupts, may hold the event's lock in a wait().
        # And no threading.Thread, whose start takes a lock too.
        _thread.start_new_thread(self.stop.set, ())

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
