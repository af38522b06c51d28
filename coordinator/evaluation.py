"""A study's model evaluated: on the test split, once, and on the trial's validation images."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from hyperhive.model import checkpoint
from hyperhive.model.augment import CameraAugmentation
from hyperhive.model.calibration import Calibration, calibration_error, require_finite
from hyperhive.model.card import Card
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.membership import MemberStatistics
from hyperhive.model.metrics import Evaluation, evaluate
from hyperhive.model.normalise import to_tensor

_CPU = torch.device("cpu")
_ENOUGH = 5000
_TOGETHER = 500


def judge(packed: bytes, card: Card, dataset: Dataset) -> Evaluation:
    """Evaluate a model's weights; raises ``CheckpointError`` where they cannot be used."""
    model = checkpoint.unpack_weights(packed, card, _CPU)
    images = to_tensor(dataset.test_images, _CPU)
    labels = torch.from_numpy(dataset.test_labels)
    return evaluate(model, images, labels, checkpoint.normaliser(card, _CPU))


def with_errors(calibration: Calibration, found: Evaluation, dataset: Dataset) -> Calibration:
    """Return a calibration with what it does for the calibration error on the test split."""
    labels = dataset.test_labels
    return replace(
        calibration,
        error_before=calibration_error(found.probabilities, labels),
        error_after=calibration_error(calibration.probabilities(found.logits), labels),
    )


def calibrate(packed: bytes, card: Card, dataset: Dataset) -> Calibration:
    """Return the calibration of a search trial's model, by the images it was validated on.

    A refit has seen every image there is, so it takes over that of the trial that it repeats: the
    error it leaves on Simpsons-MNIST is no larger than with images kept out of the refit
    (``benchmarks/unknown.py``). Raises ``CheckpointError`` for weights that cannot be used.
    """
    config = TrainConfig.from_json(card.config)
    split = _Split(dataset.content_hash, config.validation_fraction, config.split_seed, dataset)
    _, held_out = dataset.validation_split(split.fraction, split.seed)
    images, labels = dataset.train_images, dataset.train_labels
    model = checkpoint.unpack_weights(packed, card, _CPU)
    evaluation = evaluate(
        model,
        to_tensor(images[held_out], _CPU),
        torch.from_numpy(labels[held_out]),
        checkpoint.normaliser(card, _CPU),
    )
    require_finite(evaluation.logits)
    return Calibration.of(evaluation.logits, labels[held_out], _members(split))


@dataclass(frozen=True)
class _Split:
    """What is trained on and what is held out; equal by what it is made of."""

    content_hash: str
    fraction: float
    seed: int
    dataset: Dataset = field(compare=False, repr=False)


@functools.lru_cache(maxsize=1)  # all trials of a study have one split, and it takes seconds
def _members(split: _Split) -> MemberStatistics:
    kept, held_out = split.dataset.validation_split(split.fraction, split.seed)
    images = split.dataset.train_images
    return MemberStatistics.of(seen_by_camera(images[kept]), seen_by_camera(images[held_out]))


def seen_by_camera(images: np.ndarray) -> np.ndarray:
    """Return images and a distorted copy of each: uint8 ``[2 N, 28, 28, C]``.

    Of more than 5,000 that many are drawn, which is enough to know how their statistics spread.
    """
    drawn = images[np.random.RandomState(0).permutation(len(images))[:_ENOUGH]]
    camera = CameraAugmentation(torch.Generator().manual_seed(0))
    parts = [camera(part).permute(0, 2, 3, 1) for part in to_tensor(drawn, _CPU).split(_TOGETHER)]
    copies = torch.cat(parts).round().clamp(0, 255).byte().numpy()
    return np.concatenate([drawn, copies])
