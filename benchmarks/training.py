"""Evidence: a worker trains 8.6 times as many images a second as a notebook with a DataLoader.

With augmentation it is 14 times as many. An epoch costs a fifth of the processor time, augmented a
seventh. By autograd it takes 1.5 times as long. (One run on 2 idle cores.)

Both train LeNet-5 on the 8,000 training images of Simpsons-MNIST in colour: the same batches of 64,
epochs, SGD and schedule. The notebook has torchvision's ImageFolder and a DataLoader, with no or a
loading process for each core, and one thread or all; the fastest of a round counts. hyperhive runs
as a worker does: a slot of one thread for each core, all at once.

    python benchmarks/training.py [--data simpsons-mnist.zip] [--rounds 2] [--epochs 2]
        [--points FILE]

They take turns, because the speed of a machine varies; only the ratios are comparable. Processor
time, on one thread, is also what a notebook would need that kept all cores busy. Augmentation
is RandomAffine and ColorJitter in the notebook; ours adds perspective, blur and light from a side.
Accuracy is that of the test images after the last epoch, for other seeds. The peak of a core is
what a product of float32 matrices of 1,024 x 1,024 reaches on one thread in the same process.
"""

from __future__ import annotations

import contextlib
import functools
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator, Tuple
from unittest import mock

import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import loaded, simpsons_option
from hyperhive.model import training
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.download import simpsons_archive
from hyperhive.model.data.image_tree import ImageTree
from hyperhive.model.learners import cpu
from hyperhive.model.learners.autograd import AutogradLearner
from hyperhive.model.metrics import evaluate
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.model.normalise import to_tensor
from hyperhive.model.training import TrainingData, train
from hyperhive.worker.device import cores

RATE, MOMENTUM = 0.02, 0.9
AUGMENTATIONS = ("none", "camera")
SIZES = (16, 32, 64, 128, 256, 512, 1024)
PARTS = {
    "batches, with augmentation": (training, "_batches"),
    "pixels to normalised maps": (cpu, "padded"),
    "convolutions and pooling": (cpu, "convolve"),
    "their weights' gradients": (cpu, "add_gradient"),
    "their maps' gradients": (cpu, "gradient_of_maps"),
}
"""What is measured of a step, and where it is called."""

Measured = Tuple[float, float]
"""Images per second, and accuracy on the test images."""


def main() -> None:
    """Measure and print."""
    parser = simpsons_option("images per second of hyperhive against a DataLoader notebook")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--points", type=Path, help="write the speed by batch size, as JSON")
    options = parser.parse_args()
    archive = options.data or simpsons_archive(lambda done, total: None)
    slots, whole = [_process(1) for _ in range(cores())], _process(cores())
    notebooks = {
        "notebook, no loaders": (whole, 0),
        f"notebook, {cores()} loaders": (whole, cores()),
        f"notebook, {cores()} loaders, 1 thread": (slots[0], cores()),
    }
    with tempfile.TemporaryDirectory() as folder:
        _extract(archive, Path(folder))
        for augment in AUGMENTATIONS:
            ways = {
                name: _at_once([process], _notebook, archive, Path(folder), loaders, augment)
                for name, (process, loaders) in notebooks.items()
            }
            ways["one slot, all threads"] = _at_once([whole], _ours, archive, augment)
            ways[f"a worker: {len(slots)} slots"] = _at_once(slots, _ours, archive, augment)
            print(f"\naugmentation {augment:<19} images/s   ratio   accuracy, %", flush=True)
            _compare(ways, options.rounds, options.epochs)
        slots[0].submit(_print_processor_time, archive, Path(folder)).result()
    slots[0].submit(_print_profile, archive).result()
    speeds = slots[0].submit(_by_batch_size, archive).result()
    print("\nbatch size, images/s of a slot: " + ", ".join(f"{n}: {v:,.0f}" for n, v in speeds))
    if options.points:
        axes = {"title": "Training by batch size", "x": "batch size", "y": "images/s of a slot"}
        options.points.write_text(json.dumps({**axes, "series": {"LeNet-5": speeds}}))


