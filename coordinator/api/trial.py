"""A trial as Python's API shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hyperhive.common.values import sequence
from hyperhive.coordinator.results.table import seconds_of, state_of
from hyperhive.store.trials.trial import Trial


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

    @classmethod
    def of(cls, trial: Trial) -> StudyTrial:
        """Return a trial of the store."""
        return cls(
            number=trial.tid,
            state=state_of(trial),
            config=trial.config,
            loss=trial.loss,
            metrics=trial.metrics,
            history=list(sequence(trial.result.get("history"))),
            error=None if trial.error is None else str(trial.error["message"]),
            worker=trial.owner,
            seconds=seconds_of(trial),
        )
