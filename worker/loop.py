"""A worker's life: wait for the server, take a trial, train, deliver, again."""

from __future__ import annotations

import functools
import logging
import time
import traceback
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

from hyperhive.common.errors import ConfigError, DatasetError, DeviceError
from hyperhive.common.signals import StopRequest
from hyperhive.common.values import is_number
from hyperhive.model.data.cache import DatasetCache
from hyperhive.store.errors import (
    CorruptBlob,
    LeaseLost,
    LoginRefused,
    LoginRevoked,
    NotFound,
    StoreUnavailable,
)
from hyperhive.store.queue import new_token
from hyperhive.store.store import Store
from hyperhive.store.trial import ErrorKind, Trial
from hyperhive.store.workers import Pace
from hyperhive.worker.claiming import Claimant, pace_of, take
from hyperhive.worker.device import is_device_failure
from hyperhive.worker.heartbeat import Heartbeat, Held
from hyperhive.worker.identity import Identity
from hyperhive.worker.objectives.api import Context, Objective, Outcome, Stopped
from hyperhive.worker.outbox import Entry, Outbox
from hyperhive.worker.pausing import Courtesy

log = logging.getLogger(__name__)

_RECONNECT_LIMIT_S = 5.0
_IDLE_LIMIT_S = 1.0
_TELL_EVERY_S = 10.0


@dataclass(frozen=True)
class Terms:
    """How a worker works.

    Args:
        find_server: gives the URI of the server, or None while there is none to be found. Asked
            again at each connection: the embedded server changes its port.
        device: ``cpu``, ``cuda`` or ``mps``.
        lease: seconds a trial is held without a sign of life.
        grace: seconds a stopping worker may take to finish the trial in hand.
        courtesy: when to leave the machine alone.
        first_come: take the trials in the order they were posted, and no copies, also near the end
            of a study (``worker/claiming.py``).
    """

    find_server: Callable[[], str | None]
    device: str
    lease: float = 60.0
    grace: float = 10.0
    courtesy: Courtesy = field(default_factory=Courtesy)
    first_come: bool = False


