"""Models for tests: weights drawn at random, or trained for a moment, each with its card."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import torch

from hyperhive.model import checkpoint
from hyperhive.model.card import Card
from hyperhive.model.config import TrainConfig
from hyperhive.model.lenet import LeNet5
from hyperhive.model.training import TrainingData, train


def drawn(channels: int = 3, seed: int = 0, **changes: Any) -> tuple[bytes, Card]:
    """Return weights drawn at random, which label at random, and their card of ten classes."""
    torch.manual_seed(seed)
    packed = checkpoint.pack_weights(LeNet5(channels, 10))
    card = Card(
        classes=[f"class {number}" for number in range(10)],
        channels=channels,
        mean=[0.3, 0.4, 0.5][:channels],
        std=[0.1, 0.2, 0.3][:channels],
        weights_sha256=hashlib.sha256(packed).hexdigest(),
        dataset={},
        config={},
    )
    return packed, dataclasses.replace(card, **changes)


def trained(data: TrainingData, config: TrainConfig) -> tuple[bytes, Card]:
    """Train; return the weights and their card."""
    packed = checkpoint.pack_weights(train(config, data).model)
    return packed, Card.of(data.dataset, hashlib.sha256(packed).hexdigest(), config.to_json())


def save_untrained(directory: Path) -> Path:
    """Write a model with random weights, and return its directory."""
    checkpoint.save(directory, *drawn())
    return directory
