"""Which numbers the trials of a search have, and which are free."""

from __future__ import annotations

from bisect import bisect_right
from itertools import chain, islice
from typing import Iterable


class Numbers:
    """Numbers of trials, kept as runs of neighbours: thousands of trials are mostly one run.

    Args:
        numbers: the first ones.
    """

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []  # of each run, the number after its last
        for number in sorted(numbers):
            self.add(number)

    def add(self, number: int) -> None:
        """Note that a trial has this number."""
        at = bisect_right(self._starts, number)  # the run before this one begins at or before it
        if at and number < self._ends[at - 1]:
            return
        continues = at > 0 and self._ends[at - 1] == number
        precedes = at < len(self._starts) and self._starts[at] == number + 1
        if continues and precedes:
            self._ends[at - 1] = self._ends.pop(at)
            del self._starts[at]
        elif continues:
            self._ends[at - 1] += 1
        elif precedes:
            self._starts[at] = number
        else:
            self._starts.insert(at, number)
            self._ends.insert(at, number + 1)

    def gaps(self) -> list[tuple[int, int | None]]:
        """Return the ranges from 0 that are free: the first, and the one after the last, or None.

        The last range has no end.
        """
        ranges = zip([0, *self._ends], [*self._starts, None])
        return [(start, end) for start, end in ranges if end is None or start < end]

    def free(self, count: int) -> list[int]:
        """Return the lowest numbers that are free, so many."""
        gaps = self.gaps()
        ranges = (range(start, start + count if end is None else end) for start, end in gaps)
        return list(islice(chain.from_iterable(ranges), count))
