"""The rules that end trials early: at which points trials are compared, and which are to go on.

Like is compared with like. Trials of one study may differ in length, and what a learning rate that
falls over a trial's own epochs has reached after 5 of 30 says nothing about 5 of 5. So the points,
called rungs, are shares of a trial's own length; they are steps where the length is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Callable, Mapping

from hyperhive.store.trials.draft import ASHA, MEDIAN

_FEWEST_FULL = 5
"""Trials that ran to their end before the median of them says something."""

_REDUCTION = 3
"""Of ASHA: one of so many trials goes on at each rung."""

_ROUNDING = 1e-9
"""Three tenths are reached by 0.1 + 0.2, and by any other way to add floats up to them."""


@dataclass(frozen=True)
class Rule:
    """When a trial is ended early.

    Args:
        shares: of a trial's length at which it is compared, the lowest first.
        factor: from one step to the next at which it is compared, if its length is not known: those
            are 1 and the powers of this.
        only_full: whether it is compared only with trials that ran to their end.
        prunes: given how many others are compared with it and how many of them are better, tells
            whether it ends.
    """

    shares: tuple[Fraction, ...]
    factor: int
    only_full: bool
    prunes: Callable[[int, int], bool]

    def rung(self, share: float | None, step: float | None) -> str | None:
        """Return the last rung that a trial has reached; None if it has reached none.

        A trial that has come to its end is compared with none.

        Args:
            share: of its length that is done, 0 to 1; None if that is not known.
            step: its last; None if it has none.
        """
        if share is not None:
            done = share + _ROUNDING
            reached = [str(rung) for rung in self.shares if rung <= done < 1]
            return reached[-1] if reached else None
        if step is None or step < 1:
            return None
        power = 1
        while power * self.factor <= step:
            power *= self.factor
        return f"step {power}"


def _is_below_median(others: int, better: int) -> bool:
    return others >= _FEWEST_FULL and 2 * better > others


def _is_below_best_third(others: int, better: int) -> bool:
    count = others + 1
    return count >= _REDUCTION and better >= -(-count // _REDUCTION)  # rounded up


RULES: Mapping[str, Rule] = {
    MEDIAN: Rule(tuple(Fraction(n, 10) for n in range(1, 10)), 2, True, _is_below_median),
    ASHA: Rule(
        (Fraction(1, _REDUCTION**2), Fraction(1, _REDUCTION)),
        _REDUCTION,
        only_full=False,
        prunes=_is_below_best_third,
    ),
}
"""The rules by name.

``median`` ends a trial that is worse than the median of those that ran to their end, once there are
five: after D. Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017,
which takes the others' mean values so far; here, as in Optuna's ``MedianPruner``, their best so far
are compared. With an even number of them, below the median means worse than more than half.

``asha`` lets the best third of all go on at each rung, rounded up, and the first two: L. Li et al.,
"A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, in the variant that stops
trials rather than pauses them. It compares with trials that run, and with those that it has ended,
so nobody waits for a slower device.
"""
