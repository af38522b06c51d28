"""Why pictures are unknown, in words: each reason once a run, and what to do."""

from __future__ import annotations

import collections
from typing import Callable, Iterator, Optional

import numpy as np

from hyperhive.common.text import printable
from hyperhive.inference.labelling import Result
from hyperhive.inference.predictor import Closer
from hyperhive.inference.wording import percent, pretty

CloserOf = Callable[[np.ndarray], Optional[Closer]]
"""Returns what a picture would be if it were larger, see ``Predictor.closer``."""

_TRIES = 5


class Reasons:
    """Says each reason once, and once that pictures are too far away.

    A stranger that is enlarged sometimes looks like a member. So most of the last five pictures
    that were unlike the training pictures (of all, while there are fewer) must be members when they
    are enlarged.

    Args:
        closer: returns what a picture would be if it were larger.
        interval: least seconds between two pictures that are enlarged; it takes a few milliseconds.
    """

    def __init__(self, closer: CloserOf, interval: float) -> None:
        self._closer = closer
        self._interval = interval
        self._said: set[str] = set()
        self._tries: collections.deque[bool] = collections.deque(maxlen=_TRIES)
        self._is_advised = False
        self._due = 0.0

    def sentences(self, result: Result, now: float) -> Iterator[str]:
        """Yield what is to be said of a result at this moment of the monotonic clock."""
        for answer in result.answers:
            doubt = answer.prediction.doubt
            if doubt is not None and doubt.number not in self._said:
                self._said.add(doubt.number)
                yield f"unknown: {doubt}; --min-{doubt.number} 0 turns this check off"
        doubt, seen = result.prediction.doubt, result.seen
        if doubt is None or doubt.number != "membership" or seen is None or result.faces:
            return  # a face fills its square
        if not self._is_advised and now >= self._due:
            self._due = now + self._interval
            yield from self._advice(result, seen)

    def _advice(self, result: Result, seen: np.ndarray) -> Iterator[str]:
        closer = self._closer(seen)
        self._tries.append(closer is not None)
        if closer is None or 2 * sum(self._tries) <= len(self._tries):
            return
        self._is_advised = True
        label, share = pretty(closer.prediction.label), percent(closer.prediction.probability)
        yield (
            f"fill the square: {closer.times} times as large, {printable(result.frame.name)} would "
            f"be {label} ({share})"
        )
