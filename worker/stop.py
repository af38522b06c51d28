"""How a worker is asked to stop."""

import _thread
import threading
import time


class Stop:
    """A request to stop, made by a signal: once, to end in good order; twice, to leave at once."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._hurry = False
        self._since = 0.0

    def ask(self) -> None:
        """Ask once more; not in a signal handler."""
        if self.asked.is_set():
            self._hurry = True
        else:
            self._since = time.monotonic()
            self.asked.set()

    def on_signal(self, *_: object) -> None:
        """Ask once more, as a signal handler: whom it interrupts may hold the event's lock."""
        _thread.start_new_thread(self.ask, ())

    def ends(self, expected_end: float, grace: float) -> bool:
        """Whether work that would end at ``expected_end`` (monotonic) must be given back now."""
        if not self.asked.is_set():
            return False
        return self._hurry or max(expected_end, time.monotonic()) > self._since + grace
