"""Choose between two scikit-learn models, and tune the one that is chosen. Needs no PyTorch.

Run `python classifiers.py`.
"""

from __future__ import annotations

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import hyperhive
from hyperhive import hp


def accuracy(config):
    """Return the mean accuracy of five-fold cross-validation."""
    chosen = config["model"]
    if chosen["kind"] == "svm":
        model = make_pipeline(StandardScaler(), SVC(C=chosen["C"], gamma=chosen["gamma"]))
    else:
        model = RandomForestClassifier(
            n_estimators=chosen["trees"], max_depth=chosen["depth"], random_state=0
        )
    scores = cross_val_score(model, *load_wine(return_X_y=True), cv=5)
    return {"accuracy": scores.mean(), "worst_fold": scores.min()}


space = {
    "model": hp.choice(
        "model",
        [
            {
                "kind": "svm",
                "C": hp.lognormal("C", 0, 2),
                "gamma": hp.loguniform("gamma", -7, 1),
            },
            {
                "kind": "forest",
                "trees": hp.uniformint("trees", 10, 100),
                "depth": hp.choice("depth", [2, 4, 8, None]),
            },
        ],
    )
}

if __name__ == "__main__":
    study = hyperhive.search(
        accuracy,
        space,
        trials=40,
        metric="accuracy",
        direction="maximize",
        patience=15,  # stop after so many trials without a better one
        try_first=[{"model": {"kind": "svm", "C": 1.0, "gamma": 0.1}}],
    )
    print(study.best.config, study.best.metrics)
