"""The loss of a trial: what its study's goal makes of an objective's result."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from hyperhive.common.values import is_number, mapping, number, numbers, sequence
from hyperhive.store.trials.draft import Goal
from hyperhive.store.trials.terms import REFIT, TEACHER
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.objectives.api import BadResult, Outcome

WORST_LOSS = math.inf
"""The loss of a result whose metric is not finite, whichever way it was to go."""


def scored(outcome: Outcome, trial: Trial, said: str | None = None) -> Outcome:
    """Return an outcome with the loss that the trial's goal makes of it; all else is kept.

    The metric is looked for in the result, then in its last report. A loss that the objective has
    returned beside it is kept as ``reported_loss``. An objective that says that it has failed needs
    no loss; a refit or a teacher is not compared. Raises ``BadResult`` if the metric is missing or
    no number; it begins with ``said``, by default ``digits.py:train returned``.
    """
    result, goal = outcome.result, trial.goal
    if result["status"] != "ok" or trial.purpose in (REFIT, TEACHER):
        return outcome
    reported = [mapping(entry) for entry in sequence(result.get("history"))[-1:]]
    all_found = dict(*reported, **result)
    found = all_found.get(goal.metric)
    has_diverged = bool(result.get("diverged"))
    if not (is_number(found) or has_diverged):
        what = f"{found!r:.40} as its {goal.metric}" if found is not None else f"no {goal.metric}"
        there = ", ".join(name for name in numbers(all_found) if name != "step")
        raise BadResult(
            f"{said or f'{trial.objective} returned'} {what}: its study is to {goal.direction} "
            "that, so it must be there, as a number" + (f"; it has {there:.200}" if there else "")
        )
    if goal == Goal() and is_number(result.get("loss")):
        return outcome
    value = number(found)
    kept = {"reported_loss": result["loss"]} if "loss" in result else {}
    diverged = {"diverged": has_diverged or value is None}
    return replace(outcome, result={**result, **kept, **diverged, "loss": loss_of(found, goal)})


def loss_of(value: Any, goal: Goal) -> float:
    """Return the loss that a goal makes of its metric's value, the worst if that is not finite."""
    known = number(value)
    if known is None:
        return WORST_LOSS
    return -known if goal.direction == "maximize" else known
