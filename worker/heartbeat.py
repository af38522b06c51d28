"""The heartbeat: reports that a worker lives, and renews the leases of its trials.

It has its own thread and its own database client, so that neither a long training step nor a slow
upload can lose the trial.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Sequence

from hyperhive.common.signals import StopRequest
from hyperhive.store.errors import LeaseLost, StoreUnavailable
from hyperhive.store.orders import Order, Wish
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import PRESENCE_S, Pace
from hyperhive.worker.identity import Identity
from hyperhive.worker.orders.reading import OrderReader

if TYPE_CHECKING:
    from hyperhive.worker.running.batch import Batch

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 2.0
"""The least time between two beats that only store progress."""
HELD_EVERY_S = 1.0
"""The least time between two beats that only say which trial is held: a short one needs none."""
_SETTLED_S = 0.25
"""Such a beat comes this long after a trial was taken or ended. So one beat says that a trial has
ended and which is next, and it does not delay a worker that is between two."""


class Held:
    """A trial that this worker holds: what the heartbeat learned about it, and must report."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.progress: dict[str, Any] | None = None
        self.lost = threading.Event()
        self.cancelled = threading.Event()
        self.pause_expired = False
        """Whether the worker has paused for longer than a trial should wait."""
        self.order: Order | None = None
        """The order that was in force at the last beat."""
        self.pause: StopRequest | None = None
        """If that is an order to pause: the request to end this trial, which is asked for."""

    def obey(self, order: Order | None) -> None:
        """Take an order, or learn that it was withdrawn: then the trial goes on."""
        self.order = order
        if order is None or order.wish is not Wish.PAUSE:
            self.pause = None
        elif self.pause is None:
            pause = StopRequest()
            pause.ask()
            self.pause = pause


