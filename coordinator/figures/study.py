"""The figures of studies: one JSON document for the report, the live page and whoever asks."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import Any, Sequence

from hyperhive.coordinator.figures.artifacts import read_artifacts
from hyperhive.coordinator.figures.classification import classification_of
from hyperhive.coordinator.figures.columns import STATUSES, columns, params, status_of
from hyperhive.coordinator.figures.curves import curves
from hyperhive.coordinator.figures.devices import comparison
from hyperhive.coordinator.figures.importance import importance
from hyperhive.coordinator.figures.numbers import rounded, seconds_since, text
from hyperhive.coordinator.figures.progress import progress, training_images
from hyperhive.coordinator.figures.sentence import sentence
from hyperhive.coordinator.figures.source import Source, read
from hyperhive.coordinator.figures.study_file import command, study_file
from hyperhive.coordinator.figures.timeline import timeline
from hyperhive.coordinator.ranking import FILES_KEPT
from hyperhive.coordinator.results.table import iso, state_of
from hyperhive.coordinator.views.wording import state as state_in_words
from hyperhive.store.store import Store

VERSION = 1
"""Of the JSON: its key ``version``."""

_DONE = ("done", "pruned", "diverged")


def figures(store: Store, names: Sequence[str]) -> dict[str, Any]:
    """Return the figures of these studies, or experiments of hyperopt's. Raises ``NotFound``."""
    return document([_whole(store, read(store, name)) for name in names])


def _whole(store: Store, source: Source) -> dict[str, Any]:
    """Return a study's figures, also those that take files or a model's answers to make."""
    stored = store.studies.get(source.state.name)
    answers = None if stored is None else classification_of(store, stored, may_run=True)
    files = read_artifacts(store, source.state.ranked(FILES_KEPT))
    return {**study_figures(source), "classification": answers, "artifacts": files}


def document(studies: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON document of the figures of these studies."""
    now = datetime.now(timezone.utc)
    return {"version": VERSION, "made_at": iso(now), "studies": list(studies)}


def study_figures(source: Source) -> dict[str, Any]:
    """Return the figures of a study; nothing is read for them."""
    return {
        **study_parts(source),
        "importance": importance_of(source),
        "trials": columns(source, source.state.searched),
        "timeline": timeline(source),
    }


def study_parts(source: Source) -> dict[str, Any]:
    """Return the figures of a study but ``importance``, ``trials`` and ``timeline``."""
    state, best = source.state, source.state.best
    images = training_images(source)
    devices = comparison(source.devices, state.trials, source.attempts, images)
    until = source.ended or source.now
    return {
        "name": text(state.name),
        "title": text(state.title),
        "state": state_in_words(state),
        "is_open": state.is_open,
        "started": iso(source.started),
        "seconds": seconds_since(source.started, until),
        "sentence": sentence(source, devices),
        "metric": _metric(source),
        "counts": _counts(source),
        "parameters": [axis.as_json() for axis in source.axes],
        "statuses": list(STATUSES),
        "devices": devices,
        "best": None if best is None else best.tid,
        "progress": progress(source),
        "curves": curves(source),
        "classification": None,
        "artifacts": [],
        "notes": list(source.notes),
        "study_file": source.study and study_file(source.study),
        "command": source.study and command(source.study),
    }


def _metric(source: Source) -> dict[str, Any]:
    """Return the metric; its axis is logarithmic for losses that are far apart."""
    metric = source.metric
    losses = [trial.loss for trial in source.state.ranked()] if not metric.maximise else []
    known = [loss for loss in losses if loss is not None]
    is_log = bool(known) and min(known) > 0 and max(known) > 100 * min(known)
    return {
        "name": text(metric.name),
        "unit": "share" if metric.is_share else "number",
        "maximise": metric.maximise,
        "log": is_log,
    }


def _counts(source: Source) -> dict[str, int | None]:
    """Return the budget, and how many trials of the search are in each state of the table.

    As everywhere in words, those that are done include the pruned and the diverged.
    """
    state = source.state
    found = Counter(map(state_of, state.searched))
    budget = None if state.is_experiment else state.budget
    counts = {status: found[status] for status in STATUSES}
    return {"budget": budget, **counts, "done": sum(found[each] for each in _DONE)}


def importance_of(source: Source) -> dict[str, Any]:
    """Return how important each hyperparameter is, of the trials of the search that are done."""
    trials = source.state.searched
    return importance(
        {
            "parameters": [axis.as_json() for axis in source.axes],
            "statuses": STATUSES,
            "metric": {"maximise": source.metric.maximise},
            "trials": {
                "value": [rounded(source.metric.value(trial)) for trial in trials],
                "status": [status_of(trial) for trial in trials],
                "params": params(source, trials),
            },
        }
    )
