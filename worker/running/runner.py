"""Runs the trials that a worker has claimed, from their objective to the outbox and delivery."""

from __future__ import annotations

import functools
import logging
import os
import time
from typing import Any, Mapping, Sequence

from hyperhive.common.errors import ConfigError, DatasetError, DeviceError, HyperhiveError
from hyperhive.common.signals import StopRequest, end_process
from hyperhive.common.text import of_error
from hyperhive.common.values import is_number
from hyperhive.common.wording import in_words
from hyperhive.model.data.cache import DatasetCache
from hyperhive.store.errors import CorruptBlob, LeaseLost, NotFound, StoreUnavailable, Unstorable
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import ErrorKind
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.claiming import Claimer
from hyperhive.worker.device import is_device_failure
from hyperhive.worker.heartbeat import Heartbeat, Held
from hyperhive.worker.objectives import traces
from hyperhive.worker.objectives.api import BadResult, Context, Objective, Outcome, Stopped
from hyperhive.worker.objectives.goal import scored
from hyperhive.worker.objectives.saving import SavedFiles
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.pausing import PausePolicy
from hyperhive.worker.pruning.pruner import Pruner
from hyperhive.worker.running.batch import Batch
from hyperhive.worker.running.entry import Entry
from hyperhive.worker.running.times import RunTimes
from hyperhive.worker.settings import WorkerSettings
from hyperhive.worker.trial_run import TrialRun

log = logging.getLogger(__name__)


class Runner:
    """Runs trials for a worker, one at a time.

    Args:
        settings: of the worker.
        objectives: what it can run, by name.
        claimer: is told of trials to which the worker must return, and how fast it is.
        outbox: keeps results until they are delivered.
        policy: when to pause.
        stop: the request to stop.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        objectives: Mapping[str, Objective],
        claimer: Claimer,
        outbox: Outbox,
        policy: PausePolicy,
        stop: StopRequest,
    ) -> None:
        self._settings = settings
        self._objectives = objectives
        self._claimer = claimer
        self._outbox = outbox
        self._policy = policy
        self._stop = stop
        self._datasets = DatasetCache()
        self._traceback = ""  # the last one in the log
        self.times = RunTimes()
        """How long the last trials took."""

    def run(self, trial: Trial, store: Store, heartbeat: Heartbeat) -> None:
        """Run a trial that was claimed alone, and deliver its result."""
        with heartbeat.holding(trial) as held:
            self._run(held, store, heartbeat)

    def run_batch(self, trials: Sequence[Trial], store: Store, heartbeat: Heartbeat) -> None:
        """Run short trials that were claimed at once, and deliver their results at once.

        What is not begun is given back if the worker is to stop or pause, and by the heartbeat if a
        trial takes longer than expected. If the server is away, the claimer returns to it.
        """
        batch = Batch(trials, self._outbox)
        try:
            with heartbeat.holding_batch(batch):
                with batch:
                    self._run_each(batch, store, heartbeat)
                self._outbox.deliver(store)
                batch.give_back(store)
        finally:
            self._claimer.keep(*batch.left())

    def _run_each(self, batch: Batch, store: Store, heartbeat: Heartbeat) -> None:
        while not (self._stop.asked.is_set() or batch.must_pause):
            heartbeat.raise_failure()
            held = batch.begin_next()
            if held is None:
                return
            heartbeat.runs(held)
            if held.lost.is_set() or held.cancelled.is_set():
                self._settle(store, held, Stopped())
            else:
                self._run(held, store, heartbeat, batch)

    def _run(
        self, held: Held, store: Store, heartbeat: Heartbeat, batch: Batch | None = None
    ) -> None:
        """Run a trial. A short result is kept by its batch, if there is one, others delivered."""
        trial, began_at = held.trial, time.monotonic()
        log.info("%s: %s", trial.full_title, in_words(trial.hyperparameters))
        with self._outbox.saving(str(trial.token)) as saved:
            try:
                entry = self._entry(store, held, heartbeat, saved)
                ran_s = time.monotonic() - began_at
                is_pruned = entry.result.get("pruned") is True
                is_short = entry.is_short and not is_pruned
                if batch is not None and is_short:
                    batch.keep(entry, trial.full_title)
                else:
                    # On disk before the first attempt to deliver: from here on nothing can lose it.
                    self._outbox.add(entry, trial.full_title)
            except Exception as error:
                heartbeat.raise_failure()  # then the store would not hear about this trial either
                self.times.forget()
                self._settle(store, held, error)
                return
            if batch is None or not is_short:
                self._outbox.deliver(store)
        if is_short:
            self.times.learn(trial, ran_s)
        else:
            self.times.forget()
        found = entry.result.get("loss")
        loss = in_words({"loss": found}) if is_number(found) else "without a loss"
        how = "pruned" if is_pruned else "done"
        seconds = time.monotonic() - began_at
        log.info("%s: %s in %.1f s, %s", trial.full_title, how, seconds, loss)

    def _entry(self, store: Store, held: Held, heartbeat: Heartbeat, saved: SavedFiles) -> Entry:
        """Run the trial's objective; return its result. Raises ``Exception`` for what it raises."""
        outcome = self._run_objective(store, held, heartbeat, saved)
        result, trial = outcome.result, held.trial
        files = () if result.get("pruned") is True else saved.all()
        token, store_id = str(trial.token), store.identity()
        return Entry(trial.id, token, result, outcome.weights, store_id, files)

    def _run_objective(
        self, store: Store, held: Held, heartbeat: Heartbeat, saved: SavedFiles
    ) -> Outcome:
        """Call the trial's objective; raises ``Exception`` for whatever it raises."""
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
