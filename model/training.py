"""Training a network: one plain function over explicit steps."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from dataclasses import asdict, dataclass
from typing import Any, Callable, Iterator, NamedTuple, Sequence

import numpy as np
import torch
from torch import nn

from hyperhive.common.errors import ConfigError
from hyperhive.model.augmentation.kinds import Augmentation, augmentations
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.learners import Learner, new_learner
from hyperhive.model.learners.steps import Sgd, Step, steps
from hyperhive.model.learners.targets import targets_of
from hyperhive.model.metrics import Evaluation, evaluation, of_views
from hyperhive.model.networks import build, of_lenet5
from hyperhive.model.normalise import Normaliser, to_tensor


@dataclass(frozen=True)
class Epoch:
    """The result of one pass over the training images.

    ``train_loss`` is the mean cross-entropy in nats over the epoch's images, each with the weights
    before its own step, and with what is trained to be answered, see ``targets_of``. The validation
    values are None if no images are held out, or if the training loss is not finite. ``seconds`` is
    the time for training and validation.
    """

    number: int
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float
    validation_balanced_accuracy: float | None = None

    @classmethod
    def of(
        cls, number: int, train_loss: float, validation: Evaluation | None, seconds: float
    ) -> Epoch:
        """Return an epoch with what its validation found, if there was one."""
        if validation is None:
            return cls(number, train_loss, None, None, seconds)
        accuracy, balanced = validation.accuracy, validation.balanced_accuracy
        return cls(number, train_loss, validation.loss, accuracy, seconds, balanced)

    @property
    def diverged(self) -> bool:
        """True if the epoch's last loss is not finite; training ends with such an epoch."""
        # An epoch's last step can break the weights; only the validation loss shows that.
        last = self.train_loss if self.validation_loss is None else self.validation_loss
        return not math.isfinite(last)

    def to_json(self) -> dict[str, Any]:
        """Return the epoch as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Trained:
    """A finished training: the model, and one entry per epoch."""

    model: nn.Module
    epochs: list[Epoch]

    @property
    def diverged(self) -> bool:
        """True if training ended early because a loss was not finite."""
        return self.epochs[-1].diverged


class TrainingStopped(Exception):
    """Training ended early because ``should_stop`` returned True."""


class Split(NamedTuple):
    """A data set as a training sees it: uint8 images ``[N, C, H, W]``, on the training's device.

    ``targets`` are int64 ``[N]`` or float32 ``[N, classes]``; ``held_labels`` are int64 ``[N]``.
    """

    images: torch.Tensor
    targets: torch.Tensor
    held_images: torch.Tensor
    held_labels: torch.Tensor


class TrainingData:
    """A data set on the device that trains on it; keep it between trials, to copy it only once.

    Args:
        dataset: the data set; its test split is not used.
        device: where to train.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.dataset = dataset
        self.device = device
        self.answers: torch.Tensor | None = None
        self.mean, self.std = dataset.normalisation()
        self.normalise = Normaliser(self.mean, self.std, device)
        self._images = to_tensor(dataset.train_images, device)
        self._labels = torch.from_numpy(dataset.train_labels).to(device)

    def with_answers(self, answers: np.ndarray | None) -> TrainingData:
        """Return the same data, in the same memory, with a teacher's answers or with none.

        Args:
            answers: logits for all training images by index, float32 ``[N_train, classes]``;
                mirrored and distorted images have the answers of their image.

        Raises ``ConfigError`` for another shape, and for logits that are not finite.
        """
        data = copy.copy(self)
        data.answers = None
        if answers is not None:
            expected = (len(self.dataset.train_images), len(self.dataset.classes))
            if answers.shape != expected or not np.isfinite(answers).all():
                raise ConfigError("the teacher's answers are not those to this data set's images")
            data.answers = torch.from_numpy(answers).to(self.device, torch.float32)
        return data

    def split(self, config: TrainConfig, fold: int = 0) -> Split:
        """Return a configuration's training images with their targets, and what is held out.

        With ``train_on_all`` no images are held out. Raises ``ConfigError``, see ``targets_of``.
        """
        targets = targets_of(config, self._labels, len(self.dataset.classes), self.answers)
        images, labels = self._images, self._labels
        if config.train_on_all:
            return Split(images, targets, images[:0], labels[:0])
        kept, held_out = self.dataset.validation_split(
            config.validation_fraction, config.split_seed, config.folds, fold
        )
        train = torch.from_numpy(kept).to(self.device)
        held = torch.from_numpy(held_out).to(self.device)
        return Split(images[train], targets[train], images[held], labels[held])


