"""What a study's figures measure its trials by, and the value of each trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from hyperhive.common.values import number
from hyperhive.store.trials.draft import Goal
from hyperhive.store.trials.terms import LENET5, SHARES
from hyperhive.store.trials.trial import Trial

ACCURACY = "validation_accuracy"


@dataclass(frozen=True)
class Metric:
    """The metric of a study's figures.

    Args:
        key: its name in a trial's result.
        maximise: whether more is better.
        is_share: whether it is a share, 0 to 1, that people read in per cent.
        is_loss: whether it is what the objective calls its loss.
    """

    key: str
    maximise: bool
    is_share: bool
    is_loss: bool

    @classmethod
    def of(cls, goal: Goal, trials: Iterable[Trial]) -> Metric:
        """Return the metric of a study with this goal.

        The loss of LeNet-5 is 1 - validation accuracy, so its figures show the accuracy.
        """
        is_lenet5 = any(trial.objective == LENET5 for trial in trials)
        if is_lenet5 and goal.metric == "loss":
            return cls(ACCURACY, maximise=True, is_share=True, is_loss=False)
        is_share = is_lenet5 and goal.metric in SHARES
        return cls(goal.metric, goal.direction == "maximize", is_share, goal.metric == "loss")

    @property
    def name(self) -> str:
        """Its name for people."""
        return self.key.replace("_", " ")

    def value(self, trial: Trial) -> float | None:
        """Return a trial's value, None of one without a result and of one that diverged.

        That of a trial that was pruned is the last that it reported.
        """
        if trial.loss is None or trial.diverged:
            return None
        if self.key == ACCURACY:
            return trial.accuracy
        loss = number(trial.loss)  # the goal's metric, negated to maximize it
        return loss if loss is None or not self.maximise else -loss

    def reported(self, entry: Mapping[str, Any]) -> float | None:
        """Return the value in what a trial reported at a step: an entry of its history."""
        found = number(entry.get(self.key))
        if found is None and self.key == "balanced_error":  # LeNet-5's epochs have its complement
            share = number(entry.get("validation_balanced_accuracy"))
            return None if share is None else 1.0 - share
        return found