def _compare(ways: dict[str, Callable[[int, int], Any]], rounds: int, epochs: int) -> None:
    """Run each way in each round; print medians, and ratios to the best notebook of the round."""
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    reached: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(rounds):
        for name, way in ways.items():
            results = way(seed, epochs)
            speeds[name].append(sum(speed for speed, _ in results))
            reached[name] += [accuracy for _, accuracy in results]
    peers = [speeds[name] for name in ways if name.startswith("notebook")]
    best = [max(of_round) for of_round in zip(*peers)]
    for name in ways:
        ratio = statistics.median(own / peer for own, peer in zip(speeds[name], best))
        shown = ", ".join(f"{100 * each:.1f}" for each in reached[name])
        print(f"{name:<32}{statistics.median(speeds[name]):>8,.0f}{ratio:>8.2f}   {shown}")


# -- what trains ---------------------------------------------------------------------------------


def _process(threads: int) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, spawn, torch.set_num_threads, (threads,))


def _at_once(
    processes: list[ProcessPoolExecutor], run: Callable[..., Any], *given: Any
) -> Callable[[int, int], Any]:
    """Return what runs a function in each process, with other seeds, and returns the results."""

    def way(seed: int, epochs: int) -> Any:
        seeds = range(seed * len(processes), (seed + 1) * len(processes))
        running = [
            process.submit(run, *given, own, epochs) for process, own in zip(processes, seeds)
        ]
        return [each.result() for each in running]

    return way


@functools.lru_cache(maxsize=None)
def _data(archive: Path) -> TrainingData:
    data = TrainingData(loaded("simpsons", archive), torch.device("cpu"))
    train(_config("camera", 0, 1), data)  # a first training is slower
    return data


def _config(augment: str, seed: int, epochs: int, size: int = 64) -> TrainConfig:
    return TrainConfig(
        "", RATE, epochs, MOMENTUM, size, seed=seed, augment=augment, train_on_all=True
    )


def _ours(archive: Path, augment: str, seed: int, epochs: int) -> Measured:
    data = _data(archive)
    started_at = time.perf_counter()
    model = train(_config(augment, seed, epochs), data).model
    return _measured(started_at, epochs, model, data)