def train(
    config: TrainConfig,
    data: TrainingData,
    report: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
    fold: int = 0,
) -> Trained:
    """Train a network with SGD and return it; end at the first loss that is not finite.

    The seed decides the initial weights, the order of the images and their augmentation. All of
    them are drawn on the CPU, so they are the same on every device; the resulting weights are the
    same on one device with one version of PyTorch.

    Args:
        config: hyperparameters, seeds and split.
        data: the configuration's data set, on the device that trains.
        report: called after each epoch.
        should_stop: called before each batch; ``TrainingStopped`` is raised if it returns True.
        fold: of a configuration with folds, the one that is held out.
    """
    with _random_numbers_of(config.seed, data.device):
        return _train(config, data, report, should_stop, fold)


@contextlib.contextmanager
def _random_numbers_of(seed: int, device: torch.device) -> Iterator[None]:
    """Have the seed decide PyTorch's own generators, for initial weights and dropout.

    They are afterwards as they were before.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _train(
    config: TrainConfig,
    data: TrainingData,
    report: Callable[[Epoch], None],
    should_stop: Callable[[], bool],
    fold: int,
) -> Trained:
    split = data.split(config, fold)
    random = torch.Generator().manual_seed(config.seed)
    augments = augmentations(config, data.mean, random)
    model = _initial_model(config, data)
    count = config.epochs * math.ceil(len(split.images) / config.batch_size)
    learner = new_learner(model, data.normalise, Sgd.of(config, count))
    planned = steps(config, count)
    epochs: list[Epoch] = []
    for number in range(1, config.epochs + 1):
        started_at = time.perf_counter()
        batches = _batches(split.images, split.targets, config.batch_size, random, augments)
        train_loss = _run_epoch(learner, planned, batches, should_stop)
        validation = None
        if len(split.held_images) and math.isfinite(train_loss):
            logits = of_views(learner.logits, split.held_images, config.views)
            validation = evaluation(logits, split.held_labels)
        epochs.append(Epoch.of(number, train_loss, validation, time.perf_counter() - started_at))
        report(epochs[-1])
        if epochs[-1].diverged:
            break
    return Trained(learner.trained(), epochs)


def _initial_model(config: TrainConfig, data: TrainingData) -> nn.Module:
    """Return a model with random weights, drawn on the CPU."""
    own, dataset = of_lenet5(config.to_json()), data.dataset
    classes = len(dataset.classes)
    model = build(config.network, dataset.channels, classes, dataset.image_size, **own)
    return model.to(data.device)


def _batches(
    images: torch.Tensor,
    targets: torch.Tensor,
    size: int,
    random: torch.Generator,
    augments: Sequence[Augmentation],
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    shuffled = torch.randperm(len(images), generator=random).to(images.device)
    for chosen in shuffled.split(size):
        batch = images[chosen]
        for augment in augments:
            batch = augment(batch)
        yield batch, targets[chosen]


def _run_epoch(
    learner: Learner,
    planned: Iterator[Step],
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    should_stop: Callable[[], bool],
) -> float:
    """Take one step per batch; return the mean loss, or the first loss that is not finite."""
    total = 0.0
    seen = 0
    for batch, targets in batches:
        if should_stop():
            raise TrainingStopped
        loss = learner.step(batch, targets, *next(planned))
        if not math.isfinite(loss):
            return loss
        total += loss * len(targets)
        seen += len(targets)
    return total / seen
