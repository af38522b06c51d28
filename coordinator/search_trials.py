"""The search trials of a study, as this process knows them: read, looked at again, and posted."""

from __future__ import annotations

from typing import Any, Mapping

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.history import History
from hyperhive.coordinator.ranking import FILES_KEPT, ranking
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.suggest import Suggester
from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial


class SearchTrials:
    """The trials of a study's search. Finished ones are read once, unfinished ones at each look.

    The store has everything that is here: another process may read it and go on.
    """

    def __init__(self, store: Store, study: Study) -> None:
        self._store = store
        self._study = study
        plan = study.plan
        self._suggester = Suggester(plan.algorithm, plan.space, plan.seed, plan.startup)
        self._history = History(plan.space)
        self._finished: dict[int, Trial] = {}
        self._unfinished: dict[int, Trial] = {}
        self._not_ours: set[int] = set()
        self._ordered: tuple[Trial, ...] | None = None

    @property
    def finished(self) -> list[Trial]:
        """Those that have ended, in the order in which that was seen."""
        return list(self._finished.values())

    @property
    def unfinished(self) -> list[Trial]:
        """Those that have not ended."""
        return list(self._unfinished.values())

    def all(self) -> tuple[Trial, ...]:
        """Return all trials, by tid: the same object until one has changed."""
        if self._ordered is None:
            trials = {**self._finished, **self._unfinished}
            self._ordered = tuple(trials[tid] for tid in sorted(trials))
        return self._ordered

    def load(self) -> None:
        """Read all trials, whatever was known of them."""
        trials = self._store.trials.find(self._study.name, SEARCH)
        self._finished, self._unfinished, self._ordered = {}, {}, None
        self._history = History(self._study.plan.space)
        self._take(trials)

    def look(self) -> None:
        """Read the unfinished trials again, and those that somebody else has posted.

        One that is gone was deleted, or somebody wrote into it: another is posted in its place.
        """
        asked, last = list(self._unfinished), self._next_tid() - 1
        found = self._store.trials.find(self._study.name, SEARCH, asked, above=last)
        trials = [trial for trial in found if trial.tid not in self._finished]
        if trials != list(self._unfinished.values()):
            for tid in self._unfinished.keys() - {trial.tid for trial in trials}:
                self._history.forget(tid)
            self._unfinished, self._ordered = {}, None
            self._take(trials)

    def post_next(self) -> None:
        """Suggest a configuration and post it under the lowest number that is free."""
        tid = self._next_tid()
        moment = self._history.latest_claim
        self.look()  # what had ended at that moment can now be seen
        vals = self._suggester.suggest(tid, self._history.known(moment))
        self._post(self._study.suggested(tid, vals))

    def post_known(self) -> None:
        """Post the configurations that the plan wants to be run first, unless they are there."""
        for config in self._study.plan.known:
            if len(self.all()) < self._study.plan.trials:
                self.enqueue(config)

    def enqueue(self, config: Mapping[str, Any]) -> tuple[int, bool]:
        """Post a configuration, unless a trial has it; return its number, and whether it is new.

        It can be repeated after ``StoreUnavailable``. Raises ``UsageError`` for a configuration
        that no trial could have, and if the budget has no room for it.
        """
        is_new = False
        while True:
            self.look()
            draft = self._study.known(self._next_tid(), config)
            same = [trial.tid for trial in self.all() if trial.config == draft.config]
            if same:
                return same[0], is_new
            budget = self._study.plan.trials
            if len(self.all()) >= budget:
                raise UsageError(
                    f"study {self._study.name} has no room for another trial: its {budget} trials "
                    "are posted; start it with more"
                )
            is_new = self._post(draft)

    def _post(self, draft: Draft) -> bool:
        is_new = self._store.queue.post(draft)
        # Read it back: another coordinator may have posted this number first, or hyperopt itself.
        posted = self._store.trials.find(self._study.name, SEARCH, [draft.tid])
        self._take(posted)
        if not posted:
            self._not_ours.add(draft.tid)
        return is_new

    def drop_files(self) -> bool:
        """Drop the weights and artifacts of all trials but the best ``FILES_KEPT``.

        Returns False if a trial could not be changed: it was deleted, or somebody wrote into it.
        """
        all_dropped = True
        best = {trial.tid for trial in ranking(self._finished.values())[:FILES_KEPT]}
        for trial in self.finished:
            if trial.status is Status.DONE and trial.has_files and trial.tid not in best:
                try:
                    self._finished[trial.tid] = self._store.drop_files(trial)
                    self._ordered = None
                except LeaseLost:
                    all_dropped = False
        return all_dropped

    def _take(self, trials: list[Trial]) -> None:
        for trial in trials:
            known = self._finished if trial.is_final else self._unfinished
            known[trial.tid] = trial
            self._ordered = None
            self._history.take(trial)

    def _next_tid(self) -> int:
        used = {*self._finished, *self._unfinished, *self._not_ours}
        return next(tid for tid in range(len(used) + 1) if tid not in used)