def _notebook(
    archive: Path, folder: Path, loaders: int, augment: str, seed: int, epochs: int
) -> Measured:
    data = _data(archive)
    torch.manual_seed(seed)
    distort = [
        transforms.RandomAffine(12, translate=(0.08, 0.08), scale=(0.83, 1.2)),
        transforms.ColorJitter(brightness=0.35, saturation=0.2, hue=0.03),
    ]
    steps = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
    if augment != "none":
        steps = distort + steps
    images = ImageFolder(str(folder), transforms.Compose(steps))
    loader = DataLoader(
        images, batch_size=64, shuffle=True, num_workers=loaders, persistent_workers=loaders > 0
    )
    model = LeNet5(data.dataset.channels, len(data.dataset.classes))
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * len(loader))
    started_at = time.perf_counter()
    for _ in range(epochs):
        for batch, labels in loader:
            loss = functional.cross_entropy(model(batch), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cosine.step()
    return _measured(started_at, epochs, model, data)


def _measured(started_at: float, epochs: int, model: LeNet5, data: TrainingData) -> Measured:
    seconds = time.perf_counter() - started_at
    images = to_tensor(data.dataset.test_images, data.device)
    labels = torch.from_numpy(data.dataset.test_labels)
    accuracy = evaluate(model, images, labels, data.normalise).accuracy
    return epochs * len(data.dataset.train_images) / seconds, accuracy


def _extract(archive: Path, folder: Path) -> None:
    """Write the archive's training images into class folders."""
    with ImageTree(archive) as tree:
        for path in tree:
            if path.parts[-4:-2] == ("rgb", "train"):
                target = folder / path.parts[-2] / path.name
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(tree.read(path))


# -- where a step's time goes --------------------------------------------------------------------


def _print_processor_time(archive: Path, folder: Path) -> None:
    """Print what an epoch takes on one thread: what counts if all cores are kept busy."""
    data = _data(archive)
    print("\nprocessor time of an epoch   notebook   hyperhive   ratio")
    for augment in AUGMENTATIONS:
        started_at = time.process_time()
        train(_config(augment, 0, 1), data)
        between = time.process_time()
        _notebook(archive, folder, 0, augment, 0, 1)
        ours, theirs = between - started_at, time.process_time() - between
        print(f"augmentation {augment:<15}{theirs:>7.1f} s{ours:>10.2f} s{theirs / ours:>8.1f}")


def _print_profile(archive: Path) -> None:
    """Print what a slot reaches of its core's peak, and the time of each part of a step."""
    data, matrix = _data(archive), torch.rand(1024, 1024)
    peak = 2 * 1024**3 / min(_seconds(lambda: matrix @ matrix) for _ in range(20))
    count = len(data.dataset.train_images)
    epoch = functools.partial(train, _config("none", 0, 1), data)
    by_hand, by_autograd = [], []
    for _ in range(5):
        by_hand.append(_seconds(epoch))
        with mock.patch.object(training, "new_learner", AutogradLearner):
            by_autograd.append(_seconds(epoch))
    rate = _operations(data.dataset) * count / min(by_hand)
    print(f"\na core's peak {peak / 1e9:.0f} GFLOP/s, a slot {rate / 1e9:.1f}: {rate / peak:.0%}")
    print(f"an epoch by autograd takes {min(by_autograd) / min(by_hand):.2f} times as long")
    for augment in AUGMENTATIONS:
        spent: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        with contextlib.ExitStack() as patches:
            for part, (module, name) in PARTS.items():
                timed = _timed(getattr(module, name), part, spent)
                patches.enter_context(mock.patch.object(module, name, timed))
            whole = _seconds(functools.partial(train, _config(augment, 0, 1), data))
        spent["linear layers, loss, SGD"] = whole - sum(spent.values())
        print(f"a step with augmentation {augment}, {1000 * whole * 64 / count:.2f} ms, of that")
        for part, each in spent.items():
            print(f"    {part:<32}{1000 * each * 64 / count:>6.2f} ms {each / whole:>5.0%}")


def _operations(dataset: Dataset) -> int:
    """Return additions and multiplications of a step, per image: 2 for each weight that is used.

    Going back, each layer but the first computes as much for its input as for its weights.
    """
    first = 28 * 28 * 6 * 25 * dataset.channels
    others = 10 * 10 * 16 * 25 * 6 + 400 * 120 + 120 * 84 + 84 * len(dataset.classes)
    return 2 * (2 * first + 3 * others)


def _timed(function: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def call(*given: Any) -> Any:
        started_at = time.perf_counter()
        result = function(*given)
        spent[part] += time.perf_counter() - started_at
        return _timed_items(result, part, spent) if hasattr(result, "__next__") else result

    return call


def _timed_items(items: Iterator[Any], part: str, spent: dict[str, float]) -> Iterator[Any]:
    while True:
        started_at = time.perf_counter()
        item = next(items, None)
        spent[part] += time.perf_counter() - started_at
        if item is None:
            return
        yield item


def _by_batch_size(archive: Path) -> list[list[float]]:
    data = _data(archive)
    count = len(data.dataset.train_images)
    runs = {size: functools.partial(train, _config("none", 0, 1, size), data) for size in SIZES}
    return [[size, count / min(_seconds(run) for _ in range(3))] for size, run in runs.items()]


def _seconds(run: Callable[[], Any]) -> float:
    started_at = time.perf_counter()
    run()
    return time.perf_counter() - started_at


if __name__ == "__main__":
    main()