class Heartbeat:
    """Beats every quarter of the lease, or every 11 seconds if that is sooner, until its end.

    Use it as a context manager. A beat that cannot reach the server is not a reason to stop: when
    the server is back the lease may be over, but perhaps no other worker took the trial. A beat
    that finds the trial taken or ended sets ``Held.lost``.

    Args:
        connect: opens the heartbeat's own store.
        identity: what the worker says about itself.
        lease: in seconds.
        undelivered: counts the results that wait on this device.
        pace: returns how fast this worker is, None while that is unknown.
        orders: reads the orders for this worker.
    """

    def __init__(
        self,
        connect: Callable[[], Store],
        identity: Identity,
        lease: float,
        undelivered: Callable[[], int] = lambda: 0,
        pace: Callable[[], Pace | None] = lambda: None,
        orders: OrderReader | None = None,
    ) -> None:
        self._connect = connect
        self._identity = identity
        self._lease = lease
        self._undelivered = undelivered
        self._pace = pace
        self._held: Sequence[Held] = ()
        self._batch: Batch | None = None
        self._running: Held | None = None
        self._paused: str | None = None
        self._obeyed: Order | None = None
        self.orders = orders or OrderReader(identity.worker)
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._timing = threading.Lock()
        self._last_beat = -math.inf
        self._next_beat = -math.inf
        self._got_through = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self.failure: BaseException | None = None
        self.began = threading.Event()
        """Set after the first beat. A worker that claimed before it would hold a trial unseen."""

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._wake.set()
        self._thread.join()

    @contextlib.contextmanager
    def holding(self, trial: Trial) -> Iterator[Held]:
        """Renew a trial's lease while the context is open."""
        held = Held(trial)
        self._hold([held])
        try:
            yield held
        finally:
            self._hold(())

    @contextlib.contextmanager
    def holding_again(self, trial: Trial) -> Iterator[Held]:
        """Do what ``holding`` does, but beat at once: the lease of an earlier claim may be over."""
        with self.holding(trial) as held:
            self._beat_by(time.monotonic())
            yield held

    @contextlib.contextmanager
    def holding_batch(self, batch: Batch) -> Iterator[None]:
        """Renew the leases of a batch's trials while the context is open, and look after it."""
        self._hold(batch.held, batch)
        try:
            yield
        finally:
            self._hold(())

    def runs(self, held: Held) -> None:
        """Say which of a batch's trials is the one that runs."""
        self._running = held

    def report(self, held: Held, progress: Mapping[str, Any]) -> None:
        """Store progress with the next beat, and beat soon."""
        held.progress = dict(progress)
        now = time.monotonic()
        if now - self._last_beat >= PROGRESS_EVERY_S:
            self._beat_by(now)

    def pause(self, reason: str | None, order: Order | None = None) -> None:
        """State in the worker's record that it pauses, and why; None if it does not.

        Args:
            reason: that of its machine.
            order: which it obeys, if it holds no trial.
        """
        self._paused, self._obeyed = reason, order
        self._beat_by(time.monotonic())

    def identify(self, identity: Identity) -> None:
        """State from the next beat on, which is soon, that the worker is this."""
        self._identity = identity
        self._beat_by(time.monotonic())

    def raise_failure(self) -> None:
        """Raise the error that ended the heartbeat, if any: a worker must not go on without it."""
        if self.failure is not None:
            raise self.failure

    def _hold(self, held: Sequence[Held], batch: Batch | None = None) -> None:
        with self._guard:  # waits for the end of a beat, which may still write about the last trial
            self._held, self._batch, self._running = held, batch, next(iter(held), None)
            if self.failure is not None:
                self._lose_all()
        self._beat_by(max(self._last_beat + HELD_EVERY_S, time.monotonic() + _SETTLED_S))

    def _lose_all(self) -> None:
        for held in self._held:
            held.lost.set()

    def _beat_by(self, then: float) -> None:
        """Have the next beat at a time of the monotonic clock, if it is not to be sooner."""
        with self._timing:
            self._next_beat = min(self._next_beat, then)
        self._wake.set()

    def _run(self) -> None:
        try:
            with self._connect() as store:
                while not self._ended.is_set():
                    self.beat(store)
                    self.began.set()
                    self._wait(store)
                if self._got_through:  # else the server is away, and the record expires by itself
                    with contextlib.suppress(StoreUnavailable):
                        store.workers.leave(self._identity.worker)
        except BaseException as error:  # for the worker's own thread: see raise_failure
            with self._guard:
                self.failure = error
                self._lose_all()
        finally:
            self.began.set()

    def _wait(self, store: Store) -> None:
        """Wait for the next beat; look after a batch that takes longer than expected."""
        while not self._ended.is_set():
            self._wake.clear()
            batch = self._batch
            due = math.inf if batch is None else batch.due
            now = time.monotonic()
            if now >= self._next_beat:
                return
            if batch is not None and now >= due:
                self._look_after(batch, store)
            else:
                self._wake.wait(min(self._next_beat, due) - now)

    def _look_after(self, batch: Batch, store: Store) -> None:
        with self._guard:  # its end waits for this
            if batch is self._batch:  # it has not ended meanwhile
                try:
                    batch.look_after(store)
                except StoreUnavailable as error:
                    log.warning("%s; work goes on without it", error)

    def beat(self, store: Store) -> None:
        """Beat once: renew the held trials' leases and read the order, then update the record."""
        with self._timing:
            self._last_beat = time.monotonic()
            self._next_beat = self._last_beat + min(self._lease / 4, PRESENCE_S / 4)
        with self._guard:
            running = self._running
            try:
                if self._held:
                    self._renew(store)
                    order = self.orders.read(store)
                    for held in self._held:
                        held.obey(order)
                # An order that was read without a trial in hand is obeyed by the worker's own
                # thread: only that knows that no claim is under way.
                order = self._obeyed if running is None else running.order
                effect = None if order is None else order.effect(running is not None)
                store.workers.report(
                    trial=None if running is None else running.trial.label,
                    undelivered=self._undelivered(),
                    paused="; ".join(filter(None, (effect, self._paused))) or None,
                    pace=self._pace(),
                    order=(order.token if order else "") if self.orders.may_read else None,
                    **vars(self._identity),
                )
                self._got_through = True
            except StoreUnavailable as error:
                self._got_through = False
                log.warning("%s; work goes on without it", error)

    def _renew(self, store: Store) -> None:
        """Renew the leases of the trial that runs, with its progress, and of the others."""
        running = self._running
        live = [held for held in self._held if not held.lost.is_set()]
        if running in live:
            try:
                trial = store.queue.heartbeat(running.trial, running.progress, self._lease)
            except LeaseLost:
                trial = None
            _tell(running, trial)
        others = [held for held in live if held is not running]
        if others:
            found = store.queue.renew([held.trial for held in others], self._lease)
            now = {trial.token: trial for trial in found}
            for held in others:
                _tell(held, now.get(held.trial.token))


def _tell(held: Held, trial: Trial | None) -> None:
    """Tell a run what became of its trial, None if it is no longer this worker's."""
    if trial is None:
        held.lost.set()
    elif trial.cancel_requested:
        held.cancelled.set()
