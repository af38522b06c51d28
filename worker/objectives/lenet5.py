"""The objective ``lenet5``: train a network with a configuration, report its validation error.

It is called after the network that it trains unless a configuration names another. Workers of
earlier versions know it by this name.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np
import torch

from hyperhive.common.errors import DeviceError
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.config import ON_ALL_DATA, TrainConfig
from hyperhive.model.networks import why_missing
from hyperhive.model.teacher import answers_of, pack_answers, unpack_answers
from hyperhive.model.training import Epoch, Trained, TrainingData, TrainingStopped, train
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

        The cost of a trial is its number of epochs, so the number of the last epoch is what is
        ``done``.

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
        epochs: list[Epoch] = []

        def report(epoch: Epoch) -> None:
            epochs.append(epoch)
            epochs_left = 0 if epoch.diverged else settings.epochs - epoch.number
            context.report(_progress(epoch, settings.epochs), epoch.seconds * epochs_left)

        try:
            trained = train(settings, data, report, context.should_stop)
        except TrainingStopped:
            if not context.is_pruned():
                raise Stopped from None
            return Outcome(_result(epochs, data.device))
        if context.trial.purpose == TEACHER and not trained.diverged:
            return _taught(trained, settings, data)
        weights = None if trained.diverged else pack_weights(trained.model)
        return Outcome(_result(trained.epochs, data.device), weights)

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


def _taught(trained: Trained, config: TrainConfig, data: TrainingData) -> Outcome:
    """Return what a teacher delivers: its answers in place of its weights."""
    result = _result(trained.epochs, data.device)
    result["parameters"] = sum(each.numel() for each in trained.model.parameters())
    return Outcome(result, pack_answers(answers_of(trained.model, config, data)))


def _progress(epoch: Epoch, epochs: int) -> dict[str, Any]:
    return {
        "epoch": epoch.number,
        "epochs": epochs,
        "done": epoch.number,
        "loss": _loss(epoch),
        "train_loss": epoch.train_loss,
        "validation_loss": epoch.validation_loss,
        "validation_accuracy": epoch.validation_accuracy,
    }


def _loss(epoch: Epoch) -> float:
    if epoch.diverged:
        return WORST_LOSS
    if epoch.validation_accuracy is None:
        return epoch.train_loss
    return 1.0 - epoch.validation_accuracy


def _result(epochs: Sequence[Epoch], device: torch.device) -> dict[str, Any]:
    last = epochs[-1]
    return {
        "status": "ok",
        "loss": _loss(last),
        "diverged": last.diverged,
        "validation_accuracy": last.validation_accuracy,
        "history": [epoch.to_json() for epoch in epochs],
        "seconds": sum(epoch.seconds for epoch in epochs),
        "trained_on": {**versions(), "device": describe(device.type)},
        "refit": dict(ON_ALL_DATA),
    }
