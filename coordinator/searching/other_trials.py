"""The trials of a study that are not of its search: baselines, repeats and the refit."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Sequence

from hyperhive.store.errors import LeaseLost, NotFound
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import BASELINE
from hyperhive.store.trials.trial import Trial


class OtherTrials:
    """Those of one study, as they were read last.

    Args:
        store: where they are.
        study: the name of the study.
        require_study: raises an error if the study was cancelled or deleted.
    """

    def __init__(self, store: Store, study: str, require_study: Callable[[], None]) -> None:
        self._store = store
        self._study = study
        self._require_study = require_study
        self._known: dict[Any, Trial] = {}  # by id

    def all(self) -> tuple[Trial, ...]:
        """Return all that were read."""
        return tuple(self._known.values())

    def look_at_baselines(self) -> None:
        """Read the baselines again."""
        self._know(self._store.trials.find(self._study, BASELINE))

    def look(self, drafts: Sequence[Draft]) -> list[Trial]:
        """Return trials of one purpose as they are now; post those that are not there yet."""
        trials = self._found(drafts)
        there = {trial.tid for trial in trials}
        missing = [draft for draft in drafts if draft.tid not in there]
        if missing:
            self._require_study()
            for draft in missing:
                self._store.queue.post(draft)
            self._require_study()  # it was deleted, and these trials with it
            trials = self._found(drafts)
        if len(trials) < len(drafts):
            raise NotFound(
                f"a {drafts[0].purpose} trial of study {self._study} can no longer be read: "
                "somebody wrote into it"
            )
        self._know(trials)
        return trials

    def drop(self, trials: Sequence[Trial]) -> None:
        """Drop the weights and artifacts of trials whose result is all that is needed."""
        for trial in trials:
            if trial.has_files:
                with contextlib.suppress(LeaseLost):  # it was deleted, or somebody wrote into it
                    self._store.drop_files(trial)

    def _found(self, drafts: Sequence[Draft]) -> list[Trial]:
        tids = [draft.tid for draft in drafts]
        return self._store.trials.find(self._study, drafts[0].purpose, tids) if tids else []

    def _know(self, trials: list[Trial]) -> None:
        self._known.update({trial.id: trial for trial in trials})
