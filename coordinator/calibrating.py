"""Calibrating a study's model on the images that its trial was not trained on."""

from dataclasses import replace

import numpy as np
import torch

from model import checkpoint
from model.calibration import Calibration, calibration_error
from model.card import Card
from model.config import TrainConfig
from model.dataset import Dataset
from model.errors import CheckpointError
from model.membership import Members
from model.metrics import Evaluation, evaluate
from model.normalise import to_tensor

_CPU = torch.device("cpu")


def calibrate(packed: bytes, card: Card, dataset: Dataset) -> Calibration:
    """Return the calibration of a search trial's model, by the images it was validated on.

    A refit has seen every image there is, so it takes over that of the trial that it repeats: on
    Simpsons-MNIST the error it leaves is as small as with images kept back from the refit
    (``benchmarks/unknown.py``). Raises ``CheckpointError`` for weights that cannot be used.
    """
    config = TrainConfig.from_json(card.config)
    kept, held_out = dataset.validation_split(config.validation_fraction, config.split_seed)
    images, labels = dataset.train_images, dataset.train_labels
    model = checkpoint.unpack_weights(packed, card, _CPU)
    evaluation = evaluate(
        model,
        to_tensor(images[held_out], _CPU),
        torch.from_numpy(labels[held_out]),
        checkpoint.normaliser(card, _CPU),
    )
    if not np.isfinite(evaluation.logits).all():
        raise CheckpointError("the model's answers are not finite numbers")
    members = Members.of(images[kept], images[held_out])
    return Calibration.of(evaluation.logits, labels[held_out], members)


def with_errors(calibration: Calibration, test: Evaluation, dataset: Dataset) -> Calibration:
    """Return a calibration with what it does for the calibration error on the test split."""
    labels = dataset.test_labels
    return replace(
        calibration,
        error_before=calibration_error(test.probabilities, labels),
        error_after=calibration_error(calibration.probabilities(test.logits), labels),
    )
