"""The search: post trials, watch them, keep the best; then run its repeats, refit and baselines."""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from typing import Callable, Sequence, TypeVar

from hyperhive.common.wording import counted
from hyperhive.coordinator.search_trials import SearchTrials
from hyperhive.coordinator.searching.other_trials import OtherTrials
from hyperhive.coordinator.searching.pace import Pace
from hyperhive.coordinator.searching.sweep import Sweep
from hyperhive.coordinator.searching.teaching import with_answers
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.study_state import Snapshot, StudyState, Watch, refit_length
from hyperhive.coordinator.views.waiting import as_at_work
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import REPEAT, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import WorkerRecord

_T = TypeVar("_T")

_RECONNECT_S = 1.0
_MOST_STUCK = 3
"""So many trials may wait that every worker here has failed at; then no other is posted, as a
device that fails at everything would use up the whole budget."""


class Interrupted(Exception):
    """The search was stopped on request; it can be resumed by starting it again."""


class Search:
    """The loop of one study in this process.

    It can read everything that it knows from the store again, so it may be killed at any moment and
    restarted. Two searches of one study do no harm: a trial can be posted only once.

    A worker that is free finds a trial that waits: ``Demand`` says how many have to. Trials that
    take 100 ms or longer are suggested when a worker takes one, and not earlier; shorter ones
    ahead of that. Of those, a study that was stopped and resumed may suggest others than one that
    was not, as any study with several workers may.

    Args:
        store: where the trials are.
        study: what to search.
        watch: receives a snapshot at most ten times per second, and the last one.
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
        self._others = OtherTrials(store, study.name, self._sweep.require_study)
        self._pace = Pace()
        self._spent = 0.0
        self._state = StudyState(study.name, study.plan.trials, ())

    def expect(self, extended: int) -> None:
        """Have it end with ``StudyExtended`` once the study has been extended more often."""
        self._sweep.extended = extended

    def finish(self) -> None:
        """Ask for the end of the search with the trials that have ended, of all who run it."""
        self.persist(lambda: self._store.studies.finish(self._study.name))

    def teach(self, may_mirror: bool) -> Trial | None:
        """Have a worker train the study's teacher, from which all trials learn; return that trial.

        It may end in ERROR. None if the study has no teacher. It has to be called before ``run``.
        ``may_mirror`` says whether the study's images may be mirrored. Raises ``Interrupted``.
        """
        draft = self._study.teacher(may_mirror)
        if draft is None:
            return None
        (teacher,) = self._run_others([draft], "training the teacher")
        self._study = with_answers(self._study, teacher)
        self._trials = SearchTrials(self._store, self._study)
        return teacher

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
            is_whole = self._pace.is_whole()
            pause = self.persist(functools.partial(self._step, is_whole))
            if is_whole or self._is_over():
                began = time.monotonic()
                self._watch(self._snapshot("searching"))
                self._pace.shown(began)
            self._pause(0.0 if self._is_over() else pause)
        self.withdraw_unfinished()
        self.persist(self._trials.load if self._sweep.finishes else self._trials.load_if_changed)
        if self._sweep.finishes:
            count = self._trials.ended
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
        self.persist(lambda: self._others.drop(baselines))
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
        self.persist(lambda: self._others.drop(repeats))
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
        return self._sweep.finishes or self._trials.ended >= self._study.plan.trials

    def _step(self, is_whole: bool) -> float:
        """Look at the trials and post what is lacking; return the seconds until the next step."""
        self._look_around()
        unfinished = len(self._trials.unfinished)
        self._trials.look(only_changed=not is_whole)
        self._apply_rules()
        count = 0 if self._sweep.finishes else self._lacking()
        if count > 0:
            drafts = self._trials.suggest(count)
            self._sweep.require_study()
            if not self._sweep.finishes:
                self._trials.post(drafts)
                if len(drafts) < count:
                    return 0.0
        return self._pace.pause(self._trials.changes, unfinished)

    def _lacking(self) -> int:
        """Return how many trials are to be posted now."""
        able = self._able()
        waiting = [trial for trial in self._trials.unfinished if trial.status is Status.NEW]
        # Every worker that could take such a trial now has failed at it.
        stuck = sum(not any(w.can_run(trial) for w in able) for trial in waiting) if able else 0
        if stuck >= _MOST_STUCK:
            return 0
        running = len(self._trials.unfinished) - len(waiting)
        wanted = self._trials.demand.count(len(able), running)
        room = self._study.plan.trials - self._trials.posted
        return min(wanted - (len(waiting) - stuck), room)

    def _look_around(self) -> None:
        if self._sweep.run_if_due(self._trials.unfinished or self._others.all()):
            self._drop_files()
            self._others.look_at_baselines()
            if self._study.plan.rules.max_time is not None:
                self._spent = self._store.studies.spend(self._study.name)

    def _apply_rules(self) -> None:
        """Mark the study as one that is to end, if one of its rules says so."""
        why = self._trials.why_stop(self._spent)
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

    # -- trials that are not part of the search -------------------------------------------------

    def _run_others(self, drafts: Sequence[Draft], phase: str) -> list[Trial]:
        """Post trials of one purpose that is not the search's; return them once all have ended."""
        trials: list[Trial] = []
        waiting, has_waited, pace = drafts, False, Pace()
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
                self._pause(pace.pause(len(drafts) - len(waiting), len(waiting)))
        self.persist(self._sweep.require_study)  # they may have ended because it was cancelled
        return trials

    def _look_at_others(self, drafts: Sequence[Draft]) -> list[Trial]:
        self._look_around()
        return self._others.look(drafts)

    # -- what is shown, and the pauses between --------------------------------------------------

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Interrupted

    def _snapshot(self, phase: str) -> Snapshot:
        plan = self._study.plan
        trials = (*self._trials.all(), *self._others.all())
        if trials == self._state.trials:
            trials = self._state.trials  # the same object is not counted again
        self._sweep.here = as_at_work(self._sweep.here, trials)
        state = dataclasses.replace(
            self._state,
            trials=trials,
            budget=self._trials.ended if self._sweep.finishes else plan.trials,
            repeats=plan.repeats,
            refit=refit_length(self._sweep.refits, plan.validation, plan.folds),
            finishing=self._sweep.finishes,
        )
        # The same state while nothing has changed: it is costly to rank thousands of trials.
        if state != self._state:
            self._state = state
        return Snapshot(self._state, phase, self._sweep.here, self._sweep.had_workers)
