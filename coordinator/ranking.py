"""Which trials are better than others."""

from __future__ import annotations

import math
from typing import Iterable, Sequence

from hyperhive.common.wording import counted
from hyperhive.store.trials.trial import Trial

FILES_KEPT = 10
"""The number of best trials whose weights and artifacts stay; the others' are dropped."""


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """Return the trial with the lowest loss, the earliest of equals; None if none has one."""
    ranked = ranking(trials)
    return ranked[0] if ranked else None


def winner_of(ranked: Sequence[Trial], winner: int | None) -> Trial | None:
    """Return the trial of that number or, until a winner is known, the first; None without any."""
    first = ranked[0] if ranked else None
    return first if winner is None else next((t for t in ranked if t.tid == winner), first)


def ranking(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials that have a usable result, the best first.

    One that was pruned has none: its loss is that of a part of it.
    """
    usable = [trial for trial in trials if usable_loss(trial) is not None]
    return sorted(usable, key=lambda trial: (trial.loss, trial.tid))


def usable_loss(trial: Trial) -> float | None:
    """Return the loss by which a trial is ranked; None if it is not."""
    return None if trial.diverged or trial.pruned else finite_loss(trial)


def finite_loss(trial: Trial) -> float | None:
    """Return a trial's loss if it is finite, else None: a NaN cannot be ordered."""
    loss = trial.loss
    return loss if loss is not None and math.isfinite(loss) else None


def why_nothing(trials: list[Trial]) -> str:
    """Return one clause that says why none of these trials has a usable result."""
    diverged = sum(trial.diverged for trial in trials)
    pruned = sum(trial.pruned for trial in trials)
    errors = [trial.error for trial in trials if trial.error is not None]
    if not trials:
        return "none of its trials has ended"
    if errors:
        which = "only error" if len(errors) == 1 else f"first of {len(errors)} errors"
        return f"the {which} was: {errors[0]['message']}"
    if pruned:
        return f"{pruned} of {counted(len(trials), 'result')} are of trials that were pruned"
    if not diverged:
        return f"no loss among {counted(len(trials), 'result')} is a finite number"
    has_rate = any("learning_rate" in trial.config for trial in trials)
    advice = ": lower the learning rate's bounds" if has_rate else ""
    return f"{diverged} of {len(trials)} diverged{advice}"
