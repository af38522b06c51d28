"""How many trials a search keeps waiting, by how fast the workers take them."""

from __future__ import annotations

import math
import operator
from datetime import datetime, timedelta
from heapq import nlargest

from hyperhive.store.trials.trial import Trial

AHEAD_S = 0.5
"""A worker waits for the next look and its suggestion, about as long, if it finds no trial."""
WINDOW = timedelta(milliseconds=100)
_LAST = 32
"""The mean time of so many trials counts, those that ended last."""


class Demand:
    """How many trials are to wait, so that a worker which is free finds one.

    A trial is suggested as late as possible, with as many results as possible: one waits, and one
    more for each worker that is idle already. Of trials that are shorter than some seconds, as
    many wait as workers will take in ``AHEAD_S``, at most one for each; of very short ones as many
    as were claimed in the ``WINDOW`` that ends with the latest claim, by the store's clock.
    Workers whose trials take as long as that window, or longer, claim at most one each in it.

    Args:
        learns: whether suggestions depend on results. If not, one waits for each worker: at a
            study's end, unlike devices then choose among them.
    """

    def __init__(self, learns: bool = True) -> None:
        self._learns = learns
        self._claims: dict[int, datetime] = {}
        self._ends: dict[int, tuple[datetime, float]] = {}

    def take(self, trial: Trial) -> None:
        """Take a trial as it was read, for the first time or again."""
        if trial.first_claim is None:
            return
        self._claims[trial.tid] = trial.first_claim
        if trial.is_final and trial.refresh_time is not None and not trial.imported:
            took = (trial.refresh_time - trial.first_claim).total_seconds()
            self._ends[trial.tid] = (trial.refresh_time, took)

    def count(self, workers: int, running: int) -> int:
        """Return how many are to wait.

        Args:
            workers: that could take one.
            running: how many trials run.
        """
        soon = math.ceil(min(workers, AHEAD_S * self._rate(workers))) if self._learns else workers
        return max(1, workers - running, soon, self._recent_claims())

    def _rate(self, workers: int) -> float:
        """Return how many trials workers take in a second that are never idle; 0 if none ended."""
        if not self._ends:
            return 0.0
        self._ends = dict(nlargest(_LAST, self._ends.items(), key=operator.itemgetter(1)))
        seconds = sum(took for _, took in self._ends.values()) / len(self._ends)
        return workers / max(seconds, 0.001)

    def _recent_claims(self) -> int:
        if self._claims:
            latest = max(self._claims.values())
            self._claims = {tid: at for tid, at in self._claims.items() if latest - at < WINDOW}
        return len(self._claims)
