"""Trials that ended elsewhere, and how they come into a study."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Sequence

from hyperhive.coordinator.study import differences
from hyperhive.store.encoding import LARGEST_RESULT, encoded
from hyperhive.store.errors import StudyChanged, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import SEARCH, Draft, Goal

_MAY_DIFFER = ("trials", "target", "max_time", "patience", "known")
"""What a coordinator may be started again with: these decide only how long a study searches."""


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
    cost: float | None = None

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


def add(store: Store, study: str, spec: Mapping[str, Any], trials: Sequence[EndedTrial]) -> Added:
    """Make a study if there is none of this name, and add trials that ended elsewhere.

    It can be repeated, after a kill or ``StoreUnavailable`` too: it goes on from where it was.

    Args:
        store: where to.
        study: the name.
        spec: its specification.
        trials: no two of the same purpose and ``tid``.

    Raises ``Unstorable`` before anything is written, ``StudyChanged`` if the study is there with
    another specification (budget and stop rules may differ: the stored ones stay), and
    ``StudyWithdrawn`` if it was cancelled.
    """
    for trial in trials:
        trial.require_storable(f"trial {trial.tid}")
    store.ensure_indexes()
    _open(store, study, spec)
    known = {(trial.purpose, trial.tid) for trial in store.trials.find(study)}
    new = 0
    for trial in trials:
        if (trial.purpose, trial.tid) not in known:
            new += store.queue.insert_ended(
                _draft(study, spec, trial),
                *(trial.result, trial.error, trial.started, trial.finished, trial.worker),
            )
    stored = {(trial.purpose, trial.tid): trial.config for trial in store.trials.find(study)}
    taken = sum(stored.get((trial.purpose, trial.tid)) != trial.config for trial in trials)
    return Added(new, len(trials) - new - taken, taken)


def _open(store: Store, study: str, spec: Mapping[str, Any]) -> None:
    stored = store.studies.open(study, spec)
    differing = differences(*(_lasting(each) for each in (stored.spec, spec)))
    if differing:
        raise StudyChanged(
            f"study {study} is in the store with another specification ({'; '.join(differing)}): "
            "choose another name with --name"
        )
    if stored.cancelled:
        raise StudyWithdrawn(
            f"study {study} was cancelled: choose another name with --name, or run `hyperhive "
            f"study delete {study}` first"
        )


def _lasting(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key not in _MAY_DIFFER}


def goal_of(spec: Mapping[str, Any]) -> Goal:
    """Return what a study's specification calls better."""
    default = Goal()
    named = {"metric": default.metric, "direction": default.direction, **spec}
    return Goal.from_document(named)


def _draft(study: str, spec: Mapping[str, Any], trial: EndedTrial) -> Draft:
    return Draft(
        study=study,
        tid=trial.tid,
        config=trial.config,
        vals=trial.vals,
        objective=spec["objective"],
        purpose=trial.purpose,
        max_attempts=spec["max_attempts"],
        cost=trial.cost,
        goal=goal_of(spec),
    )
