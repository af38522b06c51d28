"""The table of a study's trials, by columns: 10,000 rows with the names of their fields once."""

from __future__ import annotations

from typing import Any, Sequence

from hyperhive.common.values import number
from hyperhive.coordinator.figures.devices import steps_of
from hyperhive.coordinator.figures.numbers import rounded, seconds_since, text
from hyperhive.coordinator.figures.source import Source
from hyperhive.coordinator.results.table import seconds_of, state_of
from hyperhive.coordinator.views.wording import outcome
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

STATUSES = ("waiting", "running", "done", "pruned", "diverged", "failed")
"""What a trial's status is an index of: the words of ``state_of``."""


def columns(source: Source, trials: Sequence[Trial]) -> dict[str, Any]:
    """Return these trials of a study's search as columns.

    ``value`` is that of the study's metric, of a trial that was pruned the last one that it
    reported. ``params`` has the value of each parameter by its name, of a category its index.
    ``started`` counts seconds from the study's start, ``seconds`` is how long the last attempt
    took. ``epochs`` is how many ended, ``pruned_at`` the share of its length, 0 to 1. ``note`` is
    what a person noted or, without that, why a trial failed.

    Args:
        source: the study.
        trials: those to describe, by tid.
    """
    return {
        "tid": [trial.tid for trial in trials],
        "status": [status_of(trial) for trial in trials],
        "value": [rounded(source.metric.value(trial)) for trial in trials],
        "params": params(source, trials),
        "device": [source.devices.of_worker(trial.owner) for trial in trials],
        "started": [seconds_since(source.started, trial.book_time) for trial in trials],
        "seconds": [rounded(seconds_of(trial)) for trial in trials],
        "attempts": [trial.attempts for trial in trials],
        "epochs": [steps_of(trial) for trial in trials],
        "pruned_at": [
            rounded(number(trial.result.get("pruned_at"))) if trial.pruned else None
            for trial in trials
        ],
        "note": [source.noted.get(trial.tid) or _why_failed(trial) for trial in trials],
    }


def params(source: Source, trials: Sequence[Trial]) -> dict[str, list[float | int | None]]:
    """Return the value of each parameter in these trials, by its name."""
    return {text(axis.name): [axis.position(trial) for trial in trials] for axis in source.axes}


def status_of(trial: Trial) -> int:
    """Return the index of a trial's state among ``STATUSES``."""
    return STATUSES.index(state_of(trial))


def _why_failed(trial: Trial) -> str | None:
    return text(outcome(trial)) if trial.status is Status.ERROR else None
