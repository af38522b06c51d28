"""How many trials the workers take, by which a search posts ahead of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from hyperhive.store.trials.trial import Trial

WINDOW = timedelta(milliseconds=100)


class RecentClaims:
    """The first claims of trials in the last ``WINDOW``, by the store's clock.

    That window ends with the latest claim. Workers whose trials take as long as the window, or
    longer, claim at most one each in it.
    """

    def __init__(self) -> None:
        self._at: dict[int, datetime] = {}

    def take(self, trial: Trial) -> None:
        """Take a trial as it was read, for the first time or again."""
        if trial.first_claim is not None:
            self._at[trial.tid] = trial.first_claim

    def count(self) -> int:
        """Return how many there were."""
        if self._at:
            latest = max(self._at.values())
            self._at = {tid: at for tid, at in self._at.items() if latest - at < WINDOW}
        return len(self._at)


def lacking(workers: int, claims: int, waiting: int, room: int) -> int:
    """Return how many trials a search is to post now, 0 or less for none.

    Args:
        workers: that could take one.
        claims: how many were claimed in the last moments, see ``RecentClaims``.
        waiting: how many wait that a worker could take.
        room: how many the budget still has.
    """
    return min(max(1, workers, claims) - waiting, room)
