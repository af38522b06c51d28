"""Search the settings of a network from a package of one's own, on a folder of images.

Run `pip install package/`, then `python search.py my-pictures/`.

Needs PyTorch.
"""

from __future__ import annotations

import sys

import hyperhive
from hyperhive import hp

SPACE = {
    "learning_rate": hp.loguniform("learning_rate", -6, -2),
    "epochs": 5,
    "momentum": 0.9,
    "batch_size": hp.choice("batch_size", [16, 64]),
}

if __name__ == "__main__":
    how = {"data": sys.argv[1], "image_size": 48, "network": "small"}
    study = hyperhive.search("lenet5", SPACE, trials=6, **how)
    model = hyperhive.load_model(study.save_model())
    print(model.card.architecture, model.card.image_size, model.card.test_accuracy)
