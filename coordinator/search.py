"""The search: post trials, watch them, keep the best; then run the refit and the baseline."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any, Callable, Iterable, TypeVar

from hyperhive.common.errors import InputError
from hyperhive.coordinator.search_trials import SearchTrials
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.study_state import Snapshot, StudyState, Watch
from hyperhive.model.config import TrainConfig
from hyperhive.store.errors import NotFound, StoreUnavailable, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trial import BASELINE, REFIT, Draft, Status, Trial
from hyperhive.store.workers import WorkerRecord

POLL_S = 0.1
_SWEEP_EVERY_S = 2.0
_COLLECT_EVERY_S = 60.0
_RECONNECT_S = 1.0


class NoWorker(InputError):
    """No worker was present for the whole time that the search may wait for one."""


class Interrupted(Exception):
    """The search was stopped on request; it can be resumed by starting it again."""


_T = TypeVar("_T")


class Search:
    """The loop of one study in this process.

    It can read everything that it knows from the store again, so it may be killed at any moment and
    restarted. Two searches of one study do no harm: a trial can be posted only once.

    Args:
        store: where the trials are.
        study: what to search.
        watch: receives a snapshot several times per second.
        stop: ends the search with ``Interrupted``, when set.
        timeout: seconds without any worker that end it with ``NoWorker``; None waits forever.

    Every method raises ``StudyWithdrawn`` once somebody has cancelled or deleted the study.
    """

    def __init__(
        self,
        store: Store,
        study: Study,
        watch: Watch,
        stop: threading.Event,
        timeout: float | None = None,
    ) -> None:
        self._store = store
        self._study = study
        self._watch = watch
        self._stop = stop
        self._trials = SearchTrials(store, study)
        self._sweep = Sweep(store, study.name, timeout)
        self._others: dict[Any, Trial] = {}  # by id: those that are not of the search
        self._state = StudyState(study.name, study.plan.trials, ())

    def run(self) -> list[Trial]:
        """Search until every trial of the budget has ended; return them all.

        Raises ``Interrupted``.
        """
        self.persist(self._trials.load)
        self.persist(lambda: self._store.queue.post(self._baseline_draft()))
        while len(self._trials.finished) < self._study.plan.trials:
            self.persist(self._step)
            self._watch(self._snapshot(self._phase("searching", self._trials.unfinished)))
            self._pause(POLL_S)
        # A lost worker's result may have come after its trial was given up: read all once more.
        self.persist(self._trials.load)
        self.persist(self._drop_weights)
        return self._trials.finished

    def refit(self, winner: Trial) -> Trial:
        """Have a worker train the winner's configuration on all training data; return that trial.

        It may end in ERROR. Raises ``Interrupted``.
        """
        config = dataclasses.replace(TrainConfig.from_json(winner.config), train_on_all=True)
        draft = self._study.draft(REFIT, winner.tid, config, winner.vals)
        return self._run_extra(draft, "refitting the best on all training data")

    def baseline(self) -> Trial:
        """Return the trial of the untuned configuration, once it has ended."""
        return self._run_extra(self._baseline_draft(), "waiting for the untuned baseline")

    def persist(self, step: Callable[[], _T]) -> _T:
        """Do a step that is safe to repeat, again and again until the server answers."""
        while True:
            try:
                return step()
            except StoreUnavailable as error:
                snapshot = self._snapshot(f"{error}; waiting for it")
                self._watch(dataclasses.replace(snapshot, is_reachable=False))
                self._pause(_RECONNECT_S)

    # -- one step -------------------------------------------------------------------------------

    def _step(self) -> None:
        if self._sweep.run_if_due():
            self._drop_weights()
            self._know(self._store.trials.find(self._study.name, BASELINE))
        self._trials.look()
        # As many waiting as the workers can take at once: a worker that finishes finds the next
        # trial there, and no suggestion is made earlier than needed.
        while len(self._trials.all()) < self._study.plan.trials:
            if self._waiting() >= max(1, len(self._sweep.workers)):
                break
            self._trials.post_next()

    def _drop_weights(self) -> None:
        if not self._trials.drop_weights():
            self._sweep.require_study()  # it was deleted, and its trials with it
            self._trials.load()  # or somebody wrote into a trial, though it had ended

    def _waiting(self) -> int:
        waiting = [trial for trial in self._trials.unfinished if trial.status is Status.NEW]
        return sum(not self._fits_nobody(trial) for trial in waiting)

    def _fits_nobody(self, trial: Trial) -> bool:
        """Return whether a trial waits, and the device of every worker here has failed at it."""
        here = {worker.id for worker in self._sweep.workers}
        return trial.status is Status.NEW and bool(here) and here <= set(trial.excluded)

    def _phase(self, phase: str, trials: Iterable[Trial]) -> str:
        stuck = ", ".join(str(trial.tid) for trial in trials if self._fits_nobody(trial))
        if not stuck:
            return phase
        return f"{phase}; trial {stuck} waits for another worker: the devices here failed at it"

    # -- trials that are not part of the search -------------------------------------------------

    def _baseline_draft(self) -> Draft:
        return self._study.draft(BASELINE, 0, self._study.untuned_config())

    def _run_extra(self, draft: Draft, phase: str) -> Trial:
        """Post a trial that is not part of the search, and wait for its end."""
        trial = self.persist(lambda: self._look_at_extra(draft))
        while not trial.is_final:
            self._watch(self._snapshot(self._phase(phase, [trial])))
            self._pause(POLL_S)
            trial = self.persist(lambda: self._look_at_extra(draft))
        return trial

    def _look_at_extra(self, draft: Draft) -> Trial:
        """Return the trial as it is now; post it if it is not there yet."""
        self._store.queue.post(draft)
        if self._sweep.run_if_due():
            self._drop_weights()
        trials = self._store.trials.find(draft.study, draft.purpose, [draft.tid])
        if not trials:
            self._sweep.require_study()  # it was deleted, and this trial with it
            raise NotFound(
                f"the {draft.purpose} trial of study {draft.study} can no longer be read: somebody "
                "wrote into it"
            )
        self._know(trials)
        return trials[0]

    # -- what is shown, and the pauses between --------------------------------------------------

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Interrupted

    def _know(self, trials: list[Trial]) -> None:
        self._others.update({trial.id: trial for trial in trials})

    def _snapshot(self, phase: str) -> Snapshot:
        trials = (*self._trials.all(), *self._others.values())
        # The same state while no trial has changed: it is costly to rank thousands of trials.
        if trials != self._state.trials:
            self._state = dataclasses.replace(self._state, trials=trials)
        workers, had_workers = self._sweep.workers, self._sweep.had_workers
        return Snapshot(self._state, phase, workers, had_workers)


class Sweep:
    """What a search does only every few seconds: it gives up lost trials and looks for workers.

    Args:
        store: where the trials are.
        study: the name of the study.
        timeout: seconds without any worker after which ``NoWorker`` is raised; None for never.
    """

    def __init__(self, store: Store, study: str, timeout: float | None) -> None:
        self._store = store
        self._study = study
        self._timeout = timeout
        self._swept_at = -_SWEEP_EVERY_S
        self._collected_at = -_COLLECT_EVERY_S
        self._worker_seen_at = time.monotonic()
        self.workers: tuple[WorkerRecord, ...] = ()
        self.had_workers = False

    def run_if_due(self) -> bool:
        """Sweep if the last sweep was long enough ago; return whether it did.

        Raises ``StudyWithdrawn``, ``NoWorker``.
        """
        now = time.monotonic()
        if now - self._swept_at < _SWEEP_EVERY_S:
            return False
        self._swept_at = now
        self.require_study()
        self._store.sweep()
        self.workers = tuple(self._store.workers.present(self._study))
        self._require_worker()
        if now - self._collected_at >= _COLLECT_EVERY_S:
            self._collected_at = now
            self._store.collect_orphans()
        return True

    def require_study(self) -> None:
        """Raise ``StudyWithdrawn`` if the study was cancelled or deleted.

        Trials that were posted meanwhile are cancelled or deleted with it.
        """
        stored = self._store.studies.get(self._study)
        if stored is None:
            self._store.delete_study(self._study)
            raise StudyWithdrawn(f"study {self._study} was deleted")
        if stored.cancelled:
            self._store.cancel_study(self._study)
            raise StudyWithdrawn(f"study {self._study} was cancelled")

    def _require_worker(self) -> None:
        """Raise ``NoWorker`` if there has been none for longer than the search may wait."""
        if self.workers:
            self.had_workers = True
            self._worker_seen_at = time.monotonic()
        seconds_alone = time.monotonic() - self._worker_seen_at
        if self._timeout is not None and seconds_alone > self._timeout:
            raise NoWorker(
                f"no worker for {self._timeout:.0f} s: start a worker and the same study again, "
                "and it goes on from here"
            )
