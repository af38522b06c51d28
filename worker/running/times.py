"""How long trials take: it tells a worker which are short enough to claim several at once."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from hyperhive.store.trials.batches import Kind
from hyperhive.store.trials.trial import Trial

BATCH_S = 0.05
"""What a batch may be expected to take. A result waits at most this long until it is on disk."""

MOST_TRIALS = 20
"""In a batch, so that workers share the trials that wait."""

_LAST = 5
"""How many trials of a kind must have run in a row before its time counts as known."""


class Short(NamedTuple):
    """The kind of short trials that a worker expects, and how many of them are a batch."""

    kind: Kind
    most: int


class RunTimes:
    """The times of the last trials, which were all of one kind."""

    def __init__(self) -> None:
        self._kind: Kind | None = None
        self._last: deque[float] = deque(maxlen=_LAST)

    def learn(self, trial: Trial, seconds: float) -> None:
        """Take the time of a trial that gave a result."""
        kind = Kind.of(trial)
        if kind != self._kind:
            self._kind = kind
            self._last.clear()
        self._last.append(seconds)

    def forget(self) -> None:
        """Expect nothing: a trial gave no result, so nobody knows what the next one does."""
        self._last.clear()

    def expected(self) -> Short | None:
        """Return what can be claimed as a batch; None if the next trial is to be claimed alone.

        Each trial is expected to take as long as the longest of the last ones.
        """
        if self._kind is None or len(self._last) < _LAST:
            return None
        most = min(MOST_TRIALS, int(BATCH_S / max(*self._last, 1e-6)))
        return Short(self._kind, most) if most >= 2 else None
