"""The figures of one study while it runs: only what may have changed is read and made anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Sequence

from hyperhive.coordinator.figures.artifacts import read_artifacts
from hyperhive.coordinator.figures.classification import classification_of
from hyperhive.coordinator.figures.columns import columns
from hyperhive.coordinator.figures.curves import points_of
from hyperhive.coordinator.figures.numbers import text
from hyperhive.coordinator.figures.source import (
    Source,
    histories,
    notes_on,
    plan_of,
    shown_curves,
)
from hyperhive.coordinator.figures.study import importance_of, study_parts
from hyperhive.coordinator.figures.timeline import timeline
from hyperhive.coordinator.live.readings import Changes, Reading
from hyperhive.coordinator.ranking import FILES_KEPT
from hyperhive.coordinator.views.study_state import StudyState, at_work
from hyperhive.coordinator.views.wording import doing
from hyperhive.store.store import Store
from hyperhive.store.trials.attempts import Attempt
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial

_Json = Dict[str, Any]

MOST_RUNNING = 60
"""The most trials that are shown as running now."""


@dataclass(frozen=True)
class Made:
    """The figures of a study at a revision.

    Args:
        revision: of the reading that they show.
        source: what they were made of.
        parts: all figures but the trials' table and the timeline.
        changed_at: the revision at which each part changed last, by its name.
        whole: the revision before which a viewer needs all of it.
        changes: of the study's trials up to the revision.
    """

    revision: int
    source: Source
    parts: _Json
    changed_at: Mapping[str, int]
    whole: int
    changes: Changes

    def since(self, revision: int | None) -> _Json:
        """Return what a viewer needs that has the figures of a revision; None if it has none."""
        changed = self.changes.since(revision)
        is_whole = changed is None or revision is None or revision < self.whole
        parts = {
            name: part
            for name, part in self.parts.items()
            if is_whole or self.changed_at[name] > (revision or 0)
        }
        trials = [
            trial
            for trial in self.source.state.trials
            if is_whole or changed is None or trial.id in changed
        ]
        if trials or is_whole:
            searched = [trial for trial in trials if trial.purpose == SEARCH]
            parts["trials"] = columns(self.source, searched)
            parts["timeline"] = timeline(self.source, trials)
        return {"revision": self.revision, "whole": is_whole, "study": parts}


@dataclass
class LiveStudy:
    """Follows one study.

    Args:
        store: where it is.
        name: of the study.
    """

    store: Store
    name: str
    made: Made | None = None
    _attempts: dict[Any, Sequence[Attempt]] = field(default_factory=dict)
    _histories: dict[Any, tuple[int, Sequence[Mapping[str, Any]]]] = field(default_factory=dict)
    _model: tuple[_Json | None] | None = None
    _files: tuple[Any, list[_Json]] = (None, [])

    def follow(self, reading: Reading) -> Made:
        """Return the figures of a reading, which has the study. Raises ``StoreError``."""
        changes = reading.changes[self.name]
        before = self.made
        changed = changes.since(None if before is None else before.revision)
        source = self._source(reading, changes.state, changed)
        parts = {
            **study_parts(source),
            "importance": self._importance(source, changed),
            "artifacts": self._artifacts(source.state),
            "classification": self._classification(source.state),
            "running": _running(source),
        }
        was = {} if before is None else before.parts
        known = {} if before is None else before.changed_at
        changed_at = {
            name: known[name] if name in known and was[name] == part else reading.revision
            for name, part in parts.items()
        }
        is_whole = before is None or changed is None or _basis(before.parts) != _basis(parts)
        whole = reading.revision if is_whole or before is None else before.whole
        self.made = Made(reading.revision, source, parts, changed_at, whole, changes)
        return self.made

    def _source(self, reading: Reading, state: StudyState, changed: set[Any] | None) -> Source:
        if changed is None:
            self._attempts = dict(self.store.trials.attempts(self.name))
            self._histories = {}
        else:
            again = [trial.id for trial in state.trials if trial.id in changed and _several(trial)]
            if again:
                self._attempts.update(self.store.trials.attempts(self.name, again))
        return Source(
            state,
            plan_of(self.store, state),
            descriptions=reading.descriptions,
            attempts=dict(self._attempts),
            histories=self._read_histories(state),
            notes=notes_on(self.store, self.name),
        )

    def _read_histories(self, state: StudyState) -> dict[Any, Sequence[Mapping[str, Any]]]:
        """Return what the trials reported whose curves are shown; each is read once."""
        shown = [trial for trial in shown_curves(state) if trial.is_final]
        known = self._histories
        unread = [t.tid for t in shown if known.get(t.tid, (None,))[0] != t.version]
        known.update(histories(self.store, state, unread))
        self._histories = {t.tid: known[t.tid] for t in shown if t.tid in known}
        return {tid: history for tid, (_, history) in self._histories.items()}

    def _importance(self, source: Source, changed: set[Any] | None) -> Any:
        """Return the importance; it is made anew only if a trial has ended, or an axis changed."""
        if self.made is not None and changed is not None:
            known, axes = self.made.parts, [axis.as_json() for axis in source.axes]
            has_ended = any(t.is_final for t in source.state.trials if t.id in changed)
            if not has_ended and known["parameters"] == axes:
                return known["importance"]
        return importance_of(source)

    def _classification(self, state: StudyState) -> _Json | None:
        """Return how the study's model classifies, once it has ended; it is not run for that."""
        if not state.has_ended:
            self._model = None  # also of a study that goes on with more trials
        elif self._model is None:
            stored = self.store.studies.get(self.name)
            self._model = (None if stored is None else classification_of(self.store, stored),)
        return self._model and self._model[0]

    def _artifacts(self, state: StudyState) -> list[_Json]:
        """Return the files that the best trials saved."""
        best = state.ranked(FILES_KEPT)
        key = [(trial.id, trial.version) for trial in best]
        if self._files[0] != key:
            self._files = key, read_artifacts(self.store, best)
        return self._files[1]


def _several(trial: Trial) -> bool:
    """Return whether a trial was claimed more than once, or its one attempt has ended."""
    waits = trial.status is Status.NEW and trial.first_claim is not None
    return trial.claims > 1 or trial.copy is not None or waits


def _basis(parts: Mapping[str, Any]) -> Any:
    """Return what the columns of a trial that has not changed depend on."""
    devices = [each["name"] for each in parts["devices"]]
    axes = [(each["name"], each["kind"], each["categories"]) for each in parts["parameters"]]
    notes = [each for each in parts["notes"] if each["trial"] is not None]
    return parts["started"], parts["metric"]["name"], devices, axes, notes


def _running(source: Source) -> list[_Json]:
    """Return the trials that run now, each with its curve so far; a copy beside its trial."""
    held = at_work(source.state.tally.open)
    return [
        {
            "trial": trial.tid,
            "key": key_of(trial),
            "title": text(trial.title),
            "worker": text(worker),
            "device": text(source.descriptions.get(worker, "")),
            "does": text(doing(trial, "now")),
            "points": points_of(trial.curve or [trial.progress or {}], source.metric),
        }
        for worker, trial in list(held.items())[:MOST_RUNNING]
    ]


def key_of(trial: Trial) -> str:
    """Return what names a trial in the address of its page: ``7``, ``refit/7``."""
    return str(trial.tid) if trial.purpose == SEARCH else f"{trial.purpose}/{trial.tid}"
