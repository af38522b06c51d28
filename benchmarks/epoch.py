"""Evidence: an epoch is 3.7 times as fast as with torchvision's ImageFolder and a DataLoader.

With augmentation for cameras it takes 1.3 times as long as without. Both are medians, for the 8,000
training images of Simpsons-MNIST in colour, on 2 CPU cores.

    python benchmarks/epoch.py [--data simpsons-mnist.zip] [--rounds 3]

All three ways train LeNet-5 in batches of 64 with SGD, on the CPU, with torch's default number of
threads. They take turns, because the speed of a machine varies; only the ratios are comparable.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable

import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import loaded, simpsons_option
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.download import simpsons_archive
from hyperhive.model.data.image_tree import ImageTree
from hyperhive.model.lenet import LeNet5
from hyperhive.model.training import TrainingData, train


def main() -> None:
    """Measure and print."""
    parser = simpsons_option("an epoch of hyperhive against one of ImageFolder and DataLoader")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    archive = options.data or simpsons_archive(lambda done, total: None)
    dataset = loaded("simpsons", archive)
    data = TrainingData(dataset, torch.device("cpu"))
    plain, augmented, theirs = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        _extract(archive, Path(folder))
        loader = _loader(Path(folder), data)
        for _ in range(options.rounds):
            plain.append(_seconds(lambda: _our_epoch(data)))
            augmented.append(_seconds(lambda: _our_epoch(data, "camera")))
            theirs.append(_seconds(lambda: _loader_epoch(loader, dataset)))
    ours, other, distorted = map(statistics.median, (plain, theirs, augmented))
    print(f"images {len(dataset.train_images):,}, torch threads {torch.get_num_threads()}")
    print(f"ImageFolder + DataLoader  {other:.2f} s per epoch")
    print(f"hyperhive                 {ours:.2f} s per epoch")
    print(f"ratio                     {other / ours:.1f}")
    print(f"hyperhive, augmented      {distorted:.2f} s per epoch")
    print(f"ratio                     {distorted / ours:.2f}")


def _our_epoch(data: TrainingData, augment: str = "none") -> None:
    train(TrainConfig("", 0.01, 1, 0.9, train_on_all=True, augment=augment), data)


def _loader_epoch(loader: DataLoader, dataset: Dataset) -> None:
    model = LeNet5(dataset.channels, len(dataset.classes))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for images, labels in loader:
        loss = functional.cross_entropy(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _loader(folder: Path, data: TrainingData) -> DataLoader:
    steps = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
    images = ImageFolder(str(folder), transforms.Compose(steps))
    return DataLoader(images, batch_size=64, shuffle=True)


def _extract(archive: Path, folder: Path) -> None:
    """Write the archive's training images into class folders."""
    with ImageTree(archive) as tree:
        for path in tree:
            if path.parts[-4:-2] == ("rgb", "train"):
                target = folder / path.parts[-2] / path.name
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(tree.read(path))


def _seconds(run: Callable[[], None]) -> float:
    started_at = time.perf_counter()
    run()
    return time.perf_counter() - started_at


if __name__ == "__main__":
    main()
