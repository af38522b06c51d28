"""The objective ``lenet5``: train a network with a configuration, report its validation error.

It is called after the network that it trains unless a configuration names another. Workers of
earlier versions know it by this name.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Mapping

import numpy as np
import torch

from hyperhive.common.errors import DeviceError
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.config import ON_ALL_DATA, TrainConfig
from hyperhive.model.networks import why_missing
from hyperhive.model.teacher import answers_of, pack_answers, unpack_answers
from hyperhive.model.training import Epoch, TrainingData, TrainingStopped, train
from hyperhive.store.trials.terms import TEACHER
from hyperhive.worker.device import describe, versions
from hyperhive.worker.objectives.api import Context, Outcome, Stopped

WORST_LOSS = 1.0
"""The loss of a trial that diverged: the validation error of a model that is never right."""


class LeNet5Objective:
    """Trains a network. Keeps the last data set on its device for the next trial."""

    def __init__(self) -> None:
        self._data: TrainingData | None = None
        self._answers: tuple[str, np.ndarray] | None = None

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        """Train; the loss is the share of validation images that are misclassified, in 0..1.

        A training that diverges is a result, with the worst loss. Where there is no validation
        (``train_on_all``) the loss is the last epoch's training loss.

        With ``folds`` it trains once for each, under a seed of its own, and the loss is the mean.
        The weights are those of the first. A fold that diverges ends the trial.

        The cost of a trial is its number of epochs in all folds, so the number of the last epoch is
        what is ``done``.

        Raises ``ConfigError`` for a configuration that no worker can run, ``DeviceError`` for a
        network that is not installed here, which costs the trial no attempt, ``Stopped`` when
        ``should_stop`` returns true, unless the trial is pruned: then the epochs that it has are
        its result.
        """
        settings = TrainConfig.from_json(config)
        why = why_missing(settings.network)
        if why is not None:
            raise DeviceError(why)
        # So a device whose first epoch is slow is known to be slow before that epoch ends.
        context.report({"done": 0}, 0.0)
        data = self._training_data(settings.dataset, context)
        if settings.teacher:
            data = data.with_answers(self._teachers_answers(settings.teacher, context))
        course = _Course(settings)
        try:
            model = _trained(course, data, context)
        except TrainingStopped:
            if not context.is_pruned():
                raise Stopped from None
            return Outcome(course.result(data.device))
        result = course.result(data.device)
        if model is not None and context.trial.purpose == TEACHER:
            result["parameters"] = sum(each.numel() for each in model.parameters())
            return Outcome(result, pack_answers(answers_of(model, settings, data)))
        return Outcome(result, None if model is None else pack_weights(model))

    def _teachers_answers(self, sha256: str, context: Context) -> np.ndarray:
        """Return a teacher's answers by their hash: the last trial's, if they are the same."""
        if self._answers is None or self._answers[0] != sha256:
            packed = context.store.answers(context.trial.study, sha256)
            self._answers = sha256, unpack_answers(packed)
        return self._answers[1]

    def _training_data(self, content_hash: str, context: Context) -> TrainingData:
        """Return the data set on the context's device: the last trial's, if it is the same."""
        device = torch.device(context.device)
        data = self._data
        if data is None or (data.dataset.content_hash, data.device) != (content_hash, device):
            self._data = None  # a small device may not have the memory for two data sets
            data = TrainingData(context.dataset(content_hash), device)
        self._data = data
        return data


def _trained(course: _Course, data: TrainingData, context: Context) -> torch.nn.Module | None:
    """Train on each fold; return the model of the first, None if one diverged."""

    def report(epoch: Epoch) -> None:
        course.add(epoch)
        context.report(course.progress(), epoch.seconds * course.epochs_left)

    first = None
    for fold in range(course.folds):
        course.begin_fold()
        settings = _of_fold(course.settings, fold)
        trained = train(settings, data, report, context.should_stop, fold)
        if trained.diverged:
            return None
        first = first or trained
    return None if first is None else first.model


def _of_fold(settings: TrainConfig, fold: int) -> TrainConfig:
    """Return the configuration of a fold's training: the first has the trial's own seed.

    If all had that, the luck of one draw of initial weights would be in all of them.
    """
    return replace(settings, seed=(settings.seed + fold) % 2**63)


@dataclass
class _Course:
    """The epochs of a trial so far, by fold; without folds it has one, which holds out a share."""

    settings: TrainConfig
    epochs: list[list[Epoch]] = field(default_factory=list)

    def begin_fold(self) -> None:
        self.epochs.append([])

    def add(self, epoch: Epoch) -> None:
        """Take the next epoch of the fold that is trained now."""
        self.epochs[-1].append(replace(epoch, number=len(self.all) + 1))

    @property
    def folds(self) -> int:
        return max(self.settings.folds, 1)

    @property
    def all(self) -> list[Epoch]:
        """The epochs of all folds; they are numbered through."""
        return [epoch for fold in self.epochs for epoch in fold]

    @property
    def epochs_left(self) -> int:
        last = self.all[-1]
        return 0 if last.diverged else self.folds * self.settings.epochs - last.number

    def progress(self) -> dict[str, Any]:
        last = self.all[-1]
        return {
            "epoch": last.number,
            "epochs": self.folds * self.settings.epochs,
            "done": last.number,
            "train_loss": last.train_loss,
            **self._found(),
        }

    def result(self, device: torch.device) -> dict[str, Any]:
        every, found = self.all, self._found()
        has_folds = self.settings.folds > 0
        refit = {**ON_ALL_DATA, **({"folds": 0} if has_folds else {})}
        return {
            "status": "ok",
            "diverged": every[-1].diverged,
            **found,
            **(self._of_folds() if has_folds else {}),
            "history": [epoch.to_json() for epoch in every],
            "seconds": sum(epoch.seconds for epoch in every),
            "trained_on": {**versions(), "device": describe(device.type)},
            "refit": refit,
        }

    def _ended(self) -> list[Epoch]:
        """Return the last epochs of the folds that have ended; of the first, until then, its last.

        So the figures of two trials at the same share of their length have come about alike.
        """
        full = [fold[-1] for fold in self.epochs if len(fold) == self.settings.epochs]
        return full or [self.epochs[0][-1]]

    def _found(self) -> dict[str, Any]:
        """Return how good the trial is so far: the means of its folds."""
        last = self.all[-1]
        ended = [last] if last.diverged else self._ended()
        accuracy = _mean(epoch.validation_accuracy for epoch in ended)
        balanced = _mean(epoch.validation_balanced_accuracy for epoch in ended)
        loss = last.train_loss if accuracy is None else 1.0 - accuracy
        error = None if balanced is None else 1.0 - balanced
        return {
            "loss": WORST_LOSS if last.diverged else loss,
            "validation_loss": _mean(epoch.validation_loss for epoch in ended),
            "validation_accuracy": accuracy,
            "validation_balanced_accuracy": balanced,
            "balanced_error": WORST_LOSS if last.diverged else error,
        }

    def _of_folds(self) -> dict[str, Any]:
        """Return each fold's accuracy, and their standard deviation, that of a sample (n - 1)."""
        if self.all[-1].diverged:
            return {}
        found = [epoch.validation_accuracy for epoch in self._ended()]
        accuracies = [accuracy for accuracy in found if accuracy is not None]
        several = len(accuracies) > 1
        return {
            "fold_accuracies": accuracies,
            **({"fold_deviation": statistics.stdev(accuracies)} if several else {}),
        }


def _mean(figures: Iterable[float | None]) -> float | None:
    """Return the mean of what is known; of one figure that figure, to the last digit."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if known else None
