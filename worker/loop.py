"""A worker's life: wait for the server, claim a trial, run it, deliver its result, repeat."""

from __future__ import annotations

import functools
import logging
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Mapping

from hyperhive.common.errors import ConfigError, DatasetError, DeviceError, HyperhiveError
from hyperhive.common.signals import StopRequest, end_process
from hyperhive.common.text import of_error
from hyperhive.common.values import is_number
from hyperhive.common.wording import in_words
from hyperhive.model.data.cache import DatasetCache
from hyperhive.store.errors import (
    CorruptBlob,
    LeaseLost,
    LoginRefused,
    NotFound,
    StoreUnavailable,
    Unstorable,
)
from hyperhive.store.server.address import Place
from hyperhive.store.server.client import revoked
from hyperhive.store.server.embedded import running_uri
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import ErrorKind
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.claiming import Claimer
from hyperhive.worker.device import is_device_failure
from hyperhive.worker.heartbeat import Heartbeat, Held
from hyperhive.worker.identity import Identity
from hyperhive.worker.objectives import traces
from hyperhive.worker.objectives.api import BadResult, Context, Objective, Outcome, Stopped
from hyperhive.worker.objectives.goal import scored
from hyperhive.worker.objectives.lacking import Lacking
from hyperhive.worker.objectives.saving import SavedFiles
from hyperhive.worker.orders.reading import OrderReader
from hyperhive.worker.outbox import Entry, Outbox
from hyperhive.worker.pausing import PausePolicy, pause_without_trial
from hyperhive.worker.pruning.pruner import Pruner
from hyperhive.worker.settings import WorkerSettings
from hyperhive.worker.trial_run import TrialRun

if TYPE_CHECKING:  # it loads what checks signatures
    from hyperhive.worker.signed.published import Published

log = logging.getLogger(__name__)

_RECONNECT_LIMIT_S = 5.0
_FIRST_POLL_S = 0.02
_POLL_LIMIT_S = 0.5


