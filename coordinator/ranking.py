"""Which trials are better than others, and how to speak of one."""

from __future__ import annotations

import math
from typing import Iterable

from hyperhive.common.values import number
from hyperhive.store.trial import ErrorKind, Trial


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """Return the trial with the least loss, the earliest of equals; None if none has one."""
    ranked = ranking(trials)
    return ranked[0] if ranked else None


def ranking(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials that have a usable result, the best first."""
    usable = [t for t in trials if finite_loss(t) is not None and not t.result.get("diverged")]
    return sorted(usable, key=lambda trial: (trial.loss, trial.tid))


def finite_loss(trial: Trial) -> float | None:
    """Return the loss of a trial if it can be compared; a NaN has no place in any order."""
    return trial.loss if trial.loss is not None and math.isfinite(trial.loss) else None


def hyperparameters(trial: Trial) -> str:
    """Return a trial's hyperparameters as a person reads them; those that it has."""
    values = {
        name: number(trial.config.get(name)) for name in ("learning_rate", "momentum", "epochs")
    }
    return ", ".join(
        "{} {:.3g}".format(name.replace("_", " "), value)
        for name, value in values.items()
        if value is not None
    )


def why_nothing(trials: list[Trial]) -> str:
    """Return one clause on why none of these trials has a usable result."""
    diverged = sum(bool(trial.result.get("diverged")) for trial in trials)
    errors = [trial.error for trial in trials if trial.error is not None]
    if errors:
        kind = ErrorKind(errors[0]["kind"]).value
        return "the first of {} errors was: {} ({})".format(len(errors), errors[0]["message"], kind)
    return f"{diverged} of {len(trials)} diverged: lower the learning rate's bounds"
