"""What a suggestion may know of the trials before it: the same, whenever it is made.

A suggestion is due when a worker claims one of the trials before it. It knows what had ended when
the latest of those was first claimed, by the store's clock. So a coordinator that was away at that
moment later makes the same suggestion. A single worker, whose trials end in order, gets the same
sequence of configurations however often its coordinator is killed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Mapping

from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.ranking import finite_loss
from hyperhive.coordinator.spaces.search_space import Node
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial


class History:
    """The trials of a search, as they are read, and what was known of them at a moment.

    A suggestion costs as much time as trials were taken since the last one: what is known of all
    others is kept.

    Args:
        space: the search space.
        is_kept: False for an algorithm that needs no history: then nothing is known.
    """

    def __init__(self, space: Node, is_kept: bool = True) -> None:
        self._is_kept = is_kept
        self._known = Known(space)
        self._moment: datetime | None = None
        self._trials: dict[int, Trial] = {}
        # Those whose row may have to change: at the moment of ``known``, not all had ended that
        # have now.
        self._unsettled: set[int] = set()
        self._expected: set[int] = set()
        self.latest_claim: datetime | None = None
        """The latest time at which one of the trials was first claimed; None if none was."""

    def take(self, trial: Trial) -> None:
        """Take a trial as it was read now, for the first time or again."""
        if not self._is_kept:
            return
        before = self._trials.get(trial.tid)
        self._trials[trial.tid] = trial
        if before is None or before.is_final or trial.is_final or before.vals != trial.vals:
            self._unsettled.add(trial.tid)
        if trial.first_claim is not None:
            self.latest_claim = max(trial.first_claim, self.latest_claim or trial.first_claim)

    def forget(self, tid: int) -> None:
        """Forget a trial that is no longer in the store, if it is here."""
        if self._trials.pop(tid, None) is not None:
            self._unsettled.discard(tid)
            self._known.remove(tid)
            claims = (trial.first_claim for trial in self._trials.values())
            self.latest_claim = max((claim for claim in claims if claim), default=None)

    def expect(self, tid: int, vals: Mapping[str, float]) -> None:
        """Have a trial that is about to be posted pending for other suggestions at this moment.

        The next call of ``known`` forgets it, unless it was posted and taken.
        """
        if self._is_kept:
            self._expected.add(tid)
            self._known.put(Observation(tid, vals, None))

    def known(self, moment: datetime | None) -> Known:
        """Return what was known at a moment; what had not ended then is pending.

        A trial that failed for another reason than its hyperparameters tells nothing and is
        omitted. The table is the same object each time, and valid until the next call.

        Args:
            moment: the ``latest_claim``, as it was before the trials were last read: what had ended
                by then was there to be read.
        """
        if self._moment is not None and (moment is None or moment < self._moment):
            self._unsettled = set(self._trials)
        self._moment = moment
        for tid in self._expected - self._trials.keys():
            self._known.remove(tid)
        self._expected.clear()
        for tid in sorted(self._unsettled):
            trial = self._trials[tid]
            self._show(trial, _had_ended(trial, moment))
            if not trial.is_final or _is_settled(trial, moment):
                self._unsettled.discard(tid)
        return self._known

    def _show(self, trial: Trial, had_ended: bool) -> None:
        if had_ended and trial.status is Status.ERROR and not _is_to_blame(trial):
            self._known.remove(trial.tid)
        else:
            loss = finite_loss(trial) if had_ended else None
            self._known.put(Observation(trial.tid, trial.vals, loss))


def _had_ended(trial: Trial, moment: datetime | None) -> bool:
    """Return whether a trial had ended at a moment; times are whole milliseconds."""
    if not trial.is_final:
        return False
    if trial.imported:  # it had ended before this study began
        return True
    if moment is None or trial.refresh_time is None:
        return False
    was_claimed_then = trial.first_claim == moment  # it may have ended within the millisecond
    return trial.refresh_time <= moment and not was_claimed_then


def _is_settled(trial: Trial, moment: datetime | None) -> bool:
    """Return whether what was known of an ended trial at a moment is so at every later one."""
    if trial.imported or trial.refresh_time is None:
        return True
    if moment is None or not _had_ended(trial, moment):
        return False
    return trial.first_claim is None or trial.first_claim < moment


def _is_to_blame(trial: Trial) -> bool:
    """Return whether a trial's hyperparameters made it fail, not its device or a cancellation."""
    return trial.error is not None and trial.error["kind"] == ErrorKind.OBJECTIVE.value
