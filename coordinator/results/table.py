"""A study's trials as a table: one row each, for a CSV file or a data frame."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Container, Dict, Iterable, Mapping, Sequence

from hyperhive.common.errors import InputError
from hyperhive.common.values import flattened, mapping, text
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import PURPOSES, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import KEPT_S

Row = Dict[str, Any]

STATUS = {
    Status.NEW: "waiting",
    Status.RUNNING: "running",
    Status.DONE: "done",
    Status.ERROR: "failed",
}

FIRST = ("number", "purpose", "status", "loss")
LAST = ("started", "finished", "seconds", "device", "worker", "attempts", "error")
"""The columns of every table; between them are those that differ from study to study."""


class MissingPackage(InputError):
    """A package that is no dependency of hyperhive is needed, and not installed."""


def rows(store: Store, study: str) -> list[Row]:
    """Return a row for each trial of a study: the search, baselines, repeats, refit, teacher.

    All rows have the same columns, in the same order: ``FIRST``, ``metrics.NAME`` for what trials
    reported, ``config.PATH`` for what they were called with, ``values.LABEL`` for a hyperparameter
    whose value is another in the configuration (a choice's is the index of its option), and
    ``LAST``. What a trial does not have is None.

    ``status`` is one of ``state_of``. ``loss`` may be NaN or infinite, and is the last reported of
    a trial that was pruned. ``started`` and ``finished`` are ISO 8601 in UTC, by the server's
    clock, of the last attempt; ``seconds`` are from one to the other. ``device`` is the worker's id
    where nothing describes its device. Raises ``NotFound`` if there is no such study.
    """
    store.study(study)
    trials = store.trials.find(study, in_short=True)
    devices = {each.id: each.device for each in store.workers.recent(KEPT_S)}
    ordered = sorted(trials, key=lambda trial: (_place(trial.purpose), trial.tid))
    labels = {label for trial in trials for label in _not_as_configured(trial)}
    parts = [
        (_first(t), _metrics(t), config_of(t), _values(t, labels), _last(t, devices))
        for t in ordered
    ]
    columns = [name for part in zip(*parts) for name in _union(part)]
    merged: Iterable[Row] = ({n: v for part in row for n, v in part.items()} for row in parts)
    return [{name: row.get(name) for name in columns} for row in merged]


def dataframe(table: Sequence[Mapping[str, Any]]) -> Any:
    """Return rows as a ``pandas.DataFrame``; raises ``MissingPackage`` without pandas."""
    try:
        import pandas
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise MissingPackage("a data frame needs pandas: pip install pandas") from error
    return pandas.DataFrame(list(table), columns=list(table[0]) if table else [*FIRST, *LAST])


def state_of(trial: Trial) -> str:
    """Return ``waiting``, ``running``, ``done``, ``pruned``, ``diverged`` or ``failed``."""
    if trial.pruned:
        return "pruned"
    return "diverged" if trial.diverged else STATUS[trial.status]


def config_of(trial: Trial) -> Row:
    """Return a trial's configuration, flattened: ``config.optimizer.kind``. A list is one value."""
    return flattened(trial.config, "config.")


def device_of(trial: Trial, devices: Mapping[str, str]) -> str | None:
    """Return what describes the device that a trial ran on, else its worker's id; None for none.

    Args:
        trial: whose result may say it.
        devices: the description of each known worker's device, by the worker's id.
    """
    reported = text(mapping(trial.result.get("trained_on")).get("device"))
    return reported or devices.get(str(trial.owner), trial.owner)


def seconds_of(trial: Trial) -> float | None:
    """Return how long the last attempt of a trial took, by the server's clock, once it is over."""
    if not trial.is_final or trial.book_time is None or trial.refresh_time is None:
        return None
    return (trial.refresh_time - trial.book_time).total_seconds()


def iso(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC, to the millisecond that the store keeps."""
    if moment is None:
        return None
    at = moment.astimezone(timezone.utc)
    return at.strftime(f"%Y-%m-%dT%H:%M:%S.{at.microsecond // 1000:03d}Z")


def _first(trial: Trial) -> Row:
    return dict(zip(FIRST, (trial.tid, trial.purpose, state_of(trial), trial.loss)))


def _metrics(trial: Trial) -> Row:
    metrics = trial.metrics.items()
    return {f"metrics.{n}": v for n, v in metrics if (n, v) != ("loss", trial.loss)}


def _values(trial: Trial, labels: Container[str]) -> Row:
    return {f"values.{label}": v for label, v in trial.vals.items() if label in labels}


def _not_as_configured(trial: Trial) -> list[str]:
    """Return the labels whose value no key of this name has in the configuration."""
    configured = [(name.rpartition(".")[2], value) for name, value in config_of(trial).items()]
    return [label for label, value in trial.vals.items() if (label, value) not in configured]


def _last(trial: Trial, devices: Mapping[str, str]) -> Row:
    finished = trial.refresh_time if trial.is_final else None
    error = None if trial.error is None else "{kind}: {message}".format(**trial.error)
    cells = (
        *(iso(trial.book_time), iso(finished), seconds_of(trial)),
        *(device_of(trial, devices), trial.owner, trial.attempts, error),
    )
    return dict(zip(LAST, cells))


def _place(purpose: str) -> int:
    return PURPOSES.index(purpose)


def _union(parts: Iterable[Row]) -> list[str]:
    """Return the names in any of these rows, each once, in the order of their appearance."""
    return list(dict.fromkeys(name for part in parts for name in part))
