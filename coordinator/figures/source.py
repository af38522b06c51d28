"""What the figures of a study are made of, read from the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, Mapping, Sequence

from hyperhive.common.errors import UsageError
from hyperhive.common.values import mapping, sequence
from hyperhive.coordinator.figures.devices import Devices
from hyperhive.coordinator.figures.metric import Metric
from hyperhive.coordinator.figures.numbers import text, thinned
from hyperhive.coordinator.figures.parameters import Axis, axes
from hyperhive.coordinator.results.table import iso
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.coordinator.views.study_state import StudyState
from hyperhive.store.notes import LONGEST_NOTE
from hyperhive.store.store import Store
from hyperhive.store.trials.attempts import Attempt
from hyperhive.store.trials.draft import Goal
from hyperhive.store.trials.terms import SEARCH
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import KEPT_S

_BEST, _PRUNED, _RUNNING = 10, 20, 50
"""The most curves of each kind."""

_REPORTS = 2000
"""The most reports that are kept of a trial whose curve is shown."""


@dataclass(frozen=True)
class Source:
    """A study as it was read, with all that its figures need.

    Args:
        state: the study, with the trials of all purposes.
        study: its plan, see ``plan_of``.
        descriptions: of the devices of the workers that are known, by the worker's id.
        attempts: of the trials that were tried more than once, by the trial's id.
        histories: what the trials whose curves are shown reported, by tid.
        notes: what people noted, each with ``trial`` (None: the study), ``text``, ``by``, ``at``.
        now: when it was read.
    """

    state: StudyState
    study: Study | None
    descriptions: Mapping[str, str] = field(default_factory=dict)
    attempts: Mapping[Any, Sequence[Attempt]] = field(default_factory=dict)
    histories: Mapping[Any, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    notes: Sequence[Mapping[str, Any]] = ()
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def goal(self) -> Goal:
        """What makes its trials better."""
        return Goal() if self.study is None else self.study.plan.goal

    @cached_property
    def metric(self) -> Metric:
        """What its trials are measured by."""
        return Metric.of(self.goal, self.state.trials)

    @cached_property
    def axes(self) -> list[Axis]:
        """What it searches."""
        space = None if self.study is None else self.study.plan.space
        return axes(space, self.state.searched)

    @cached_property
    def devices(self) -> Devices:
        """The devices that its trials ran on."""
        return Devices.of(self.state.trials, self.descriptions, self.attempts)

    @cached_property
    def noted(self) -> Mapping[Any, str]:
        """The notes on each trial, by its tid; several are lines of one text."""
        found: dict[Any, str] = {}
        for each in self.notes:
            if each["trial"] is not None:
                before = found.get(each["trial"])
                found[each["trial"]] = (
                    each["text"] if before is None else f"{before}\n{each['text']}"
                )
        return found

    @cached_property
    def started(self) -> datetime | None:
        """When its first trial began, by the server's clock; None if none has.

        Trials that were imported ran elsewhere, under another clock: they count if there are no
        others.
        """
        own = [trial for trial in self.state.trials if not trial.imported]
        return _first(own) or _first(self.state.trials)

    @cached_property
    def ended(self) -> datetime | None:
        """When its last trial ended; None while it is open."""
        if self.state.is_open:
            return None
        return max((t.refresh_time for t in self.state.trials if t.refresh_time), default=None)


def read(store: Store, name: str) -> Source:
    """Read a study, or an experiment of hyperopt's; raises ``NotFound``."""
    (state,) = FleetReader(store, name).read().studies
    tids = [trial.tid for trial in shown_curves(state) if trial.is_final]
    return Source(
        state,
        plan_of(store, state),
        descriptions={each.id: each.device for each in store.workers.recent(KEPT_S)},
        attempts=store.trials.attempts(name),
        histories={tid: history for tid, (_, history) in histories(store, state, tids).items()},
        notes=notes_on(store, name),
    )


def plan_of(store: Store, state: StudyState) -> Study | None:
    """Return a study with its plan; None of an experiment of hyperopt's, which has none.

    None also if a newer hyperhive made it, or its specification is malformed: then its figures are
    made as those of an experiment. Raises ``NotFound``.
    """
    if state.is_experiment:
        return None
    spec = store.study(state.name).spec
    try:
        return Study.stored(state.name, spec)
    except (UsageError, KeyError, TypeError, ValueError):
        return None


def histories(
    store: Store, state: StudyState, tids: Sequence[Any]
) -> dict[Any, tuple[int, list[Mapping[str, Any]]]]:
    """Return what these trials of a study's search reported, by tid, each with its version.

    A history may be 8 MB: of a longer one than ``_REPORTS``, every so-many-th report is kept.
    """
    found: dict[Any, tuple[int, list[Mapping[str, Any]]]] = {}
    if tids and not state.is_experiment:
        for trial in store.trials.each(state.name, SEARCH, tids):
            reports = thinned(sequence(trial.result.get("history")), _REPORTS)
            found[trial.tid] = trial.version, [mapping(each) for each in reports]
    return found


def notes_on(store: Store, study: str) -> list[dict[str, Any]]:
    """Return the notes on a study and its trials, as the figures have them."""
    return [
        {
            "trial": note.trial,
            "text": text(note.text, LONGEST_NOTE),
            "by": text(note.by),
            "at": iso(note.at),
        }
        for note in store.notes_of(study)
    ]


def shown_curves(state: StudyState) -> list[Trial]:
    """Return the trials whose curves are shown: the best, then some pruned ones, then the open.

    Those that were pruned are spread evenly over the search.
    """
    pruned = [trial for trial in state.searched if trial.pruned]
    apart = -(-len(pruned) // _PRUNED) or 1
    running = [trial for trial in state.tally.open if trial.purpose == SEARCH and trial.progress]
    best = state.ranked(_BEST)
    winner = [state.best] if state.best is not None and state.best not in best else []
    return [*winner, *best, *pruned[::apart], *running[:_RUNNING]]


def _first(trials: Sequence[Trial]) -> datetime | None:
    began = (trial.first_claim or trial.book_time for trial in trials)
    return min((moment for moment in began if moment), default=None)
