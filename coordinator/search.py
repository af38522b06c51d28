"""The search: post trials, watch them, keep the best; then run its repeats, refit and baselines."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
import time
from typing import Any, Callable, Iterable, Sequence, TypeVar

from hyperhive.common.errors import InputError
from hyperhive.common.wording import counted
from hyperhive.coordinator.search_trials import SearchTrials
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.study_state import Snapshot, StudyState, Watch, refit_length
from hyperhive.coordinator.views.waiting import as_at_work, why_waiting
from hyperhive.store.errors import LeaseLost, NotFound, StoreUnavailable, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import BASELINE, REPEAT, Status, experiment_keys
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import WorkerRecord

_T = TypeVar("_T")

POLL_S = 0.1
_SWEEP_EVERY_S = 2.0
COLLECT_EVERY_S = 60.0
_RECONNECT_S = 1.0
_MOST_STUCK = 3
"""So many trials may wait that every worker here has failed at; then no other is posted, as a
device that fails at everything would use up the whole budget."""


class NoWorker(InputError):
    """Nobody could take a trial for the whole time that the search may wait for a worker."""


class Interrupted(Exception):
    """The search was stopped on request; it can be resumed by starting it again."""


class Search:
    """The loop of one study in this process.

    It can read everything that it knows from the store again, so it may be killed at any moment and
    restarted. Two searches of one study do no harm: a trial can be posted only once.

    Args:
        store: where the trials are.
        study: what to search.
        watch: receives a snapshot several times per second.
        stop: ends the search with ``Interrupted``, when set.
        timeout: seconds without a worker that could take a trial, after which it ends with
            ``NoWorker``; None waits forever.

    Every method raises ``StudyWithdrawn`` once somebody has cancelled or deleted the study, and
    ``StudyExtended`` once somebody has started it again with more, see ``expect``.
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
        self._spent = 0.0
        self._others: dict[Any, Trial] = {}  # by id: those that are not of the search
        self._state = StudyState(study.name, study.plan.trials, ())

    def expect(self, extended: int) -> None:
        """Have it end with ``StudyExtended`` once the study has been extended more often."""
        self._sweep.extended = extended

    def finish(self) -> None:
        """Ask for the end of the search with the trials that have ended, of all who run it."""
        self.persist(lambda: self._store.studies.finish(self._study.name))

    def run(self) -> list[Trial]:
        """Search until every trial of the budget has ended; return them all.

        If the study is to finish early, return those that have ended now, and withdraw the others:
        a worker that runs one finds it gone. Raises ``Interrupted``.
        """
        self.persist(self._trials.load)
        for draft in self._study.baselines():
            self.persist(functools.partial(self._store.queue.post, draft))
        self.persist(self._trials.post_known)
        self.persist(self._look_around)
        if not self._is_over():  # repeats of an earlier end are of trials that may not be the best
            self.persist(lambda: self._store.queue.remove(self._study.name, REPEAT))
        while not self._is_over():
            self.persist(self._step)
            self._watch(self._snapshot("searching"))
            self._pause(POLL_S)
        self.withdraw_unfinished()
        # A lost worker's result may have come after its trial was given up: read all once more.
        self.persist(self._trials.load)
        if self._sweep.finishes:
            count = len(self._trials.finished)
            have = "has" if count == 1 else "have"
            ended = f"with the {counted(count, 'trial')} that {have} ended"
            self._watch(self._snapshot(f"{self.finish_reason or 'ending early'}, {ended}"))
        self.persist(self._drop_files)
        return self._trials.finished

    @property
    def finish_reason(self) -> str | None:
        """Which rule ended the search, in words, or None: another coordinator may have seen it."""
        return self._sweep.finish_reason

    @property
    def refits(self) -> bool:
        """Whether the winner is to be refitted, as the store says: another may end the study."""
        return self._sweep.refits

    def withdraw_unfinished(self) -> None:
        """Delete the trials of the search that have not ended, if the study is to finish early."""
        if self._sweep.finishes:
            self.persist(lambda: self._store.queue.remove(self._study.name))

    def refit(self, winner: Trial) -> Trial | None:
        """Have a worker train the winner's configuration on all training data; return that trial.

        It may end in ERROR. None if the objective has no refit. Raises ``Interrupted``.
        """
        draft = self._study.refit(winner)
        if draft is None:
            return None
        self._state = dataclasses.replace(self._state, winner=winner.tid)
        return self._run_others([draft], "refitting the best on all training data")[0]

    def baselines(self) -> list[Trial]:
        """Return the baselines, by tid, once they have ended; only their results are kept.

        Raises ``Interrupted``.
        """
        baselines = self._run_others(self._study.baselines(), "waiting for the baselines")
        self.persist(lambda: self._drop(baselines))
        return baselines

    def repeats(self, finalists: Sequence[Trial]) -> list[Trial]:
        """Return the repeats of these trials, by tid, once they have ended.

        All are posted at once, so that the workers share them; unfinished ones of other trials are
        withdrawn. Their weights are dropped: the winner keeps those of the search. Raises
        ``Interrupted``.
        """
        drafts = [draft for trial in finalists for draft in self._study.repeats(trial)]
        tids = [draft.tid for draft in drafts]
        self.persist(lambda: self._store.queue.remove(self._study.name, REPEAT, but=tids))
        which = f"the best {len(finalists)}" if len(finalists) > 1 else "the best"
        repeats = self._run_others(drafts, f"repeating {which}")
        self.persist(lambda: self._drop(repeats))
        return repeats

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

    def _is_over(self) -> bool:
        return self._sweep.finishes or len(self._trials.finished) >= self._study.plan.trials

    def _step(self) -> None:
        self._look_around()
        self._trials.look()
        self._apply_rules()
        if self._sweep.finishes:
            return
        # As many waiting as the workers can take at once: a worker that finishes finds the next
        # trial there, and no suggestion is made earlier than needed.
        while len(self._trials.all()) < self._study.plan.trials:
            waiting = [trial for trial in self._trials.unfinished if trial.status is Status.NEW]
            stuck = sum(self._fits_nobody(trial) for trial in waiting)
            if stuck >= _MOST_STUCK or len(waiting) - stuck >= max(1, len(self._able())):
                break
            self._sweep.require_study()
            if self._sweep.finishes:
                return
            self._trials.post_next()

    def _look_around(self) -> None:
        if self._sweep.run_if_due(self._trials.unfinished or self._others.values()):
            self._drop_files()
            self._know(self._store.trials.find(self._study.name, BASELINE))
            if self._study.plan.rules.max_time is not None:
                self._spent = self._store.studies.spend(self._study.name)

    def _apply_rules(self) -> None:
        """Mark the study as one that is to end, if one of its rules says so."""
        why = self._study.plan.rules.why_stop(self._trials.finished, self._spent)
        if why is not None and not self._sweep.finishes:
            self._store.studies.finish(self._study.name, why, self._sweep.extended)
            self._sweep.require_study()

    def _drop_files(self) -> None:
        if not self._trials.drop_files():
            self._sweep.require_study()  # it was deleted, and its trials with it
            self._trials.load()  # or somebody wrote into a trial, though it had ended

    def _able(self) -> list[WorkerRecord]:
        """Return the workers that have the study's objective, and are not paused."""
        objective = self._study.plan.objective
        return [w for w in self._sweep.workers if w.has(objective) and w.paused is None]

    def _fits_nobody(self, trial: Trial) -> bool:
        """Return whether every worker that could take a trial now has failed at it."""
        able = self._able()
        return bool(able) and not any(worker.can_run(trial) for worker in able)

    # -- trials that are not part of the search -------------------------------------------------

    def _run_others(self, drafts: Sequence[Draft], phase: str) -> list[Trial]:
        """Post trials of one purpose that is not the search's; return them once all have ended."""
        trials: list[Trial] = []
        waiting, has_waited = drafts, False
        while waiting:
            trials = self.persist(functools.partial(self._look_at_others, waiting))
            if all(trial.is_final for trial in trials):
                # A lost worker's result may have come after its trial was given up.
                trials = self.persist(lambda: self._look_at_others(drafts))
            unfinished = {trial.tid for trial in trials if not trial.is_final}
            waiting = [draft for draft in drafts if draft.tid in unfinished]
            has_waited = has_waited or bool(waiting)
            if has_waited:  # after the last has ended too: it is to be shown
                self._watch(self._snapshot(phase))
            if waiting:
                self._pause(POLL_S)
        self.persist(self._sweep.require_study)  # they may have ended because it was cancelled
        return trials

    def _look_at_others(self, drafts: Sequence[Draft]) -> list[Trial]:
        """Return the trials as they are now; post those that are not there yet."""
        self._look_around()
        trials = self._found(drafts)
        there = {trial.tid for trial in trials}
        missing = [draft for draft in drafts if draft.tid not in there]
        if missing:
            self._sweep.require_study()
            for draft in missing:
                self._store.queue.post(draft)
            self._sweep.require_study()  # it was deleted, and these trials with it
            trials = self._found(drafts)
        if len(trials) < len(drafts):
            raise NotFound(
                f"a {drafts[0].purpose} trial of study {self._study.name} can no longer be read: "
                "somebody wrote into it"
            )
        self._know(trials)
        return trials

    def _found(self, drafts: Sequence[Draft]) -> list[Trial]:
        tids = [draft.tid for draft in drafts]
        return self._store.trials.find(self._study.name, drafts[0].purpose, tids) if tids else []

    def _drop(self, trials: Sequence[Trial]) -> None:
        """Drop the weights and artifacts of trials whose result is all that is needed."""
        for trial in trials:
            if trial.has_files:
                with contextlib.suppress(LeaseLost):  # it was deleted, or somebody wrote into it
                    self._store.drop_files(trial)

    # -- what is shown, and the pauses between --------------------------------------------------

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Interrupted

    def _know(self, trials: list[Trial]) -> None:
        self._others.update({trial.id: trial for trial in trials})

    def _snapshot(self, phase: str) -> Snapshot:
        trials = (*self._trials.all(), *self._others.values())
        self._sweep.here = as_at_work(self._sweep.here, trials)
        state = dataclasses.replace(
            self._state,
            trials=trials,
            budget=len(self._trials.finished) if self._sweep.finishes else self._study.plan.trials,
            repeats=self._study.plan.repeats,
            refit=refit_length(self._sweep.refits, self._study.plan.validation),
            finishing=self._sweep.finishes,
        )
        # The same state while nothing has changed: it is costly to rank thousands of trials.
        if state != self._state:
            self._state = state
        return Snapshot(self._state, phase, self._sweep.here, self._sweep.had_workers)


