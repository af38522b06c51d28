"""Several short trials that a worker has claimed at once."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from typing import Sequence

from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.heartbeat import Held
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.running.entry import Entry
from hyperhive.worker.running.times import BATCH_S

_LOOK_AGAIN_S = 2.0


class Batch:
    """The trials of a batch that are not begun, and the results that are not yet on disk.

    Use it as a context manager while the trials run: at its end, and after ``BATCH_S`` whatever
    happens, the results that there are go to the outbox.

    The worker's own thread runs one trial after the other. If one takes longer than expected, the
    heartbeat's thread looks after the others: it delivers the results that there are, and gives
    back what is not begun. Nothing is in the hands of both.

    Args:
        trials: in the order in which they are to run.
        outbox: keeps the results.
    """

    def __init__(self, trials: Sequence[Trial], outbox: Outbox) -> None:
        self.held = [Held(trial) for trial in trials]
        self._late_at = time.monotonic() + BATCH_S
        self.due = self._late_at
        """When the heartbeat is to look after it, in seconds of the monotonic clock."""
        self._outbox = outbox
        self._guard = threading.Lock()
        self._timer = threading.Timer(BATCH_S, self.save)  # the heartbeat may wait for the server
        self._timer.daemon = True
        self._waiting = deque(self.held)
        self._returning: list[Held] = []  # perhaps given back: the reply was lost
        self._results: list[tuple[Entry, str]] = []

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.save()

    def begin_next(self) -> Held | None:
        """Return the next trial, which is the caller's from now on; None if there is none left."""
        with self._guard:
            return self._waiting.popleft() if self._waiting else None

    @property
    def must_pause(self) -> bool:
        """Whether an order to pause was seen since the claim."""
        return any(held.pause is not None for held in self.held)

    def keep(self, entry: Entry, trial: str) -> None:
        """Keep a short result, as it is now, in memory until the batch is saved."""
        its_own = Entry.decode(entry.encode())  # the objective may change what it has returned
        with self._guard:
            self._results.append((its_own, trial))
        if time.monotonic() > self._late_at:
            self.save()

    def save(self) -> None:
        """Write the results that there are to the outbox; from here on nothing can lose them."""
        with self._guard:
            if self._results:
                self._outbox.add_batch(self._results)
            self._results = []

    def look_after(self, store: Store) -> None:
        """Save and deliver the results that there are, and give back what is not begun.

        Called by the heartbeat when it is ``due``. After a ``StoreUnavailable`` it is due again.
        """
        self.due = time.monotonic() + _LOOK_AGAIN_S
        self.save()
        self._outbox.deliver_batches(store)
        self.give_back(store)
        self.due = math.inf

    def give_back(self, store: Store) -> None:
        """Give back all that is not begun. Raises ``StoreUnavailable``; then ``left`` has it."""
        while True:
            with self._guard:
                if not (self._returning or self._waiting):
                    return
                held = self._returning.pop() if self._returning else self._waiting.pop()
            try:
                with contextlib.suppress(LeaseLost):  # another's, or given back in an earlier try
                    if held.cancelled.is_set():
                        store.queue.confirm_cancel(held.trial)
                    else:
                        store.queue.give_back(held.trial)
            except BaseException:
                with self._guard:
                    self._returning.append(held)
                raise

    def left(self) -> list[str]:
        """Return the tokens of the trials that were neither begun nor given back."""
        with self._guard:
            return [str(held.trial.token) for held in (*self._waiting, *self._returning)]
