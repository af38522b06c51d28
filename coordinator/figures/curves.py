"""Learning curves: of the best trials, of some that were pruned, and of those that run."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from hyperhive.common.values import mapping, sequence
from hyperhive.coordinator.figures.columns import status_of
from hyperhive.coordinator.figures.metric import Metric
from hyperhive.coordinator.figures.numbers import rounded, step_of, step_word, text, thinned
from hyperhive.coordinator.figures.source import Source, shown_curves
from hyperhive.store.trials.trial import Trial

_POINTS = 200
"""The most points of a curve: a screen has few more pixels for it."""

_OTHERS = ("validation_accuracy", "accuracy", "validation_loss", "loss")
"""What is drawn if no history has the study's metric, the first that there is."""


def curves(source: Source) -> dict[str, Any]:
    """Return the curves of the trials that ``shown_curves`` chooses."""
    chosen = shown_curves(source.state)
    histories = {trial.tid: _history(source, trial) for trial in chosen}
    metric = _drawn(source.metric, histories.values())
    best = source.state.best
    found = [
        {
            "tid": trial.tid,
            "points": points_of(histories[trial.tid], metric),
            "state": status_of(trial),
            "best": best is not None and trial.tid == best.tid,
        }
        for trial in chosen
    ]
    return {
        "step": _step(histories.values()),
        "metric": text(metric.name),
        "of": [curve for curve in found if curve["points"]],
    }


def _history(source: Source, trial: Trial) -> Sequence[Mapping[str, Any]]:
    known = source.histories.get(trial.tid)
    if known is not None:
        return known
    if not trial.is_final:
        return trial.curve or ([trial.progress] if trial.progress else [])
    return [mapping(each) for each in sequence(trial.result.get("history"))]


def _drawn(metric: Metric, histories: Any) -> Metric:
    entries = [entry for history in histories for entry in history[-1:]]
    if not entries or any(metric.reported(entry) is not None for entry in entries):
        return metric
    for key in _OTHERS:
        other = Metric(key, "accuracy" in key, False, False)
        if any(other.reported(entry) is not None for entry in entries):
            return other
    return metric


def _step(histories: Any) -> str:
    words = (step_word(entry) for history in histories for entry in history[:1])
    return next(filter(None, words), "step")


def points_of(history: Sequence[Mapping[str, Any]], metric: Metric) -> list[list[Any]]:
    """Return the curve of a metric in what a trial reported: points of a step and a value."""
    found: list[list[Any]] = []
    for place, entry in enumerate(history, 1):
        value = rounded(metric.reported(entry))
        if value is not None:
            step = rounded(step_of(entry))
            found.append([place if step is None else step, value])
    return thinned(found, _POINTS)
