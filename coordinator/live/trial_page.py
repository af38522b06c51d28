"""One trial's own page: what it ran with, how it went, where, and what it left."""

from __future__ import annotations

import itertools
from typing import Any, Dict, Mapping, Sequence

from hyperhive.common.values import flattened, mapping, numbers, sequence
from hyperhive.common.wording import in_words
from hyperhive.coordinator.figures.numbers import STEPS, rounded, step_of, step_word, text, thinned
from hyperhive.coordinator.results.table import iso
from hyperhive.coordinator.views.wording import doing, outcome
from hyperhive.store.trials.attempts import FAILED, LOST, Attempt
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

_Json = Dict[str, Any]

MOST_POINTS = 500
"""The most points of a curve."""

MOST_SERIES = 50
"""The most curves."""

MOST_VALUES = 500
"""The most values of a configuration."""

MOST_LINES = 200
"""The most lines of what a trial reported: its latest."""

_ERROR_LINES = 50

_NO_SERIES = (*STEPS, "seconds", "done", "of", "epochs")

_HOW = {FAILED: "it failed", LOST: "its worker was lost"}
_RETURNED = "its worker handed it back"


def trial_json(
    trial: Trial,
    attempts: Sequence[Attempt],
    descriptions: Mapping[str, str],
) -> _Json:
    """Return what the page of a trial shows, as plain JSON.

    Args:
        trial: with its whole history.
        attempts: the earliest first.
        descriptions: of the workers' devices, by the worker's id.
    """
    return {
        "study": trial.study,
        "trial": trial.tid,
        "purpose": trial.purpose,
        "title": text(trial.full_title),
        "does": text(_does(trial)),
        "chosen": _values(trial.hyperparameters),
        "config": _values(flattened(trial.config)),
        "step": next(map(_step_word, reports(trial)), "step"),
        "series": series(trial),
        "worker": trial.owner and text(trial.owner),
        "device": trial.owner and text(descriptions.get(trial.owner, "")),
        "began": iso(trial.book_time),
        "ended": iso(trial.refresh_time) if trial.is_final else None,
        "attempts": [_attempt(each, descriptions) for each in attempts],
        "lines": _lines(trial, attempts),
    }


def _does(trial: Trial) -> str:
    if trial.is_final:
        return outcome(trial)
    if trial.status is Status.NEW:
        return "waits for a worker"
    return doing(trial, "runs")


def _values(values: Mapping[str, Any]) -> list[list[str]]:
    """Return names and values as people read them; ``in_words`` writes a name before a value."""
    shown = itertools.islice(values.items(), MOST_VALUES)
    return [[text(name), text(in_words({"": value}).strip())] for name, value in shown]


def reports(trial: Trial) -> list[dict[str, Any]]:
    """Return what a trial reported step by step: all of it, or so far."""
    history = sequence(trial.result.get("history")) or list(trial.curve)
    return [each for each in map(mapping, history) if step_of(each) is not None]


def series(trial: Trial) -> list[_Json]:
    """Return the curve of each number that a trial reported: its name, and points of (step, value).

    What its study is judged by comes first.
    """
    found: dict[str, list[list[Any]]] = {}
    for report in reports(trial):
        step = rounded(step_of(report))
        for name, value in numbers(report).items():
            if name not in _NO_SERIES and (name in found or len(found) < MOST_SERIES):
                found.setdefault(name, []).append([step, rounded(value)])
    return [
        {"name": text(name.replace("_", " ")), "points": thinned(points, MOST_POINTS)}
        for name, points in sorted(found.items(), key=lambda item: not _is_sought(item[0], trial))
    ]


def _is_sought(name: str, trial: Trial) -> bool:
    return name in (trial.goal.metric, "validation_accuracy")


def _attempt(attempt: Attempt, descriptions: Mapping[str, str]) -> _Json:
    worker = attempt.worker or ""
    return {
        "worker": text(worker),
        "device": text(descriptions.get(worker, "")),
        "began": iso(attempt.began),
        "ended": iso(attempt.ended),
        "copy": attempt.is_copy,
        "how": None if attempt.how is None else _HOW.get(attempt.how, _RETURNED),
    }


def _lines(trial: Trial, attempts: Sequence[Attempt]) -> list[_Json]:
    """Return the trial's log: who had it and what it reported, in the words of its worker's log.

    The store has no other lines of a worker: its log stays on its device.
    """
    lines: list[_Json] = []
    for attempt in attempts:
        verb = "starts a second copy" if attempt.is_copy else "takes it"
        lines.append(
            {"at": iso(attempt.began), "text": text(f"{attempt.worker or 'a worker'} {verb}")}
        )
        if attempt.how is not None:
            said = _HOW.get(attempt.how, _RETURNED)
            lines.append({"at": iso(attempt.ended), "text": f"this attempt ended: {said}"})
    last = reports(trial)[-MOST_LINES:]
    lines += [{"at": None, "text": text(in_words(_told(report)))} for report in last]
    if trial.error:
        said = str(trial.error.get("message", "no reason was given"))
        told = itertools.islice(said.split("\n"), _ERROR_LINES)
        lines += [{"at": None, "text": text(line)} for line in told]
    if trial.is_final:
        lines.append({"at": iso(trial.refresh_time), "text": text(outcome(trial))})
    return lines


def _told(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a report that its line shows, its step first."""
    values = {name: each for name, each in numbers(report).items() if name not in _NO_SERIES}
    return {_step_word(report): step_of(report), **values}


def _step_word(report: Mapping[str, Any]) -> str:
    return step_word(report) or "step"
