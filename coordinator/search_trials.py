"""The search trials of a study, as this process knows them: read, looked at again, and posted."""

from __future__ import annotations

import time
from typing import Any, Iterable, Mapping, Sequence

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.planning.stop_rules import Stopping
from hyperhive.coordinator.ranking import FILES_KEPT, ranking
from hyperhive.coordinator.searching.demand import Demand
from hyperhive.coordinator.searching.numbers import Numbers
from hyperhive.coordinator.searching.suggestions import Suggestions
from hyperhive.coordinator.study import Study
from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial

_SUGGESTING_S = 0.02
"""Trials that took so long to suggest together are posted before others are suggested."""


class SearchTrials:
    """The trials of a study's search. Finished ones are read once, unfinished ones again and again.

    A look costs no more for thousands of finished trials. The store has everything that is here:
    another process may read it and go on.
    """

    def __init__(self, store: Store, study: Study) -> None:
        self._store = store
        self._study = study
        self._not_ours: set[int] = set()
        self.changes = 0
        """How often a look has found a trial claimed, ended, or posted by others."""
        self._begin()

    def _begin(self) -> None:
        """Forget all trials."""
        self._suggestions = Suggestions(self._study.plan, self._not_ours)
        self._all: dict[int, Trial] = {}
        self._ordered: tuple[Trial, ...] | None = None
        self._finished: dict[int, Trial] = {}
        self._unfinished: dict[int, Trial] = {}
        self._stopping = Stopping(self._study.plan.rules)
        self._best: list[Trial] = []  # as many as keep their files
        self._unranked: list[Trial] = []  # finished, and not yet compared with the best
        self._with_files: dict[int, Trial] = {}

    @property
    def finished(self) -> list[Trial]:
        """Those that have ended, in the order in which that was seen."""
        return list(self._finished.values())

    @property
    def unfinished(self) -> list[Trial]:
        """Those that have not ended."""
        return list(self._unfinished.values())

    @property
    def ended(self) -> int:
        """How many have ended."""
        return len(self._finished)

    @property
    def posted(self) -> int:
        """How many there are."""
        return len(self._all)

    @property
    def demand(self) -> Demand:
        """How many are to wait for workers."""
        return self._suggestions.demand

    def all(self) -> tuple[Trial, ...]:
        """Return all trials, by tid: the same object until one has changed."""
        if self._ordered is None:
            self._ordered = tuple(self._all[tid] for tid in sorted(self._all))
        return self._ordered

    def why_stop(self, spent: float) -> str | None:
        """Return why the plan's rules end the search now, see ``Stopping``."""
        return self._stopping.why_stop(spent)

    def load(self) -> None:
        """Read all trials, whatever was known of them: of histories only the last entry."""
        trials = self._store.trials.find(self._study.name, SEARCH, in_short=True)
        self._begin()
        self._take(trials)

    def look(self, only_changed: bool = False) -> None:
        """Read the unfinished trials again, and those that somebody else has posted.

        One that is gone was deleted, or somebody wrote into it: another is posted in its place.

        Args:
            only_changed: read only those whose state has changed: what else has, and which are
                gone, stays unknown.
        """
        read = self._store.trials.again
        known, free = self._unfinished.values(), self._suggestions.numbers.gaps()
        found = read(self._study.name, SEARCH, known, free, only_changed)
        if not only_changed:
            self._forget(self._unfinished.keys() - {trial.tid for trial in found})
        for trial in found:
            before = self._unfinished.get(trial.tid)
            self.changes += before is None or before.status is not trial.status
            if trial != before:
                self._take([trial])

    def load_if_changed(self) -> None:
        """Read all trials again if one has changed since it ended, by its version.

        A lost worker's result may have come after its trial was given up.
        """
        versions = self._store.trials.versions([self._study.name])
        if any(versions.get(each.id) != each.version for each in self._finished.values()):
            self.load()

    def suggest(self, count: int) -> list[Draft]:
        """Return the next trials to be posted, under the lowest numbers that are free.

        They are ``count``, or fewer: others may have posted some of them, and those that take long
        to suggest are returned first.
        """
        # Before the look, so that none is beyond the budget.
        free = self._suggestions.numbers.free(count)
        moment = self._suggestions.latest_claim
        self.look(only_changed=True)  # what had ended at that moment can now be seen
        known = self._suggestions.known(moment)
        until = time.monotonic() + _SUGGESTING_S
        drafts: list[Draft] = []
        for tid in (tid for tid in free if tid not in self._all):
            drafts.append(self._study.suggested(tid, self._suggestions.values(tid, known)))
            if time.monotonic() >= until:
                break
        return drafts

    def post_next(self) -> None:
        """Suggest a configuration and post it under the lowest number that is free."""
        self.post(self.suggest(1))

    def post(self, drafts: Sequence[Draft]) -> bool:
        """Post trials; return whether all numbers were free.

        It can be repeated after ``StoreUnavailable``, once the trials were looked at again.
        """
        posted = self._store.queue.post_all(drafts) if drafts else []
        self._take(posted)
        taken = {draft.tid for draft in drafts} - {trial.tid for trial in posted}
        if taken:  # by another coordinator, or hyperopt itself
            found = self._store.trials.find(self._study.name, SEARCH, taken)
            self._take(found)
            for tid in taken - {trial.tid for trial in found}:
                self._not_ours.add(tid)
                self._suggestions.numbers.add(tid)
        return not taken

    def post_known(self) -> None:
        """Post the configurations that the plan wants to be run first, unless they are there."""
        for config in self._study.plan.known:
            if self.posted < self._study.plan.trials:
                self.enqueue(config)

    def enqueue(self, config: Mapping[str, Any]) -> tuple[int, bool]:
        """Post a configuration, unless a trial has it; return its number, and whether it is new.

        It can be repeated after ``StoreUnavailable``. Raises ``UsageError`` for a configuration
        that no trial could have, and if the budget has no room for it.
        """
        is_new = False
        while True:
            self.look()
            (tid,) = self._suggestions.numbers.free(1)
            draft = self._study.known(tid, config)
            same = [trial.tid for trial in self.all() if trial.config == draft.config]
            if same:
                return same[0], is_new
            budget = self._study.plan.trials
            if self.posted >= budget:
                raise UsageError(
                    f"study {self._study.name} has no room for another trial: its {budget} trials "
                    "are posted; start it with more"
                )
            is_new = self.post([draft])

    def drop_files(self) -> bool:
        """Drop the weights and artifacts of all trials but the best ``FILES_KEPT``.

        Returns False if a trial could not be changed: it was deleted, or somebody wrote into it.
        """
        self._best = ranking([*self._best, *self._unranked])[:FILES_KEPT]
        self._unranked = []
        kept = {trial.tid for trial in self._best}
        all_dropped = True
        for tid in self._with_files.keys() - kept:
            try:
                dropped = self._store.drop_files(self._with_files[tid])
            except LeaseLost:
                all_dropped = False
                continue
            del self._with_files[tid]
            self._all[tid] = self._finished[tid] = dropped
            self._ordered = None
        return all_dropped

    def _take(self, trials: Iterable[Trial]) -> None:
        for trial in trials:
            if trial.tid in self._finished:
                continue
            self._ordered = None
            self._all[trial.tid] = trial
            self._suggestions.take(trial)
            if trial.is_final:
                self._end(trial)
            else:
                self._unfinished[trial.tid] = trial

    def _end(self, trial: Trial) -> None:
        self._unfinished.pop(trial.tid, None)
        self._finished[trial.tid] = trial
        self._stopping.take(trial)
        self._unranked.append(trial)
        if trial.status is Status.DONE and trial.has_files:
            self._with_files[trial.tid] = trial

    def _forget(self, tids: Iterable[int]) -> None:
        """Forget unfinished trials that are gone."""
        for tid in tids:
            self._ordered = None
            del self._unfinished[tid], self._all[tid]
            self._suggestions.forget(tid)
            self._suggestions.numbers = Numbers([*self._all, *self._not_ours])
