"""Models for tests: random weights, or weights of a short training, each with its card."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import torch

from hyperhive.model import model_files
from hyperhive.model.card import Card
from hyperhive.model.checkpoint import pack_weights, unpack_weights
from hyperhive.model.config import TrainConfig
from hyperhive.model.model_files import WEIGHTS_FILE
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.model.training import TrainingData, train


def drawn(channels: int = 3, seed: int = 0, **changes: Any) -> tuple[bytes, Card]:
    """Return random weights of a model with ten classes, and its card."""
    torch.manual_seed(seed)
    config = changes.get("config", {})
    parts = {name: config[name] for name in ("activation", "pooling") if name in config}
    packed = pack_weights(LeNet5(channels, 10, **parts))
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
    """Train a model; return its weights and its card."""
    packed = pack_weights(train(config, data).model)
    return packed, Card.of(data.dataset, hashlib.sha256(packed).hexdigest(), config.to_json())


def save_untrained(directory: Path) -> Path:
    """Write a model with random weights; return its directory."""
    return save_model(directory, *drawn())


def save_model(directory: Path, packed: bytes, card: Card) -> Path:
    """Write a model as a study does; return its directory."""
    model_files.write(directory / WEIGHTS_FILE, packed, card)
    return directory


def load_model(path: Path) -> tuple[LeNet5, Card]:
    """Return the model of a directory, or of a weights file, and its card."""
    weights = path if path.suffix else path / WEIGHTS_FILE
    packed, card = model_files.read(weights)
    return unpack_weights(packed, card, torch.device("cpu")), card
