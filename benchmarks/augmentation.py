"""What augmentation for cameras does to images that no camera has seen: validation accuracy.

    python benchmarks/augmentation.py [--data simpsons-mnist.zip] [--epochs 20 40] [--seeds 2]

Simpsons-MNIST in colour: trained on four fifths of the training split, with and without, and
validated on the rest as it is. The test split has no part in it.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import simpsons, simpsons_option
from benchmarks._models import CONFIGS
from hyperhive.model.training import TrainingData, train


def main() -> None:
    """Measure and print."""
    parser = simpsons_option("validation accuracy with and without augmentation for cameras")
    parser.add_argument("--epochs", type=int, nargs="+", default=[20, 40])
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    data = TrainingData(simpsons(options.data), torch.device("cpu"))
    for epochs in options.epochs:
        for name, config in CONFIGS.items():
            accuracies = []
            for seed in range(options.seeds):
                asked = dataclasses.replace(config, epochs=epochs, seed=seed, train_on_all=False)
                accuracies.append(train(asked, data).epochs[-1].validation_accuracy)
            shown = ", ".join(f"{accuracy:.1%}" for accuracy in accuracies)
            print(f"{epochs} epochs, {name:<8} {shown}", flush=True)


if __name__ == "__main__":
    main()
