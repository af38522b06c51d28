"""The trials that a program has asked for, and the thread that keeps their leases."""

from __future__ import annotations

import contextlib
import functools
import logging
import platform
import threading
import time
from typing import Any, Mapping

from hyperhive.store.errors import LeaseLost, NotFound, StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import PRESENCE_S, new_worker_id
from hyperhive.worker.device import describe
from hyperhive.worker.heartbeat import PROGRESS_EVERY_S, Held
from hyperhive.worker.identity import Identity

log = logging.getLogger(__name__)

DEVICE = "cpu"
_TIMEOUT_S = 5.0


class Leases:
    """Renews the leases of held trials, as a worker's heartbeat does, for any number of them.

    Its thread starts with the first trial and has a store of its own. It refers to nothing but
    this object, so that whatever holds this object can be collected. While a trial is held, the
    program is among the workers of the store, and the study's time is spent.

    Args:
        uri: of the server.
        study: the name of the study.
        objective: of its trials.
        lease: seconds.
    """

    def __init__(self, uri: str, study: str, objective: str, lease: float) -> None:
        self.lease = lease
        self.identity = Identity(
            worker=new_worker_id(),
            study=study,
            device=f"a program on {describe(DEVICE)}",
            versions={"python": platform.python_version()},
            objectives=(objective,),
        )
        self._uri = uri
        self._study = study
        self._held: list[Held] = []
        self._is_present = False
        self._last_beat = 0.0
        self._failure: BaseException | None = None
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def held(self) -> list[Held]:
        """The trials that are held now."""
        with self._guard:
            return list(self._held)

    def hold(self, trial: Trial) -> Held:
        """Renew a trial's lease until ``release``."""
        held = Held(trial)
        with self._guard:
            self._held.append(held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
        return held

    def release(self, held: Held) -> None:
        """Renew a trial's lease no longer."""
        with self._guard:
            self._held = [each for each in self._held if each is not held]

    def report(self, held: Held, progress: Mapping[str, Any]) -> None:
        """Store progress with the next beat, and beat soon."""
        held.progress = dict(progress)
        if time.monotonic() - self._last_beat >= PROGRESS_EVERY_S:
            self._wake.set()

    def raise_failure(self) -> None:
        """Raise the error that ended the thread, if any: no trial is safe without it."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Give all trials back, and end the thread."""
        self._ended.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        connect = functools.partial(Store, self._uri, timeout=_TIMEOUT_S)
        try:
            with connect() as store:
                while not self._ended.is_set():
                    self._beat(store)
                    self._wake.wait(min(self.lease / 4, PRESENCE_S / 4))
                    self._wake.clear()
                with contextlib.suppress(StoreUnavailable):  # else the leases end by themselves
                    self._leave(store)
        except BaseException as error:  # for the program's own thread: see raise_failure
            self._failure = error
            for held in self.held:
                held.lost.set()

    def _beat(self, store: Store) -> None:
        self._last_beat = time.monotonic()
        try:
            for held in self.held:
                if not held.lost.is_set():
                    self._renew(store, held)
            self._report_presence(store)
        except StoreUnavailable as error:
            log.warning("%s; the leases of asked trials cannot be renewed until it answers", error)

    def _renew(self, store: Store, held: Held) -> None:
        try:
            trial = store.queue.heartbeat(held.trial, held.progress, self.lease)
        except LeaseLost:
            held.lost.set()
            self.release(held)
            return
        if trial.cancel_requested:
            held.cancelled.set()

    def _report_presence(self, store: Store) -> None:
        held = self.held
        if held:
            store.workers.report(trial=held[0].trial.label, **vars(self.identity))
            self._is_present = True
            with contextlib.suppress(NotFound):  # the study was deleted, and the trials are lost
                store.studies.spend(self._study)
        elif self._is_present:
            store.workers.leave(self.identity.worker)
            self._is_present = False

    def _leave(self, store: Store) -> None:
        for held in self.held:
            with contextlib.suppress(LeaseLost):
                store.queue.give_back(held.trial)
            held.lost.set()
        if self._is_present:
            store.workers.leave(self.identity.worker)
