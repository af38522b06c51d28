"""Search a PyTorch network of one's own on a folder of images, one folder per class.

Run `python pictures.py my-pictures/`.

Needs PyTorch and torchvision.
"""

from __future__ import annotations

import os
import sys

import torch
from torch import nn
from torchvision import datasets, transforms

import hyperhive

SIZE = 32
# A worker elsewhere has the images in a folder of its own: PICTURES=... hyperhive worker ...
FOLDER = os.environ.get("PICTURES", "pictures")


def network(width, dropout, classes):
    """Return two convolutions and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * width * (SIZE // 16) ** 2, classes),
    )


def train(config, trial):
    """Train on four fifths of the images; the accuracy is that on the others."""
    prepare = transforms.Compose([transforms.Resize((SIZE, SIZE)), transforms.ToTensor()])
    images = datasets.ImageFolder(FOLDER, prepare)
    torch.manual_seed(0)
    held_out = len(images) // 5
    parts = torch.utils.data.random_split(images, [len(images) - held_out, held_out])
    batches, validation = (torch.utils.data.DataLoader(part, 16, shuffle=True) for part in parts)
    model = network(config["width"], config["dropout"], len(images.classes)).to(trial.device)
    optimizer = torch.optim.Adam(model.parameters(), config["learning_rate"])
    for epoch in range(config["epochs"]):
        model.train()
        for pixels, labels in batches:
            loss = nn.functional.cross_entropy(
                model(pixels.to(trial.device)), labels.to(trial.device)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = sum(
                (model(pixels.to(trial.device)).argmax(1).cpu() == labels).sum().item()
                for pixels, labels in validation
            )
        trial.report(epoch + 1, of=config["epochs"], accuracy=right / held_out)
    return {"accuracy": right / held_out}


# The form of a study file; hyperopt's hp does the same.
space = {
    "learning_rate": {"distribution": "loguniform", "low": 1e-4, "high": 1e-1},
    "width": {"choices": [8, 16, 32]},
    "dropout": {"distribution": "uniform", "low": 0, "high": 0.5},
    "epochs": 5,
}

if __name__ == "__main__":
    FOLDER = os.environ["PICTURES"] = os.path.abspath(sys.argv[1])
    study = hyperhive.search(train, space, trials=20, metric="accuracy", direction="maximize")
    print(study.best.config, study.best.metrics)