class Worker:
    """One process that does one trial at a time, until it is stopped.

    A server that goes away ends the session, never the worker: it waits for the server, and the
    first thing it does then is to deliver what it could not.
    """

    def __init__(
        self,
        identity: Identity,
        terms: Terms,
        objectives: Mapping[str, Objective],
        outbox: Outbox,
        stop: StopRequest,
    ) -> None:
        self._identity = identity
        self._terms = terms
        self._objectives = objectives
        self._outbox = outbox
        self._stop = stop
        self._datasets = DatasetCache()
        self._token: str | None = None
        self._knows_us: str | None = None
        self._pace: Pace | None = None

    def run(self) -> None:
        """Work until stopped. Raises ``StoreError`` for what waiting cannot mend."""
        with self._outbox:
            try:
                self._run()
            except LoginRefused as error:
                if self._knows_us is None:
                    raise
                raise LoginRevoked(
                    f"MongoDB at {self._knows_us} knows this login no more: it was revoked; "
                    "ask for another line "
                    "of `hyperhive mongo invite`"
                ) from error

    def _run(self) -> None:
        while not self._stop.asked.is_set():
            uri = self._wait_for_server()
            if uri is None:
                return
            try:
                self._session(uri)
            except StoreUnavailable as error:
                log.warning("%s; waiting for it", error)

    # -- sessions -------------------------------------------------------------------------------

    def _session(self, uri: str) -> None:
        """Deliver what waits, then do trials for as long as the server is there."""
        with Store(uri) as store:
            self._outbox.deliver(store)
            self._outbox.deliver_for_the_dead(store)
            connect = functools.partial(Store, uri, timeout=_RECONNECT_LIMIT_S)
            heartbeat = Heartbeat(
                connect,
                self._identity,
                self._terms.lease,
                self._outbox.waiting,
                lambda: self._pace,
            )
            with heartbeat:
                self._work(store, heartbeat)

    def _wait_for_server(self) -> str | None:
        """Return the URI of a server that answers; None once stopped."""
        pause = 0.25
        told = False
        while not self._stop.asked.is_set():
            uri = self._terms.find_server()
            reason = "no server runs on this machine yet: start a coordinator, or say --mongo URI"
            if uri is not None:
                try:
                    with Store(uri, timeout=_RECONNECT_LIMIT_S) as store:
                        store.ping()
                    log.info("connected to %s", store.address)
                    self._knows_us = store.address
                    return uri
                except StoreUnavailable as error:
                    reason = str(error)
            if not told:
                log.warning("%s; waiting for it", reason)
                told = True
            self._stop.asked.wait(pause)
            pause = min(2 * pause, _RECONNECT_LIMIT_S)
        return None

    def _work(self, store: Store, heartbeat: Heartbeat) -> None:
        pause = 0.02
        while not self._stop.asked.is_set():
            heartbeat.raise_failure()
            if self._token is None:  # else a trial may be ours already, and goes on
                self._rest_idle(store, heartbeat)
            if self._stop.asked.is_set():
                return
            if self.run_one(store, heartbeat):
                pause = 0.02
            else:
                self._stop.asked.wait(pause)
                pause = min(2 * pause, _IDLE_LIMIT_S)

    # -- pauses ---------------------------------------------------------------------------------

    def _rest_idle(self, store: Store, heartbeat: Heartbeat) -> None:
        """Take no trial while the machine is to be left alone."""

        def is_over() -> bool:
            heartbeat.raise_failure()
            store.ping()  # a server that is away is waited for without a word
            return False

        self._rest(heartbeat, is_over)

    def _rest_between_epochs(self, held: Held, heartbeat: Heartbeat) -> None:
        """Hold a trial, its lease kept, while the machine is to be left alone; but not for ever."""
        latest = time.monotonic() + self._terms.courtesy.patience

        def is_over() -> bool:
            held.outlasted = time.monotonic() > latest
            return held.outlasted or held.lost.is_set() or held.cancelled.is_set()

        self._rest(heartbeat, is_over)

    def _rest(self, heartbeat: Heartbeat, is_over: Callable[[], bool]) -> None:
        courtesy = self._terms.courtesy
        reason = courtesy.objection()
        if reason is None:
            return
        log.info("paused: %s", reason)
        with heartbeat.pausing(reason):
            while courtesy.objection() and not self._stop.asked.wait(courtesy.every):
                if is_over():
                    return
        log.info("the pause is over")

    # -- one trial ------------------------------------------------------------------------------

    def run_one(self, store: Store, heartbeat: Heartbeat) -> bool:
        """Do one trial from claim to delivery; return False if there was none to do."""
        trial = self._claim(store)
        if trial is None:
            self._token = None
            return False
        store_id = store.identity()
        self._token = None  # all answers are known; until then, the claim is found by its token
        begun = time.monotonic()
        kind = ", a second copy" if trial.is_copy else ""
        log.info("%s%s: %s", trial.label, kind, _spell(trial.vals or trial.config))
        with heartbeat.holding(trial) as held:
            try:
                outcome = self._run_objective(store, held, heartbeat)
                token, result, weights = str(trial.token), outcome.result, outcome.weights
                self._outbox.add(Entry(trial.id, token, result, weights, store_id))
            except Exception as error:
                heartbeat.raise_failure()  # then the store will not hear of this trial either
                self._settle(store, held, error)
                return True
            self._outbox.deliver(store)
        seconds, found = time.monotonic() - begun, _spell({"loss": outcome.result.get("loss")})
        log.info("%s: done in %.1f s, %s", trial.label, seconds, found or "without a loss")
        return True

    def _claim(self, store: Store) -> Trial | None:
        """Claim a trial, or find the one that a claim took whose reply was lost."""
        if self._token is not None:
            return store.queue.claimed(self._token)
        self._token = new_token()
        claimant = Claimant(
            self._identity, self._token, sorted(self._objectives), self._terms.lease
        )
        pace = None if self._terms.first_come else self._pace
        return take(store, claimant, pace)

    def _run_objective(self, store: Store, held: Held, heartbeat: Heartbeat) -> Outcome:
        trial = held.trial
        expected_end = [0.0]  # not known before the first report: it has the grace to come
        begun = [time.monotonic()]
        last_told = [begun[0]]

        def report(progress: Mapping[str, Any], seconds_left: float) -> None:
            self._pace = pace_of(trial.study, progress, time.monotonic() - begun[0]) or self._pace
            heartbeat.report(held, progress)
            if seconds_left > 0:  # what has its result is delivered first
                reported = time.monotonic()
                self._rest_between_epochs(held, heartbeat)
                begun[0] += time.monotonic() - reported  # a rest says nothing of the device's pace
            now = time.monotonic()
            expected_end[0] = now + seconds_left
            if now - last_told[0] >= _TELL_EVERY_S:
                last_told[0] = now
                log.info("%s: %s", trial.label, _spell(progress))

        def should_stop() -> bool:
            return (
                held.lost.is_set()
                or held.cancelled.is_set()
                or held.outlasted
                or self._stop.ends(expected_end[0], self._terms.grace)
            )

        dataset = functools.partial(self._datasets.get, fetch=store.datasets.fetch)
        context = Context(self._terms.device, dataset, report, should_stop, trial, store)
        return self._objectives[str(trial.objective)](trial.config, context)

    def _settle(self, store: Store, held: Held, error: Exception) -> None:
        """Tell the store how a trial ended that gave no result."""
        trial, name = held.trial, held.trial.label
        try:
            if held.lost.is_set():
                log.warning("%s: stopped; another worker has it, or was done first", name)
            elif held.cancelled.is_set():
                store.queue.confirm_cancel(trial)
                log.info("%s: cancelled", name)
            elif isinstance(error, Stopped):
                store.queue.give_back(trial)
                log.info("%s: given back", name)
            elif isinstance(error, StoreUnavailable):  # it could not get its data
                self._token = trial.token  # still ours, and found again when the server is back
                raise error
            elif isinstance(error, DeviceError) or is_device_failure(error):
                store.queue.give_back(trial, exclude=True)
                log.error("%s: given to another worker; this device failed: %s", name, error)
            elif isinstance(error, (ConfigError, DatasetError, NotFound, CorruptBlob)):
                store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, str(error))
                log.error("%s: cannot be run by anyone: %s", name, error)
            else:
                store.queue.fail(trial, ErrorKind.OBJECTIVE, _last_line(error))
                log.error("%s: failed", name, exc_info=error)
        except LeaseLost:
            log.warning("%s: is no longer this worker's", name)


def _spell(values: Mapping[str, Any]) -> str:
    """Return the numbers a person wants to see, in short."""
    shown: dict[str, Any] = {key: value for key, value in values.items() if is_number(value)}
    return ", ".join("{} {:.4g}".format(key.replace("_", " "), shown[key]) for key in shown)


def _last_line(error: Exception) -> str:
    return traceback.format_exception_only(type(error), error)[-1].strip()
