"""How fast a device trains and classifies, measured on noise: no data set is needed."""

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
from hyperhive.model.config import LENET5, TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.images import SIZE
from hyperhive.model.engines.choice import engine_of
from hyperhive.model.networks import build
from hyperhive.model.training import TrainingData, TrainingStopped, train
from hyperhive.store.benchmarks import Benchmark
from hyperhive.worker.device import default_slots, describe, machine_versions

BATCH_SIZES = (64, 256)
SECONDS = 4.0
"""The least time for which each thing is measured."""

_IMAGES = 1024
_CLASSES = tuple("0123456789")
_ENDLESS = 1_000_000

_LEAST_EPOCHS = 3
_LEAST_IMAGES = 50
_WARM_UP_IMAGES = 10


def measure(
    name: str,
    device: torch.device,
    tell: Callable[[str], None],
    network: str = LENET5,
    image_size: int = SIZE,
) -> Benchmark:
    """Measure a device as one slot of a worker uses it, and as predict-cam does.

    Args:
        name: what the machine is called.
        device: the device to measure.
        tell: takes a sentence that says what is measured next.
        network: what is trained and run.
        image_size: the side of its images in pixels.
    """
    called = "LeNet-5" if network == LENET5 else network
    images = f"colour images of {image_size}x{image_size}"
    training = {}
    for size in BATCH_SIZES:
        tell(f"training {called} on {images} in batches of {size} ...")
        training[str(size)] = training_speed(device, size, network, image_size)
    tell("classifying one image at a time ...")
    p50, p95 = latency(device, network, image_size)
    return Benchmark(
        name=name,
        device=describe(device.type),
        slots=default_slots(device.type),
        training=training,
        latency_p50=p50,
        latency_p95=p95,
        versions=machine_versions(),
    )


def training_speed(
    device: torch.device, batch_size: int, network: str = LENET5, image_size: int = SIZE
) -> float:
    """Return how many images per second a network trains on, the median of several epochs.

    The first epoch is a warm-up and does not count. The time includes all work of an accelerator:
    training reads the loss after each batch, which waits for the device.
    """
    epochs: list[float] = []

    def has_enough() -> bool:
        return len(epochs) > _LEAST_EPOCHS and sum(epochs[1:]) >= SECONDS

    config = TrainConfig(
        dataset="",
        learning_rate=0.001,
        epochs=_ENDLESS,
        momentum=0.9,
        batch_size=batch_size,
        schedule="constant",
        train_on_all=True,
        network=network,
    )
    data = TrainingData(_noise(image_size), device)
    with contextlib.suppress(TrainingStopped):
        train(config, data, lambda epoch: epochs.append(epoch.seconds), has_enough)
    return _IMAGES / statistics.median(epochs[1:])


def latency(
    device: torch.device, network: str = LENET5, image_size: int = SIZE
) -> tuple[float, float]:
    """Return the time from one image to its class scores: 50th and 95th percentile, in ms.

    The image goes onto the device and the scores come back, through the engine with which
    predict-cam runs a safetensors file.
    """
    noise = _noise(image_size)
    packed = pack_weights(build(network, noise.channels, len(_CLASSES), image_size))
    card = Card.of(noise, hashlib.sha256(packed).hexdigest(), {"network": network})
    engine = engine_of(packed, SAFETENSORS, card, device.type)
    image = noise.test_images[:1]
    times_ms: list[float] = []
    started_at = time.perf_counter()
    for number in itertools.count():
        before = time.perf_counter()
        if number >= _LEAST_IMAGES and before - started_at > SECONDS:
            break
        engine.run(image)
        times_ms.append(1000 * (time.perf_counter() - before))
    p50, p95 = np.percentile(times_ms[_WARM_UP_IMAGES:], (50, 95))
    return float(p50), float(p95)


def _noise(size: int) -> Dataset:
    """Return square images of noise with three channels; their labels are 0, 1, ... 9, 0, ..."""
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (_IMAGES, size, size, 3), dtype=np.uint8)
    labels = np.arange(_IMAGES, dtype=np.int64) % len(_CLASSES)
    tests = len(_CLASSES)
    return Dataset("noise", _CLASSES, images, labels, images[:tests], labels[:tests])
