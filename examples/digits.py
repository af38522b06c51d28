"""Search a neural network for scikit-learn's handwritten digits.

Run `python digits.py`.

Other machines can help: README.md, "Your own function". Needs scikit-learn.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import hyperhive
from hyperhive import hp


def train(config, trial):
    """Train for some epochs; report the accuracy on held-out images after each."""
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images / 16, labels, test_size=0.25, random_state=0)
    train_images, test_images, train_labels, test_labels = split
    optimizer = config["optimizer"]
    network = MLPClassifier(
        hidden_layer_sizes=(32,),
        solver=optimizer["kind"],
        momentum=optimizer.get("momentum", 0.9),  # scikit-learn ignores it with adam
        learning_rate_init=config["lr"],
        random_state=0,
    )
    for epoch in range(config["epochs"]):
        network.partial_fit(train_images, train_labels, classes=np.arange(10))
        accuracy = network.score(test_images, test_labels)
        trial.report(epoch + 1, of=config["epochs"], loss=1 - accuracy, accuracy=accuracy)
    return {"loss": 1 - accuracy, "accuracy": accuracy}


space = {
    "lr": hp.loguniform("lr", -9, -2),
    "epochs": hp.quniform("epochs", 2, 30, 1),
    "optimizer": hp.choice(
        "optimizer",
        [{"kind": "sgd", "momentum": hp.uniform("momentum", 0, 0.95)}, {"kind": "adam"}],
    ),
}

if __name__ == "__main__":
    study = hyperhive.search(train, space, trials=50)
    print(study.best.config, study.best.loss)
