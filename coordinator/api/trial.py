"""A trial as Python's API shows it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hyperhive.common.errors import UsageError
from hyperhive.common.values import sequence
from hyperhive.coordinator.results.artifacts import download, read
from hyperhive.coordinator.results.table import seconds_of, state_of
from hyperhive.store.artifacts import artifacts_of
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial


class HasStore(Protocol):
    """A study: it has an open store, which raises ``UsageError`` once it is closed."""

    @property
    def store(self) -> Store:
        """The store that it is in."""
        ...


@dataclass(frozen=True)
class StudyTrial:
    """A trial of a study's search, as it was when it was read.

    Args:
        number: counts the study's trials from 0.
        state: ``waiting``, ``running``, ``done``, ``pruned``, ``diverged`` or ``failed``.
        config: what the function is called with.
        loss: what the study minimizes; of a metric to maximize, its negative. None without one, the
            last reported one if it was pruned.
        metrics: what the function reported last and returned: its numbers, by name.
        history: what it reported, step by step.
        error: why it failed, or why its last attempt did.
        worker: the id of the worker that runs it or ran it last.
        seconds: how long its last attempt took, once that has ended.
        artifacts: the files that it saved and that were kept: the size of each in bytes, by name.
    """

    number: int
    state: str
    config: dict[str, Any]
    loss: float | None
    metrics: dict[str, float]
    history: list[dict[str, Any]] = field(repr=False)
    error: str | None
    worker: str | None
    seconds: float | None
    artifacts: dict[str, int]

    @classmethod
    def of(cls, trial: Trial, study: HasStore) -> StudyTrial:
        """Return a trial of a study, which stays open while the trial is in use."""
        shown = cls(
            number=trial.tid,
            state=state_of(trial),
            config=trial.config,
            loss=trial.loss,
            metrics=trial.metrics,
            history=list(sequence(trial.result.get("history"))),
            error=None if trial.error is None else str(trial.error["message"]),
            worker=trial.owner,
            seconds=seconds_of(trial),
            artifacts={name: each.blob.length for name, each in artifacts_of(trial).items()},
        )
        # No fields: a copy of a trial, by dataclasses.asdict or pickle, is only what can be shown.
        object.__setattr__(shown, "_source", (study, trial))
        return shown

    def artifact(self, name: str) -> bytes:
        """Return the bytes of a file that it saved, checked against their hash.

        Raises ``NotFound`` if it has none of this name, or if that was dropped, and
        ``CorruptBlob``.
        """
        study, trial = self._stored()
        return read(study.store, trial, name)

    def download(self, name: str, path: str | os.PathLike[str] | None = None) -> Path:
        """Write a file that it saved, checked against its hash, as a whole or not at all.

        It is written as it comes, so it may be larger than the memory. Returns the path: that of
        ``name`` in the working folder, if none is given. Raises what ``artifact`` raises, and
        ``OutputError`` if the path cannot be written.
        """
        study, trial = self._stored()
        target = Path(name if path is None else path)
        download(study.store, trial, name, target)
        return target

    def _stored(self) -> tuple[HasStore, Trial]:
        source: tuple[HasStore, Trial] | None = vars(self).get("_source")
        if source is None:
            raise UsageError("this is a copy of a trial: take the trial from its study")
        return source

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_source"}
