"""The objective ``lenet5``: train LeNet-5 with a configuration, report its validation error."""

from __future__ import annotations

from typing import Any, Mapping

import torch

from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.config import TrainConfig
from hyperhive.model.training import Epoch, Trained, TrainingData, TrainingStopped, train
from hyperhive.worker.device import describe, versions
from hyperhive.worker.objectives.api import Context, Outcome, Stopped

WORST_LOSS = 1.0
"""The validation error of a model that is never right: what a diverged trial counts as."""


class LeNet5Objective:
    """Trains LeNet-5. Keeps the last data set on its device, from trial to trial."""

    def __init__(self) -> None:
        self._data: TrainingData | None = None

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        """Train; the loss is the share of validation images named wrongly, in 0..1.

        A training that diverges is a result, and the worst there is. Where there is no validation
        (``train_on_all``) the loss is the last epoch's training loss.

        Raises ``ConfigError`` for a configuration no worker can run, ``Stopped`` when told to.
        """
        asked = TrainConfig.from_json(config)
        data = self._training_data(asked.dataset, context)

        def report(epoch: Epoch) -> None:
            progress = {
                "epoch": epoch.number,
                "epochs": asked.epochs,
                "done": epoch.number,  # the cost of a trial is its number of epochs
                "train_loss": epoch.train_loss,
                "validation_accuracy": epoch.validation_accuracy,
            }
            left = 0 if epoch.diverged else asked.epochs - epoch.number
            context.report(progress, epoch.seconds * left)

        try:
            trained = train(asked, data, report, context.should_stop)
        except TrainingStopped:
            raise Stopped from None
        weights = None if trained.diverged else pack_weights(trained.model)
        return Outcome(_result(trained, data.device), weights)

    def _training_data(self, content_hash: str, context: Context) -> TrainingData:
        device = torch.device(context.device)
        kept = self._data
        if kept is None or (kept.dataset.content_hash, kept.device) != (content_hash, device):
            self._data = None  # two at once may be more than a small device holds
            kept = TrainingData(context.dataset(content_hash), device)
        self._data = kept
        return kept


def _result(trained: Trained, device: torch.device) -> dict[str, Any]:
    last = trained.epochs[-1]
    if trained.diverged:
        loss = WORST_LOSS
    elif last.validation_accuracy is None:
        loss = last.train_loss
    else:
        loss = 1.0 - last.validation_accuracy
    return {
        "status": "ok",
        "loss": loss,
        "diverged": trained.diverged,
        "validation_accuracy": last.validation_accuracy,
        "history": [epoch.to_json() for epoch in trained.epochs],
        "seconds": sum(epoch.seconds for epoch in trained.epochs),
        "trained_on": {**versions(), "device": describe(device.type)},
    }
