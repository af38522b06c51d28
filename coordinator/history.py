"""What a suggestion may know of the trials before it: the same, whenever it is made.

A suggestion is due when a worker claims one of the trials before it. It knows what had ended when
the latest of those was first claimed, by the store's clock. So a coordinator that was away at that
moment later makes the same suggestion. A single worker, whose trials end in order, gets the same
sequence of configurations however often its coordinator is killed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Iterable

from hyperhive.coordinator.ranking import finite_loss
from hyperhive.coordinator.suggest import Observation
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial


def latest_claim(trials: Iterable[Trial]) -> datetime | None:
    """Return the latest time at which one of these trials was first claimed; None if none was."""
    claims = [trial.first_claim for trial in trials if trial.first_claim is not None]
    return max(claims, default=None)


def known_at(moment: datetime | None, trials: Iterable[Trial]) -> list[Observation]:
    """Return what was known of these trials at a moment, by tid; an unfinished one is pending.

    A trial that failed for another reason than its hyperparameters tells nothing and is omitted.
    """
    known = []
    for trial in sorted(trials, key=lambda trial: trial.tid):
        had_ended = trial.is_final and _had_ended(trial, moment)
        if had_ended and trial.status is Status.ERROR and not _is_to_blame(trial):
            continue
        known.append(Observation(trial.tid, trial.vals, finite_loss(trial) if had_ended else None))
    return known


def _had_ended(trial: Trial, moment: datetime | None) -> bool:
    """Return whether a trial that has ended now had ended then; times are whole milliseconds."""
    if trial.imported:  # it had ended before this study began
        return True
    if moment is None or trial.refresh_time is None:
        return False
    was_claimed_then = trial.first_claim == moment  # it may have ended within the millisecond
    return trial.refresh_time <= moment and not was_claimed_then


def _is_to_blame(trial: Trial) -> bool:
    """Return whether a trial's hyperparameters made it fail, not its device or a cancellation."""
    return trial.error is not None and trial.error["kind"] == ErrorKind.OBJECTIVE.value