class Worker:
    """One process that runs one trial at a time, until it is stopped.

    When the server goes away, the session ends and the worker goes on: it waits for the server, and
    delivers first what it could not deliver before.

    Args:
        settings: the command line's choices; ``device`` is a device, not ``auto``.
        identity: what the worker says about itself.
        objectives: what it can run, by name; ``published`` adds to it and removes from it.
        outbox: keeps results until they are delivered.
        stop: the request to stop.
        policy: when to pause; by default what the settings say.
        find_server: returns the server's URI, or None while there is no server; by default what
            the settings say. It is asked before each connection.
        lacking: says what an idle worker cannot take; None if another slot says that.
        published: what keys that the worker was given have published; None without such a key.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        identity: Identity,
        objectives: Mapping[str, Objective],
        outbox: Outbox,
        stop: StopRequest,
        policy: PausePolicy | None = None,
        find_server: Callable[[], str | None] | None = None,
        lacking: Lacking | None = None,
        published: Published | None = None,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._objectives = objectives
        self._outbox = outbox
        self._stop = stop
        self._policy = policy or PausePolicy.of(settings)
        self._find_server = find_server or self._server_of_settings
        self._lacking = lacking
        self._published = published
        self._orders = OrderReader(identity.worker)
        self._datasets = DatasetCache()
        self._claimer = Claimer(identity, objectives, settings.lease, settings.first_come)
        self._traceback = ""  # the last one in the log
        self._place: Place | None = None  # the server that accepted this worker's login

    def _server_of_settings(self) -> str | None:
        return self._settings.mongo or running_uri()

    def run(self) -> None:
        """Work until stopped. Raises ``StoreError`` if waiting cannot help."""
        with self._outbox:
            try:
                while not self._stop.asked.is_set():
                    uri = self._wait_for_server()
                    if uri is not None:
                        self._session(uri)
            except LoginRefused as error:
                if self._place is None:
                    raise
                raise revoked(self._place) from error

    # -- sessions -------------------------------------------------------------------------------

    def _wait_for_server(self) -> str | None:
        """Return the URI of a server that answers; None once stopped."""
        pause = 0.25
        has_warned = False
        while not self._stop.asked.is_set():
            uri = self._find_server()
            reason = (
                "no server runs on this machine: start `hyperhive coordinator` here, or paste the "
                "line of `hyperhive mongo invite`"
            )
            if uri is not None:
                try:
                    with Store(uri, timeout=_RECONNECT_LIMIT_S) as store:
                        store.ping()
                    log.info("connected to %s", store.address)
                    self._place = store.place
                    return uri
                except StoreUnavailable as error:
                    reason = str(error)
            if not has_warned:
                log.warning("%s; waiting for it", reason)
                has_warned = True
            self._stop.asked.wait(pause)
            pause = min(2 * pause, _RECONNECT_LIMIT_S)
        return None

    def _session(self, uri: str) -> None:
        """Deliver what waits, then run trials while the server is there."""
        try:
            with Store(uri) as store:
                heartbeat = Heartbeat(
                    connect=functools.partial(Store, uri, timeout=_RECONNECT_LIMIT_S),
                    identity=self._identity,
                    lease=self._settings.lease,
                    undelivered=self._outbox.waiting,
                    pace=lambda: self._claimer.pace,
                    orders=self._orders,
                )
                with heartbeat:
                    heartbeat.began.wait()
                    self._outbox.deliver(store, heartbeat.holding)
                    self._outbox.deliver_for_the_dead(store, heartbeat.holding)
                    self._work(store, heartbeat)
        except StoreUnavailable as error:
            if self._find_server() is None:  # it ends with the last command that uses it
                where = self._place.where if self._place else "its last address"
                reason = f"the private server at {where} has stopped"
            else:
                reason = str(error)
            log.warning("%s%s", reason, "" if self._stop.asked.is_set() else "; waiting for it")

    def _work(self, store: Store, heartbeat: Heartbeat) -> None:
        """Run trials until stopped; poll less and less often while there are none."""
        pause = _FIRST_POLL_S
        while not self._stop.asked.is_set():
            heartbeat.raise_failure()
            # A trial that may be this worker's already must not wait through a pause.
            if not self._claimer.may_hold_a_trial:
                # Raises if the server is away: that ends the session.
                read_order = functools.partial(self._orders.read, store)
                pause_without_trial(self._policy, heartbeat, self._stop, read_order)
            if self._stop.asked.is_set():
                return
            self._renew_objectives(store, heartbeat)
            if self.run_one(store, heartbeat):
                pause = _FIRST_POLL_S
            else:
                if self._lacking is not None:
                    self._lacking.look(store)
                self._stop.asked.wait(pause)
                pause = min(2 * pause, _POLL_LIMIT_S)

    def _renew_objectives(self, store: Store, heartbeat: Heartbeat) -> None:
        """Offer what is published now, and say so in the worker's record."""
        if self._published is not None and self._published.refresh(store):
            self._identity = replace(
                self._identity,
                objectives=tuple(self._objectives),
                refused=self._published.refused,
            )
            heartbeat.identify(self._identity)

    # -- one trial ------------------------------------------------------------------------------

    def run_one(self, store: Store, heartbeat: Heartbeat) -> bool:
        """Take one trial from claim to delivery; return False if there was none to claim."""
        trial = self._claimer.next_trial(store)
        if trial is None:
            return False
        store_id = store.identity()
        # The last reply that is needed before the run has arrived. If one had been lost, the next
        # call would find the trial by its token.
        self._claimer.confirm()
        claimed_at = time.monotonic()
        log.info("%s: %s", trial.full_title, in_words(trial.hyperparameters))
        token = str(trial.token)
        with heartbeat.holding(trial) as held, self._outbox.saving(token) as saved:
            try:
                outcome = self._run_objective(store, held, heartbeat, saved)
                result, weights = outcome.result, outcome.weights
                is_pruned = result.get("pruned") is True
                files = () if is_pruned else saved.all()
                # On disk before the first attempt to deliver: from here on nothing can lose it.
                self._outbox.add(
                    Entry(trial.id, token, result, weights, store_id, files), trial.full_title
                )
            except Exception as error:
                heartbeat.raise_failure()  # then the store would not hear about this trial either
                self._settle(store, held, error)
                return True
            self._outbox.deliver(store)
        seconds = time.monotonic() - claimed_at
        found = outcome.result.get("loss")
        loss = in_words({"loss": found}) if is_number(found) else "without a loss"
        how = "pruned" if is_pruned else "done"
        log.info("%s: %s in %.1f s, %s", trial.full_title, how, seconds, loss)
        return True

    def _run_objective(
        self, store: Store, held: Held, heartbeat: Heartbeat, saved: SavedFiles
    ) -> Outcome:
        """Run the trial's objective; raises ``Exception`` for whatever it raises."""
        pruner = Pruner(held, store)
        run = TrialRun(
            held,
            heartbeat,
            self._claimer,
            pruner,
            self._policy,
            self._stop,
            self._settings.grace,
        )
        context = Context(
            device=self._settings.device,
            dataset=functools.partial(self._datasets.get, fetch=store.datasets.fetch),
            report=run.report,
            should_stop=run.should_stop,
            trial=held.trial,
            store=store,
            files=saved,
            is_pruned=run.is_pruned,
        )
        objective = self._objectives.get(str(held.trial.objective))
        if objective is None:  # an earlier claim, whose reply was lost, took the trial
            raise DeviceError(f"{held.trial.objective} is no longer offered here")
        try:
            outcome = _called(objective, held.trial.config, context)
        except Exception as error:
            if not pruner.has_pruned:
                raise
            if not isinstance(error, Stopped):
                log.warning("%s: after it was pruned: %s", held.trial.full_title, of_error(error))
            outcome = Outcome({"status": "ok", "history": [dict(held.progress or {})]})
        if pruner.has_pruned:
            if held.lost.is_set() or held.cancelled.is_set():
                raise Stopped
            outcome = pruner.outcome(outcome.result)
        return scored(outcome, held.trial)

    def _settle(self, store: Store, held: Held, error: Exception) -> None:
        """Tell the store how a trial without a result ended.

        What the heartbeat learned goes before the error: an objective that was told to stop may
        raise anything.
        """
        text = traces.in_words(error)
        trial, name = held.trial, held.trial.full_title
        try:
            if held.lost.is_set():
                log.warning("%s: stopped; %s", name, _why_lost(store, trial))
            elif held.cancelled.is_set():
                store.queue.confirm_cancel(trial)
                log.info("%s: cancelled", name)
            elif isinstance(error, Stopped):
                store.queue.give_back(trial)
                log.info("%s: given back", name)
            elif isinstance(error, StoreUnavailable):  # the objective could not fetch its data
                # The trial is still this worker's, and goes on when the server is back.
                self._claimer.keep(str(trial.token))
                raise error
            elif isinstance(error, DeviceError) or is_device_failure(error):
                # This says nothing about the hyperparameters, so it costs the trial no attempt.
                store.queue.give_back(trial, device_error=text)
                log.error("%s: given to another worker; this device failed: %s", name, text)
            elif isinstance(error, (ConfigError, DatasetError, NotFound, CorruptBlob, Unstorable)):
                store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, text)
                log.error("%s: no other worker could do better: %s", name, text)
            elif isinstance(error, BadResult):
                store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, text)
                log.error("%s: failed, and is not tried again: %s", name, text)
            else:
                store.queue.fail(trial, ErrorKind.OBJECTIVE, text)
                log.error("%s: failed: %s%s", name, text, self._new_traceback(error))
        except LeaseLost:
            log.warning("%s: no longer this worker's; %s", name, _why_lost(store, trial))

    def _new_traceback(self, error: Exception) -> str:
        """Return what the log says after an error; nothing if it has just said that, or need not.

        An error of ours says all in its sentence.
        """
        if isinstance(error, HyperhiveError):
            return ""
        before, self._traceback = self._traceback, f"\n{traces.traceback_of(error)}"
        return "" if self._traceback == before else self._traceback