class Sweep:
    """What a search does only every few seconds: it gives up lost trials and looks for workers.

    Args:
        store: where the trials are.
        study: the name of the study.
        timeout: seconds without a worker that could take a trial, after which ``NoWorker`` is
            raised; None for never.
    """

    def __init__(self, store: Store, study: str, timeout: float | None) -> None:
        self._store = store
        self._study = study
        self._timeout = timeout
        self._swept_at = -_SWEEP_EVERY_S
        self._collected_at = -COLLECT_EVERY_S
        self._worker_seen_at = time.monotonic()
        self.finishes = False
        """Whether the study is to end with the trials that it has."""
        self.finish_reason: str | None = None
        """Which rule ended the search, in words; None if none did, or a person."""
        self.refits = True
        """Whether its winner is to be refitted."""
        self.extended: int | None = None  # so often; None for any number
        self.here: tuple[WorkerRecord, ...] = ()
        self.had_workers = False

    @property
    def workers(self) -> list[WorkerRecord]:
        """The workers that would take the study's trials, if they have its objective."""
        return [worker for worker in self.here if worker.takes(self._study)]

    def run_if_due(self, trials: Iterable[Trial]) -> bool:
        """Sweep if the last sweep was long enough ago; return whether it did.

        ``trials`` are those that must end before the study goes on. Raises ``StudyWithdrawn``,
        ``NoWorker``.
        """
        now = time.monotonic()
        if now - self._swept_at < _SWEEP_EVERY_S:
            return False
        self._swept_at = now
        self.require_study()
        self._store.sweep()
        self.here = tuple(self._store.workers.present())
        self._require_worker([trial for trial in trials if not trial.is_final])
        if now - self._collected_at >= COLLECT_EVERY_S:
            self._collected_at = now
            self._store.collect_orphans()
            self._store.forget_orders()
        return True

    def require_study(self) -> None:
        """Raise ``StudyWithdrawn`` if the study was cancelled or deleted.

        Trials that were posted meanwhile are cancelled or deleted with it. Raises ``StudyExtended``
        too: see ``Search.expect``.
        """
        stored = self._store.studies.get(self._study)
        if stored is None:
            self._store.delete_study(self._study)
            raise StudyWithdrawn(f"study {self._study} was deleted")
        if stored.cancelled:
            self._store.cancel_study(self._study)
            raise StudyWithdrawn(f"study {self._study} was cancelled")
        stored.require(self.extended)
        self.finishes, self.refits = stored.finishing, stored.refits
        self.finish_reason = stored.finish_reason

    def _require_worker(self, trials: list[Trial]) -> None:
        """Raise ``NoWorker`` if none could go on for longer than the search may wait."""
        self.had_workers = self.had_workers or bool(self.here)
        if any(self._goes_on(worker, trials) for worker in self.workers):
            self._worker_seen_at = time.monotonic()
        seconds_alone = time.monotonic() - self._worker_seen_at
        if self._timeout is not None and seconds_alone > self._timeout:
            if not self.here:
                raise NoWorker(
                    f"no worker for {self._timeout:.0f} s: start a worker and the same study "
                    "again, and it goes on from here"
                )
            why = why_waiting(self._study, trials, self.here, self.had_workers)
            raise NoWorker(
                f"no worker here could go on for {self._timeout:.0f} s "
                f"({why or 'those that did are gone'}); start the same study again, and it goes on "
                "from here"
            )

    def _goes_on(self, worker: WorkerRecord, trials: list[Trial]) -> bool:
        """Return whether a worker runs a trial of the study, or could take what comes next."""
        key, _, _ = (worker.trial or "").rpartition("/")
        waiting = [trial for trial in trials if trial.status is Status.NEW]
        # A worker that its machine pauses goes on by itself; one that was ordered to does not.
        could = not worker.order and any(worker.can_run(trial) for trial in waiting or trials)
        return key in experiment_keys(self._study) or could or not trials
