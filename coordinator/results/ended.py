"""Trials that ended elsewhere, and how they come into a study."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Sequence

from hyperhive.coordinator.study import Study, differences
from hyperhive.store.encoding import LARGEST_RESULT, encoded
from hyperhive.store.errors import StudyChanged, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH


@dataclass(frozen=True)
class EndedTrial:
    """A trial that ended: with a ``result``, or with an ``error`` of ``kind`` and ``message``.

    The other of the two is None. ``vals`` has the values by label; None stands for a label that
    this trial has no value of. ``started`` and ``finished`` are aware times.
    """

    tid: int
    config: Mapping[str, Any]
    vals: Mapping[str, Any]
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    purpose: str = SEARCH
    started: datetime | None = None
    finished: datetime | None = None
    worker: str | None = None

    def require_storable(self, what: str) -> None:
        """Raise ``Unstorable``, which begins with ``what``, if the database cannot hold it."""
        parts = {"config": self.config, "vals": self.vals, "result": self.result}
        encoded(what, {**parts, "error": self.error, "worker": self.worker}, LARGEST_RESULT)


@dataclass(frozen=True)
class Added:
    """What became of trials that were to come into a study: how many of each kind.

    ``new`` were added and ``present`` were there already; the numbers of ``taken`` are those of
    other trials.
    """

    new: int
    present: int
    taken: int


def add(store: Store, study: Study, trials: Sequence[EndedTrial]) -> Added:
    """Make a study if there is none of its name, and add trials that ended elsewhere.

    It can be repeated, after a kill or ``StoreUnavailable`` too: it goes on from where it was.

    Args:
        store: where to.
        study: of which a coordinator with the same specification can then run further trials.
        trials: no two of the same purpose and ``tid``.

    Raises ``Unstorable`` before anything is written, ``StudyChanged`` if the study is there with
    another specification (what only decides how long it searches may differ, and stays), and
    ``StudyWithdrawn`` if it was cancelled.
    """
    for trial in trials:
        trial.require_storable(f"trial {trial.tid}")
    store.ensure_indexes()
    _open(store, study)
    known = {(trial.purpose, trial.tid) for trial in store.trials.find(study.name)}
    new = 0
    for trial in trials:
        if (trial.purpose, trial.tid) not in known:
            new += store.queue.insert_ended(
                study.draft(trial.purpose, trial.tid, trial.config, trial.vals),
                *(trial.result, trial.error, trial.started, trial.finished, trial.worker),
            )
    stored = {(trial.purpose, trial.tid): trial.config for trial in store.trials.find(study.name)}
    taken = sum(stored.get((trial.purpose, trial.tid)) != trial.config for trial in trials)
    return Added(new, len(trials) - new - taken, taken)


def _open(store: Store, study: Study) -> None:
    stored = store.studies.open(study.name, study.spec())
    before = Study.stored(study.name, stored.spec)  # what an earlier version wrote, as we write it
    differing = differences(before.lasting(), study.lasting())
    if differing:
        raise StudyChanged(
            f"study {study.name} is in the store with another specification "
            f"({'; '.join(differing)}): choose another name with --name"
        )
    if stored.cancelled:
        raise StudyWithdrawn(
            f"study {study.name} was cancelled: choose another name with --name, or run `hyperhive "
            f"study delete {study.name}` first"
        )
