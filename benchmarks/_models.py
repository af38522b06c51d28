"""Models to compare: LeNet-5 as a study would leave it, with and without augmentation."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import torch

from hyperhive.coordinator.evaluation import calibrate
from hyperhive.model.card import Card
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.model_files import WEIGHTS_FILE, write
from hyperhive.model.training import TrainingData, train

CONFIGS: dict[str, TrainConfig] = {
    "classic": TrainConfig("", 0.099, 19, 0.17, train_on_all=True),
    "robust": TrainConfig("", 0.05, 40, 0.6, train_on_all=True, augment="camera"),
}
"""The first is the best configuration that a study of Simpsons-MNIST found."""


def make(dataset: Dataset, config: TrainConfig, folder: Path) -> Path:
    """Train a model, write it to a folder, return the folder.

    As in a study, the model is trained on the whole training split. Its calibration comes from a
    second model of the same configuration that was not trained on the validation images.
    """
    data = TrainingData(dataset, torch.device("cpu"))
    packed, card = trained(data, config)
    trial, trial_card = trained(data, dataclasses.replace(config, train_on_all=False))
    calibration = calibrate(trial, trial_card, dataset)
    write(folder / WEIGHTS_FILE, packed, dataclasses.replace(card, calibration=calibration))
    return folder


def trained(data: TrainingData, config: TrainConfig) -> tuple[bytes, Card]:
    """Train a model; return its weights, and its card without a calibration."""
    packed = pack_weights(train(config, data).model)
    return packed, card_of(packed, data.dataset, config)


def card_of(packed: bytes, dataset: Dataset, config: TrainConfig) -> Card:
    """Return the card of weights that this configuration trained, without a calibration."""
    return Card.of(dataset, hashlib.sha256(packed).hexdigest(), config.to_json())
