"""How fast a device trains and labels, measured on noise: no data set is needed."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import statistics
import time
from typing import Callable

import numpy as np
import torch

from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.images import SIZE
from hyperhive.model.engines.choice import engine_of
from hyperhive.model.lenet import LeNet5
from hyperhive.model.training import TrainingData, TrainingStopped, train
from hyperhive.store.benchmarks import Benchmark
from hyperhive.worker.device import default_slots, describe, machine_versions

BATCH_SIZES = (64, 256)
SECONDS = 4.0
"""How long each thing is measured, at least."""

_IMAGES = 1024
_CLASSES = tuple("0123456789")
_ENDLESS = 1_000_000

_LEAST_STRETCHES = 3
_LEAST_PICTURES = 50
_WARM_UP_PICTURES = 10


def measure(name: str, device: torch.device, tell: Callable[[str], None]) -> Benchmark:
    """Measure a device as one slot of a worker uses it, and as predict-cam does.

    Args:
        name: what the machine is called.
        device: what to measure of it.
        tell: is told what is measured next.
    """
    training = {}
    for size in BATCH_SIZES:
        tell(f"training LeNet-5 on colour images of 28x28 in batches of {size} ...")
        training[str(size)] = training_speed(device, size)
    tell("labelling one picture at a time ...")
    p50, p95 = latency(device)
    return Benchmark(
        name=name,
        device=describe(device.type),
        slots=default_slots(device.type),
        training=training,
        latency_p50=p50,
        latency_p95=p95,
        versions=machine_versions(),
    )


def training_speed(device: torch.device, batch_size: int) -> float:
    """Return the images a second that LeNet-5 is trained on, the median of several epochs.

    The first epoch is for warming up. An accelerator is waited for: training reads the loss after
    each batch, which comes after all that was asked of the device before.
    """
    epochs: list[float] = []

    def has_enough() -> bool:
        return len(epochs) > _LEAST_STRETCHES and sum(epochs[1:]) >= SECONDS

    config = TrainConfig(
        dataset="",
        learning_rate=0.001,
        epochs=_ENDLESS,
        momentum=0.9,
        batch_size=batch_size,
        schedule="constant",
        train_on_all=True,
    )
    data = TrainingData(_noise(), device)
    with contextlib.suppress(TrainingStopped):
        train(config, data, lambda epoch: epochs.append(epoch.seconds), has_enough)
    return _IMAGES / statistics.median(epochs[1:])


def latency(device: torch.device) -> tuple[float, float]:
    """Return how long one picture takes to its numbers: the 50th and 95th percentile, in ms.

    It goes through the engine that predict-cam runs a safetensors file with, onto the device and
    back.
    """
    noise = _noise()
    packed = pack_weights(LeNet5(noise.channels, len(_CLASSES)))
    card = Card.of(noise, hashlib.sha256(packed).hexdigest(), {})
    engine = engine_of(packed, SAFETENSORS, card, device.type)
    picture = noise.test_images[:1]
    taken: list[float] = []
    begun = time.perf_counter()
    for number in itertools.count():
        before = time.perf_counter()
        if number >= _LEAST_PICTURES and before - begun > SECONDS:
            break
        engine.run(picture)
        taken.append(1000 * (time.perf_counter() - before))
    p50, p95 = np.percentile(taken[_WARM_UP_PICTURES:], (50, 95))
    return float(p50), float(p95)


def _noise() -> Dataset:
    """Return images of noise, labelled by turns."""
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (_IMAGES, SIZE, SIZE, 3)).astype(np.uint8)
    labels = np.arange(_IMAGES, dtype=np.int64) % len(_CLASSES)
    few = len(_CLASSES)
    return Dataset("noise", _CLASSES, images, labels, images[:few], labels[:few])
