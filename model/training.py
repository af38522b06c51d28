"""Training LeNet-5: one plain function over explicit steps."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import Any, Callable, Iterator

import torch
from torch.nn import functional

from hyperhive.model.augment import Camera
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.lenet import LeNet5
from hyperhive.model.metrics import evaluate
from hyperhive.model.normalise import Normaliser, to_tensor


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images gave.

    ``train_loss`` is the mean cross-entropy over the epoch's batches, as the weights were when each
    was seen. Validation is None where there are no held-out images. ``seconds`` covers both.
    """

    number: int
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float

    @property
    def diverged(self) -> bool:
        """Whether the last loss that was computed is not finite: the training ends with this."""
        # The last step of an epoch can break the weights after its last training loss was seen.
        last = self.train_loss if self.validation_loss is None else self.validation_loss
        return not math.isfinite(last)

    def to_json(self) -> dict[str, Any]:
        """Return the epoch as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Trained:
    """A finished training; ``diverged`` if a loss was not finite, and the last epoch is that."""

    model: LeNet5
    epochs: list[Epoch]
    diverged: bool


class TrainingStopped(Exception):
    """Training ended early because ``should_stop`` said so."""


class TrainingData:
    """A data set on its device, ready to train on: worth keeping between trials.

    Args:
        dataset: the data set; its test split is not touched.
        device: where to train.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.dataset = dataset
        self.device = device
        self.mean, self.std = dataset.normalisation()
        self.normalise = Normaliser(self.mean, self.std, device)
        self._images = to_tensor(dataset.train_images, device)
        self._labels = torch.from_numpy(dataset.train_labels).to(device)

    def split(self, config: TrainConfig) -> tuple[torch.Tensor, ...]:
        """Return images and labels to train on, then those to validate with (perhaps none)."""
        if config.train_on_all:
            return self._images, self._labels, self._images[:0], self._labels[:0]
        kept, held_out = self.dataset.validation_split(
            config.validation_fraction, config.split_seed
        )
        train = torch.from_numpy(kept).to(self.device)
        held = torch.from_numpy(held_out).to(self.device)
        return self._images[train], self._labels[train], self._images[held], self._labels[held]


def train(
    config: TrainConfig,
    data: TrainingData,
    report: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train LeNet-5 with SGD and return it.

    The seed decides the initial weights, the order of the images and what augmentation does to
    them, all drawn on the CPU so that they are the same on every device; on one device and one
    torch the resulting weights are too.

    Args:
        config: hyperparameters, seeds and split.
        data: the data set it names, on the device to train on.
        report: called after each epoch.
        should_stop: asked before each batch; raises ``TrainingStopped`` when it says yes.
    """
    images, labels, held_images, held_labels = data.split(config)
    random = torch.Generator().manual_seed(config.seed)
    augment = Camera(random) if config.augment == "camera" else None
    model = _initial_model(config.seed, data)
    steps = config.epochs * math.ceil(len(images) / config.batch_size)
    optimiser = _Optimiser(model, config, steps)
    epochs: list[Epoch] = []
    for number in range(1, config.epochs + 1):
        begun = time.perf_counter()
        batches = _batches(images, labels, config.batch_size, random, augment)
        train_loss = _run_epoch(model, optimiser, data.normalise, batches, should_stop)
        held = None
        if len(held_images) and math.isfinite(train_loss):
            held = evaluate(model, held_images, held_labels, data.normalise)
        epochs.append(
            Epoch(
                number=number,
                train_loss=train_loss,
                validation_loss=held.loss if held else None,
                validation_accuracy=held.accuracy if held else None,
                seconds=time.perf_counter() - begun,
            )
        )
        report(epochs[-1])
        if epochs[-1].diverged:
            return Trained(model, epochs, diverged=True)
    return Trained(model, epochs, diverged=False)


class _Optimiser:
    """SGD whose learning rate follows the configuration's schedule, step by step."""

    def __init__(self, model: LeNet5, config: TrainConfig, steps: int) -> None:
        def share(step: int) -> float:
            if config.schedule == "constant":
                return 1.0
            return (1 + math.cos(math.pi * step / steps)) / 2

        self._sgd = torch.optim.SGD(
            model.parameters(), lr=config.learning_rate, momentum=config.momentum
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._sgd, share)

    def step(self, loss: torch.Tensor) -> None:
        """Move the weights against the gradient of the loss."""
        self._sgd.zero_grad()
        loss.backward()
        self._sgd.step()
        self._schedule.step()


def _initial_model(seed: int, data: TrainingData) -> LeNet5:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LeNet5(data.dataset.channels, len(data.dataset.classes))
    return model.to(data.device)


def _batches(
    images: torch.Tensor,
    labels: torch.Tensor,
    size: int,
    random: torch.Generator,
    augment: Camera | None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    shuffled = torch.randperm(len(images), generator=random).to(images.device)
    for chosen in shuffled.split(size):
        batch = images[chosen]
        yield batch if augment is None else augment(batch), labels[chosen]


def _run_epoch(
    model: LeNet5,
    optimiser: _Optimiser,
    normalise: Normaliser,
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    should_stop: Callable[[], bool],
) -> float:
    """Take one step a batch; return the mean loss, or the first one that is not finite."""
    total = 0.0
    seen = 0
    for batch, labels in batches:
        if should_stop():
            raise TrainingStopped
        loss = functional.cross_entropy(model(normalise(batch)), labels)
        optimiser.step(loss)
        value = loss.item()
        if not math.isfinite(value):
            return value
        total += value * len(labels)
        seen += len(labels)
    return total / seen
