"""A worker's life: wait for the server, take a trial, train, deliver, again."""

import functools
import logging
import time
import traceback
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional

from model.dataset_cache import DatasetCache
from model.errors import ConfigError, DatasetError, DeviceError
from store.connection import Store
from store.errors import (
    CorruptBlob,
    LeaseLost,
    LoginRefused,
    LoginRevoked,
    NotFound,
    StoreUnavailable,
)
from store.queue import new_token
from store.trial import ErrorKind, Trial
from worker.device import is_device_failure
from worker.identity import Identity
from worker.lease import Heartbeat, Held
from worker.objectives import Context, Objective, Outcome, Stopped
from worker.outbox import Entry, Outbox
from worker.stop import Stop

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
    """

    find_server: Callable[[], Optional[str]]
    device: str
    lease: float = 60.0
    grace: float = 10.0


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
        stop: Stop,
    ) -> None:
        self._identity = identity
        self._terms = terms
        self._objectives = objectives
        self._outbox = outbox
        self._stop = stop
        self._datasets = DatasetCache()
        self._token: Optional[str] = None
        self._knows_us: Optional[str] = None

    def run(self) -> None:
        """Work until stopped. Raises ``StoreError`` for what waiting cannot mend."""
        with self._outbox:
            try:
                self._run()
            except LoginRefused as error:
                if self._knows_us is None:
                    raise
                raise LoginRevoked(
                    "MongoDB at {} knows this login no more: it was revoked; ask for another line "
                    "of `hyperhive mongo invite`".format(self._knows_us)
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
            lease, undelivered = self._terms.lease, self._outbox.waiting
            with Heartbeat(connect, self._identity, lease, undelivered) as heartbeat:
                self._work(store, heartbeat)

    def _wait_for_server(self) -> Optional[str]:
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
            if self.run_one(store, heartbeat):
                pause = 0.02
            else:
                self._stop.asked.wait(pause)
                pause = min(2 * pause, _IDLE_LIMIT_S)

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
        log.info("%s: %s", trial.label, _spell(trial.vals or trial.config))
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

    def _claim(self, store: Store) -> Optional[Trial]:
        """Claim a trial, or find the one that a claim took whose reply was lost."""
        if self._token is not None:
            return store.trials.claimed(self._token)
        self._token = new_token()
        return store.trials.claim(
            self._identity.worker,
            self._token,
            sorted(self._objectives),
            self._identity.study,
            self._terms.lease,
        )

    def _run_objective(self, store: Store, held: Held, heartbeat: Heartbeat) -> Outcome:
        trial = held.trial
        expected_end = [0.0]  # not known before the first report: it has the grace to come
        last_told = [time.monotonic()]

        def report(progress: Mapping[str, Any], seconds_left: float) -> None:
            now = time.monotonic()
            expected_end[0] = now + seconds_left
            heartbeat.report(held, progress)
            if now - last_told[0] >= _TELL_EVERY_S:
                last_told[0] = now
                log.info("%s: %s", trial.label, _spell(progress))

        def should_stop() -> bool:
            return (
                held.lost.is_set()
                or held.cancelled.is_set()
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
                log.warning("%s: stopped; it is no longer this worker's", name)
            elif held.cancelled.is_set():
                store.trials.confirm_cancel(trial)
                log.info("%s: cancelled", name)
            elif isinstance(error, Stopped):
                store.trials.give_back(trial)
                log.info("%s: given back", name)
            elif isinstance(error, StoreUnavailable):  # it could not get its data
                self._token = trial.token  # still ours, and found again when the server is back
                raise error
            elif isinstance(error, DeviceError) or is_device_failure(error):
                store.trials.give_back(trial, exclude=True)
                log.error("%s: given to another worker; this device failed: %s", name, error)
            elif isinstance(error, (ConfigError, DatasetError, NotFound, CorruptBlob)):
                store.trials.fail(trial, ErrorKind.BAD_PAYLOAD, str(error))
                log.error("%s: cannot be run by anyone: %s", name, error)
            else:
                store.trials.fail(trial, ErrorKind.OBJECTIVE, _last_line(error))
                log.error("%s: failed", name, exc_info=error)
        except LeaseLost:
            log.warning("%s: is no longer this worker's", name)


def _spell(values: Mapping[str, Any]) -> str:
    """Return the numbers a person wants to see, in short."""
    shown: Dict[str, Any] = {
        key: value
        for key, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return ", ".join("{} {:.4g}".format(key.replace("_", " "), shown[key]) for key in shown)


def _last_line(error: Exception) -> str:
    return traceback.format_exception_only(type(error), error)[-1].strip()
