"""Training LeNet-5: one plain function over explicit steps."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import asdict, dataclass
from typing import Any, Callable, Iterator

import torch

from hyperhive.model.augmentation.camera import CameraAugmentation
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.learners import Learner, new_learner
from hyperhive.model.metrics import Evaluation, evaluation
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.model.normalise import Normaliser, to_tensor


@dataclass(frozen=True)
class Epoch:
    """The result of one pass over the training images.

    ``train_loss`` is the mean cross-entropy in nats over the epoch's images, each with the weights
    before its own step. The validation values are None if no images are held out, or if the
    training loss is not finite. ``seconds`` is the time for training and validation.
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
        accuracies = validation.accuracy, seconds, validation.balanced_accuracy
        return cls(number, train_loss, validation.loss, *accuracies)

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

    model: LeNet5
    epochs: list[Epoch]

    @property
    def diverged(self) -> bool:
        """True if training ended early because a loss was not finite."""
        return self.epochs[-1].diverged


class TrainingStopped(Exception):
    """Training ended early because ``should_stop`` returned True."""


class TrainingData:
    """A data set on the device that trains on it; keep it between trials, to copy it only once.

    Args:
        dataset: the data set; its test split is not used.
        device: where to train.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.dataset = dataset
        self.device = device
        self.mean, self.std = dataset.normalisation()
        self.normalise = Normaliser(self.mean, self.std, device)
        self._images = to_tensor(dataset.train_images, device)
        self._labels = torch.from_numpy(dataset.train_labels).to(device)

    def split(self, config: TrainConfig, fold: int = 0) -> tuple[torch.Tensor, ...]:
        """Return training images and labels, then held-out images and labels.

        Images are uint8 ``[N, C, 28, 28]``, labels int64 ``[N]``. With ``train_on_all`` no images
        are held out, so N is 0.
        """
        if config.train_on_all:
            return self._images, self._labels, self._images[:0], self._labels[:0]
        kept, held_out = self.dataset.validation_split(
            config.validation_fraction, config.split_seed, config.folds, fold
        )
        train = torch.from_numpy(kept).to(self.device)
        held = torch.from_numpy(held_out).to(self.device)
        return self._images[train], self._labels[train], self._images[held], self._labels[held]


def train(
    config: TrainConfig,
    data: TrainingData,
    report: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
    fold: int = 0,
) -> Trained:
    """Train LeNet-5 with SGD and return it; end at the first loss that is not finite.

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
    images, labels, held_images, held_labels = data.split(config, fold)
    random = torch.Generator().manual_seed(config.seed)
    augment = CameraAugmentation(random) if config.augment == "camera" else None
    model = _initial_model(config.seed, data)
    learner = new_learner(model, data.normalise, config.momentum)
    rates = _rates(config, config.epochs * math.ceil(len(images) / config.batch_size))
    epochs: list[Epoch] = []
    for number in range(1, config.epochs + 1):
        started_at = time.perf_counter()
        batches = _batches(images, labels, config.batch_size, random, augment)
        train_loss = _run_epoch(learner, rates, batches, should_stop)
        validation = None
        if len(held_images) and math.isfinite(train_loss):
            validation = evaluation(learner.logits(held_images), held_labels)
        epochs.append(Epoch.of(number, train_loss, validation, time.perf_counter() - started_at))
        report(epochs[-1])
        if epochs[-1].diverged:
            break
    # A learner may have made the parameters views of one tensor; each copy has its own memory.
    return Trained(copy.deepcopy(model), epochs)


def _rates(config: TrainConfig, steps: int) -> Iterator[float]:
    """Yield the learning rate of each step."""
    for step in range(steps):
        share = (1 + math.cos(math.pi * step / steps)) / 2 if config.schedule == "cosine" else 1.0
        yield config.learning_rate * share


def _initial_model(seed: int, data: TrainingData) -> LeNet5:
    """Return a model with weights drawn by the seed; PyTorch's own generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LeNet5(data.dataset.channels, len(data.dataset.classes))
    return model.to(data.device)


def _batches(
    images: torch.Tensor,
    labels: torch.Tensor,
    size: int,
    random: torch.Generator,
    augment: CameraAugmentation | None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    shuffled = torch.randperm(len(images), generator=random).to(images.device)
    for chosen in shuffled.split(size):
        batch = images[chosen]
        yield batch if augment is None else augment(batch), labels[chosen]


def _run_epoch(
    learner: Learner,
    rates: Iterator[float],
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    should_stop: Callable[[], bool],
) -> float:
    """Take one step per batch; return the mean loss, or the first loss that is not finite."""
    total = 0.0
    seen = 0
    for batch, labels in batches:
        if should_stop():
            raise TrainingStopped
        loss = learner.step(batch, labels, next(rates))
        if not math.isfinite(loss):
            return loss
        total += loss * len(labels)
        seen += len(labels)
    return total / seen
