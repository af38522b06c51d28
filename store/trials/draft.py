"""A trial before it is posted, and what makes one trial better than another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Mapping

from hyperhive.common.values import mapping
from hyperhive.store.trials.terms import SEARCH

NO_PRUNER, MEDIAN, ASHA = "none", "median", "asha"
PRUNERS = (NO_PRUNER, MEDIAN, ASHA)
"""The rules by which workers end trials early: see ``hyperhive.worker.pruning``."""


@dataclass(frozen=True)
class Goal:
    """What makes a trial better: a metric of its result, and which way.

    A worker makes ``result.loss`` from it: the metric's value, negated to maximize. Everybody else
    only minimizes that loss.
    """

    metric: str = "loss"
    direction: Literal["minimize", "maximize"] = "minimize"

    @classmethod
    def from_document(cls, stored: Any) -> Goal:
        """Return the goal that ``misc`` names, the default if it is missing or malformed."""
        if stored is None:
            return _USUAL
        goal = mapping(stored)
        metric, direction = goal.get("metric"), goal.get("direction")
        if isinstance(metric, str) and metric and direction in ("minimize", "maximize"):
            return cls(metric, direction)
        return cls()


_USUAL = Goal()


@dataclass(frozen=True)
class Draft:
    """A trial that is not yet posted.

    ``vals`` has the values from the search space by hyperopt's labels: the index of a choice as an
    int, None for a label that this trial has no value of, because a choice went another way.
    ``config`` is what the objective is called with, as plain JSON. ``tid`` is unique within
    ``(study, purpose)``. ``cost`` is the trial's relative work, in a unit that all trials of the
    study share. Without it a trial counts as neither long nor short, and gets no second copy.
    ``pruner`` says by which rule its worker may end it early. ``seed`` is of its random numbers,
    None where its objective is given none.
    """

    study: str
    tid: int
    config: Mapping[str, Any]
    vals: Mapping[str, Any]
    objective: str
    purpose: str = SEARCH
    max_attempts: int = 3
    cost: float | None = None
    goal: Goal = Goal()
    pruner: str = NO_PRUNER
    seed: int | None = None
