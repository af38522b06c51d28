"""What an algorithm knows: a table with a row for each trial, that grows with them."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Iterable, Mapping

import numpy as np

from hyperhive.coordinator.algorithms.variables import Number, Variable, variables_of
from hyperhive.coordinator.spaces.search_space import Node, is_possible

_FEWEST_ROWS = 64


@dataclass(frozen=True)
class Observation:
    """A trial as an algorithm sees it: values by label, and the loss, which is None if pending."""

    tid: int
    vals: Mapping[str, float]
    loss: float | None


class Known:
    """The trials that did not fail, by number: their values, and the losses of those that ended.

    A trial whose values the space cannot have is ignored: a worker can write anything.

    Args:
        space: the search space.
        observations: the first rows.
    """

    def __init__(self, space: Node, observations: Iterable[Observation] = ()) -> None:
        self._space = space
        variables = variables_of(space)
        self._column = {each.label: i for i, each in enumerate(variables)}
        self._positive = [each.label for each in variables if _has_logarithm(each)]
        self._tids: list[int] = []
        # A row of this array is a column of the table: a label's values lie side by side.
        self._cells = np.empty((len(self._column) + 1, _FEWEST_ROWS))
        self._counts = np.zeros(len(self._cells), dtype=int)
        for each in observations:
            self.put(each)

    @property
    def tids(self) -> list[int]:
        """The numbers of the trials, ascending."""
        return self._tids

    @property
    def losses(self) -> np.ndarray:
        """The losses, float64 of shape (trials,): NaN for a trial that is pending."""
        losses: np.ndarray = self._cells[-1, : len(self._tids)]
        return losses

    @property
    def finished(self) -> int:
        """The number of trials that have a loss."""
        return int(self._counts[-1])

    def losses_with_pending(self) -> np.ndarray:
        """Return the losses, float64 of shape (trials,); a pending trial has the worst one.

        So its neighbourhood is neither sought nor excluded forever.
        """
        losses = self.losses
        return np.where(np.isnan(losses), np.fmax.reduce(losses), losses)

    def values(self, label: str) -> np.ndarray:
        """Return a variable's values, float64 of shape (trials,): NaN where it is inactive."""
        values: np.ndarray = self._cells[self._column[label], : len(self._tids)]
        return values

    def count(self, label: str) -> int:
        """Return the number of trials that have a value of a variable."""
        return int(self._counts[self._column[label]])

    def put(self, trial: Observation) -> None:
        """Add a trial, or change what is known of it; a loss must be finite."""
        self.remove(trial.tid)
        if self._is_possible(trial.vals):
            row = bisect.bisect_left(self._tids, trial.tid)
            self._insert(row, trial.tid)
            cells = [trial.vals.get(label, np.nan) for label in self._column]
            self._cells[:, row] = [*cells, np.nan if trial.loss is None else trial.loss]
            self._counts += ~np.isnan(self._cells[:, row])

    def remove(self, tid: int) -> None:
        """Forget a trial, if it is here."""
        row = bisect.bisect_left(self._tids, tid)
        if self._tids[row : row + 1] == [tid]:
            count = len(self._tids)
            self._counts -= ~np.isnan(self._cells[:, row])
            self._cells[:, row : count - 1] = self._cells[:, row + 1 : count]
            del self._tids[row]

    def _insert(self, row: int, tid: int) -> None:
        count = len(self._tids)
        if count == self._cells.shape[1]:
            # Twice as large: so each cell is copied about once, however many rows there will be.
            self._cells = np.concatenate([self._cells, np.empty_like(self._cells)], axis=1)
        self._cells[:, row + 1 : count + 1] = self._cells[:, row:count]
        self._tids.insert(row, tid)

    def _is_possible(self, vals: Mapping[str, float]) -> bool:
        return is_possible(self._space, vals) and all(
            vals[label] > 0 for label in self._positive if label in vals
        )


def best_and_latest(losses: np.ndarray, each: int) -> np.ndarray:
    """Return the rows of so many of the best and of the latest trials, int ``[rows]``, ascending.

    A model that knows no more than these costs no more for thousands of trials.

    Args:
        losses: float64 ``[trials]``, in the order of trials; NaN for a pending trial, which is in
            neither.
        each: how many of the best, and of the latest.
    """
    ended = np.flatnonzero(~np.isnan(losses))
    best = ended[np.argsort(losses[ended], kind="stable")[:each]]
    rows: np.ndarray = np.union1d(best, ended[-each:])
    return rows


def _has_logarithm(variable: Variable) -> bool:
    """Return whether each value has one; one that is rounded to a step may be 0."""
    return isinstance(variable, Number) and variable.is_log and variable.step is None
