"""Evidence: augmentation for cameras pays on plain images too, after 40 epochs but not after 20.

Validation accuracy on Simpsons-MNIST in colour, in per cent, for seeds 0 and 1:

                           20 epochs     40 epochs
    without (classic)      70.3, 69.3    71.0, 69.7
    with (robust)          68.1, 68.4    72.9, 73.4

    python benchmarks/augmentation.py [--data simpsons-mnist.zip] [--epochs 20 40] [--seeds 2]

Each model is trained on four fifths of the training split and validated on the rest, which is not
augmented. The test split is not used.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import loaded, simpsons_option
from benchmarks._models import CONFIGS
from hyperhive.common.wording import percent
from hyperhive.model.training import TrainingData, train


def main() -> None:
    """Measure and print."""
    parser = simpsons_option("validation accuracy with and without augmentation for cameras")
    parser.add_argument("--epochs", type=int, nargs="+", default=[20, 40])
    parser.add_argument("--seeds", type=int, default=2, help="number of seeds")
    options = parser.parse_args()
    data = TrainingData(loaded("simpsons", options.data), torch.device("cpu"))
    for epochs in options.epochs:
        for name, config in CONFIGS.items():
            accuracies = []
            for seed in range(options.seeds):
                changed = dataclasses.replace(config, epochs=epochs, seed=seed, train_on_all=False)
                accuracies.append(train(changed, data).epochs[-1].validation_accuracy)
            shown = ", ".join(map(percent, accuracies))
            print(f"{epochs} epochs, {name:<8} {shown}", flush=True)


if __name__ == "__main__":
    main()
