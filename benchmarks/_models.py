"""Models to compare: LeNet-5 as a study would leave it, with and without augmentation."""

import hashlib
from pathlib import Path
from typing import Dict

import torch

from model import checkpoint
from model.checkpoint import Card, pack_weights
from model.config import TrainConfig
from model.dataset import Dataset
from model.training import TrainingData, train

CONFIGS: Dict[str, TrainConfig] = {
    "classic": TrainConfig("", 0.099, 19, 0.17, train_on_all=True),
    "robust": TrainConfig("", 0.05, 40, 0.6, train_on_all=True, augment="camera"),
}
"""The first is what the study in README found for Simpsons-MNIST."""


def make(dataset: Dataset, config: TrainConfig, folder: Path) -> Path:
    """Train a model on a data set's training split, write it to a folder, return that."""
    data = TrainingData(dataset, torch.device("cpu"))
    packed = pack_weights(train(config, data).model)
    card = Card(
        classes=list(dataset.classes),
        channels=dataset.channels,
        mean=data.mean,
        std=data.std,
        weights_sha256=hashlib.sha256(packed).hexdigest(),
        dataset=dataset.card(),
        config=config.to_json(),
    )
    checkpoint.save(folder, packed, card)
    return folder
