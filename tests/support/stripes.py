"""A small data set that is learned at once, and how it is trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset

STRIPES = ("upright", "level")


def stripes(n: int = 32, seed: int = 0) -> Dataset:
    """Return black and white images, half of each white, striped one way or the other.

    With exactly half of the pixels white, mean and deviation are 0.5 whatever the order of the
    images: normalisation carries nothing from one image to another.
    """
    random = np.random.RandomState(seed)
    images = np.zeros((n, 28, 28, 1), np.uint8)
    labels = np.arange(n, dtype=np.int64) % 2
    for image, label in zip(images, labels):
        lines = random.permutation(28)[:14]
        if label:
            image[lines] = 255
        else:
            image[:, lines] = 255
    return Dataset("stripes", STRIPES, images, labels, images[:4], labels[:4])


def config(**changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "dataset": "x",
        "learning_rate": 0.05,
        "epochs": 2,
        "momentum": 0.9,
        "batch_size": 8,
    }
    return TrainConfig(**{**values, **changes})
