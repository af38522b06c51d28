"""Evaluation of a study's model: once on the test split, and on the trial's validation images."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.nn import functional

from hyperhive.common.errors import CheckpointError, ConfigError
from hyperhive.common.values import number, whole
from hyperhive.model import checkpoint
from hyperhive.model.augmentation.camera import CameraAugmentation
from hyperhive.model.calibration import PLAIN, Calibration, calibration_error, require_finite
from hyperhive.model.card import Card
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.images import reduced
from hyperhive.model.data.series import kept_together
from hyperhive.model.device import CPU
from hyperhive.model.membership.members import MemberStatistics
from hyperhive.model.membership.photographs import squares
from hyperhive.model.metrics import Evaluation, evaluate
from hyperhive.model.normalise import to_tensor

_ENOUGH = 5000
_MOST_COPIES = 20
_BATCH = 250
_SQUARES = 1500
"""Squares of each photograph."""
_WAYS = ((1, 1.0), (3, 0.5))
"""How many times as large an image is when it is distorted, and how strongly it is."""


def require_usable(packed: bytes, card: Card) -> None:
    """Raise ``CheckpointError`` unless these weights are those of the card's network."""
    checkpoint.unpack_weights(packed, card, CPU)


def judge(packed: bytes, card: Card, dataset: Dataset) -> Evaluation:
    """Evaluate a model on the test split; raises ``CheckpointError`` for unusable weights."""
    model = checkpoint.unpack_weights(packed, card, CPU)
    images = to_tensor(dataset.test_images, CPU)
    labels = torch.from_numpy(dataset.test_labels)
    return evaluate(model, images, labels, checkpoint.normaliser(card, CPU), card.views)


def with_errors(calibration: Calibration, test: Evaluation, dataset: Dataset) -> Calibration:
    """Return a calibration with the calibration errors before and after it on the test split."""
    labels = dataset.test_labels
    return replace(
        calibration,
        error_before=calibration_error(PLAIN.probabilities(test.logits), labels),
        error_after=calibration_error(calibration.probabilities(test.logits), labels),
    )


def calibrate(packed: bytes, card: Card, dataset: Dataset) -> Calibration:
    """Return the calibration of a search trial's model, from the images it was validated on.

    A refit has seen every training image, so it takes over the calibration of the trial that it
    repeats: on Simpsons-MNIST that leaves no larger error than a calibration with images that were
    held out from the refit (``benchmarks/unknown.py``). Raises ``CheckpointError`` for unusable
    weights, and for a configuration that does not say which images were held out.
    """
    held_out = _held_out(card, dataset)
    images, labels = dataset.train_images, dataset.train_labels
    model = checkpoint.unpack_weights(packed, card, CPU)
    evaluation = evaluate(
        model,
        to_tensor(images[held_out], CPU),
        torch.from_numpy(labels[held_out]),
        checkpoint.normaliser(card, CPU),
        card.views,
    )
    require_finite(evaluation.logits)
    series = dataset.train_series
    together = None if series is None else kept_together(dataset.train_labels, series)
    members = _members(_Images(dataset.content_hash, images, together))
    return Calibration.of(evaluation.logits, labels[held_out], members)


def _held_out(card: Card, dataset: Dataset) -> np.ndarray:
    """Return the indices of the images that a model was validated on; of folds, the first's.

    Its weights are those of that fold. Raises ``CheckpointError``.
    """
    config = card.config
    fraction, folds = number(config.get("validation_fraction")), whole(config.get("folds"), 0)
    seed = whole(config.get("split_seed"), -1)
    is_known = fraction is not None and 0 < fraction < 1 and 0 <= seed < 2**32
    if fraction is None or not is_known or folds < 0 or folds == 1:
        raise CheckpointError("its configuration does not say which images were held out")
    try:
        return dataset.validation_split(fraction, seed, folds)[1]
    except ConfigError as error:
        raise CheckpointError(f"its configuration is of another data set: {error}") from error


@dataclass(frozen=True)
class _Images:
    """The training images of a data set; two are equal if their data sets are."""

    content_hash: str
    images: np.ndarray = field(compare=False, repr=False)
    series: np.ndarray | None = field(compare=False, repr=False)


@functools.lru_cache(maxsize=1)  # all trials of a study have the same images, and it takes seconds
def _members(training: _Images) -> MemberStatistics:
    versions = seen_by_camera(reduced(training.images))
    series = None if training.series is None else training.series[_drawn(len(training.images))]
    return MemberStatistics.of(versions, _photographs(training.images.shape[3]), series)


@functools.lru_cache(maxsize=2)
def _photographs(channels: int) -> np.ndarray:
    """Return squares of photographs, and a distorted copy of each: uint8 ``[P, M, 28, 28, C]``."""
    each = [_with_copies(some, 1) for some in squares(channels, _SQUARES)]
    return np.stack(each).reshape(len(each), -1, *each[0].shape[2:])


def seen_by_camera(images: np.ndarray) -> np.ndarray:
    """Return images, then copies of each as a camera sees it: uint8 ``[V, N, 28, 28, C]``.

    There are as many copies as make 5,000, but at most 20 of each image. Of more than 5,000 images
    a random 5,000 are used, which is enough to estimate the spread of their statistics.
    """
    drawn = images[_drawn(len(images))]
    return _with_copies(drawn, min(_MOST_COPIES, _ENOUGH // len(drawn)))


def _drawn(count: int) -> np.ndarray:
    """Return the indices of those of so many images that are used, in random order."""
    return np.random.RandomState(0).permutation(count)[:_ENOUGH]


def _with_copies(images: np.ndarray, copies: int) -> np.ndarray:
    """Return images, then so many distorted copies of each.

    A camera distorts a picture that is large, and then it is averaged: so half of the copies are
    three times as large when they are distorted. The others are distorted at 28x28, which blurs
    them too, and more strongly, as in the worst of rooms.
    """
    random = torch.Generator().manual_seed(0)
    cameras = [(times, CameraAugmentation(random, strength)) for times, strength in _WAYS]
    versions = [images]
    for copy in range(copies):
        parts = enumerate(to_tensor(images, CPU).split(_BATCH))
        seen = [_seen(part, *cameras[(copy + at) % len(cameras)]) for at, part in parts]
        versions.append(np.concatenate(seen))
    return np.stack(versions)


def _seen(images: torch.Tensor, times: int, camera: CameraAugmentation) -> np.ndarray:
    """Return images that were distorted while they were this many times as large."""
    large = images.float()
    if times > 1:
        large = functional.interpolate(
            large, scale_factor=times, mode="bicubic", align_corners=False
        )
    seen = camera(large.round().clamp(0, 255)).round().clamp(0, 255).byte()
    return reduced(seen.permute(0, 2, 3, 1).numpy())
