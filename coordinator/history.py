"""What a suggestion may know of the trials before it: the same, whenever it is asked for.

A suggestion is due when a worker takes one of the trials before it. It knows what had ended when
the latest of those was first taken, by the store's own times. So a coordinator that was away at
that moment makes the suggestion it would have made, and one worker, whose trials end in order,
gets the same sequence of configurations however often its coordinator is killed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Iterable

from hyperhive.coordinator.ranking import finite_loss
from hyperhive.coordinator.suggest import Observation
from hyperhive.store.trial import ErrorKind, Status, Trial


def latest_claim(trials: Iterable[Trial]) -> datetime | None:
    """Return when the latest of these trials to be taken was first taken; None if none was."""
    claims = [trial.first_claim for trial in trials if trial.first_claim is not None]
    return max(claims, default=None)


def known_at(moment: datetime | None, trials: Iterable[Trial]) -> list[Observation]:
    """Return what was known of these trials at a moment, by tid: what had not ended is pending.

    A trial that ended for no fault of its hyperparameters' tells nothing and is left out.
    """
    known = []
    for trial in sorted(trials, key=lambda trial: trial.tid):
        had_ended = trial.is_final and _had_ended(trial, moment)
        if had_ended and trial.status is Status.ERROR and not _is_to_blame(trial):
            continue
        known.append(Observation(trial.tid, trial.vals, finite_loss(trial) if had_ended else None))
    return known


def _had_ended(trial: Trial, moment: datetime | None) -> bool:
    """Whether a trial that is over now was over then; times are whole milliseconds."""
    if moment is None or trial.refresh_time is None:
        return False
    was_taken_then = trial.first_claim == moment  # it may have ended within the millisecond
    return trial.refresh_time <= moment and not was_taken_then


def _is_to_blame(trial: Trial) -> bool:
    """Whether a trial failed by its own hyperparameters, not by its device or somebody's will."""
    return trial.error is not None and trial.error["kind"] == ErrorKind.OBJECTIVE.value
