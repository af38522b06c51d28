"""What benchmarks/make_table.py measures for the table ``digits``: a small network."""

from __future__ import annotations

from typing import Any

DIGITS = {
    "units": {"distribution": "qloguniform", "low": 8, "high": 128, "step": 1},
    "rate": {"distribution": "loguniform", "low": 1e-4, "high": 0.3},
    "alpha": {"distribution": "loguniform", "low": 1e-6, "high": 10.0},
    "epochs": {"distribution": "uniformint", "low": 2, "high": 20},
    "batch": {"choices": [16, 64, 256]},
    "activation": {"choices": ["relu", "tanh"]},
    "solver": {
        "choices": [
            {"kind": "adam"},
            {"kind": "sgd", "momentum": {"distribution": "uniform", "low": 0.0, "high": 0.95}},
        ]
    },
}


def train(config: dict[str, Any], trial: Any) -> dict[str, float]:
    """Return the error on 797 digits of a network that was trained on the 1,000 others."""
    import warnings

    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    trained, held = order[:1000], order[1000:]
    network = MLPClassifier(
        hidden_layer_sizes=(int(config["units"]),),
        solver=config["solver"]["kind"],
        momentum=config["solver"].get("momentum", 0.9),  # scikit-learn ignores it with adam
        learning_rate_init=config["rate"],
        alpha=config["alpha"],
        batch_size=config["batch"],
        activation=config["activation"],
        max_iter=config["epochs"],
        random_state=trial.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so few epochs were asked for
        network.fit(images[trained] / 16, labels[trained])
    return {"loss": 1 - network.score(images[held] / 16, labels[held])}