def _why_lost(store: Store, trial: Trial) -> str:
    """Return what became of a trial whose lease this worker has lost."""
    now = store.trials.get(trial.id)
    if now is None:
        return "it was deleted: its study was deleted, or ended early"
    if now.cancel_requested or (now.error or {}).get("kind") == ErrorKind.CANCELLED.value:
        return "it was cancelled"
    return "another worker holds it, or finished first"


def _called(objective: Objective, config: Mapping[str, Any], context: Context) -> Outcome:
    """Run an objective. What would end this process is an error of the trial like any other.

    A real request to stop is never raised here: see ``_slot`` in ``worker/slots.py``.
    """
    process, name = os.getpid(), context.trial.objective
    try:
        outcome = objective(config, context)
    except BaseException as error:
        _end_fork(process, error)
        if isinstance(error, Exception):
            raise
        if isinstance(error, SystemExit):
            raise RuntimeError(f"objective {name} called sys.exit({error})") from error
        # KeyboardInterrupt, GeneratorExit, or a package's own
        raise RuntimeError(f"objective {name} raised {of_error(error)}") from error
    _end_fork(process)
    return outcome


def _end_fork(process: int, error: BaseException | None = None) -> None:
    """End this process if the objective forked it: the trial is that of the process it began in."""
    if os.getpid() == process:
        return
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        log.error("a process that the objective forked: failed\n%s", traces.traceback_of(error))
        code = 1
    end_process(code)
