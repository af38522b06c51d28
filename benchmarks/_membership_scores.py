"""Scores that should tell members from pictures of no class: hyperhive's own and rivals."""

from __future__ import annotations

import warnings
from typing import Callable, NamedTuple

import numpy as np
import torch

from benchmarks._strangers import Random, scrambled
from hyperhive.model.calibration import Calibration
from hyperhive.model.config import TrainConfig
from hyperhive.model.device import CPU
from hyperhive.model.membership.statistics import statistics
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.model.normalise import to_tensor
from hyperhive.model.training import TrainingData, train

_NEIGHBOUR = 10

Score = Callable[[np.ndarray], np.ndarray]
"""Returns float ``[N]`` for pictures uint8 ``[N, 28, 28, C]``: higher means more like a member."""


class Net(NamedTuple):
    """A trained model, and the images and labels that it was trained on."""

    model: LeNet5
    data: TrainingData
    images: np.ndarray
    labels: np.ndarray

    def answer(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits ``[N, classes]`` and features ``[N, 84]``, both float64."""
        with torch.no_grad():
            parts = [
                self.model.answer(self.data.normalise(part))
                for part in to_tensor(pictures, CPU).split(1000)
            ]
        logits, features = (torch.cat(some).double().numpy() for some in zip(*parts))
        return logits, features


def trained(data: TrainingData, config: TrainConfig) -> Net:
    """Return a model that a configuration trains."""
    kept = np.arange(len(data.dataset.train_labels))
    if not config.train_on_all:
        kept, _ = data.dataset.validation_split(config.validation_fraction, config.split_seed)
    model = train(config, data).model.eval()
    return Net(model, data, data.dataset.train_images[kept], data.dataset.train_labels[kept])


def scores(net: Net, calibration: Calibration) -> dict[str, Score]:
    """Return scores by name, each fitted to the images that the model was trained on."""
    features = net.answer(net.images)[1]
    members = calibration.members
    assert members is not None

    def confidence(pictures: np.ndarray) -> np.ndarray:
        return calibration.probabilities(net.answer(pictures)[0]).max(axis=1)

    def margin(pictures: np.ndarray) -> np.ndarray:
        ordered = np.sort(calibration.probabilities(net.answer(pictures)[0]), axis=1)
        return ordered[:, -1] - ordered[:, -2]

    near = _near_class(features, net.labels)
    neighbours = _neighbours(features)
    return {
        "confidence": confidence,
        "margin": margin,
        "largest logit": lambda pictures: net.answer(pictures)[0].max(axis=1),
        "energy, arXiv:2010.03759": lambda pictures: _energy(net.answer(pictures)[0]),
        "Mahalanobis on features, arXiv:1807.03888": lambda pictures: near(net.answer(pictures)[1]),
        "10th neighbour in features, arXiv:2204.06507": lambda pictures: neighbours(
            net.answer(pictures)[1]
        ),
        "exposure to scrambled members, arXiv:1812.04606": _exposed(net.images),
        "membership (ours)": members.share_beyond,
    }


def auroc(members: np.ndarray, others: np.ndarray) -> float:
    """Return the probability that a member scores higher than another picture."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, "left") + np.searchsorted(ordered, members, "right")
    return float(below.mean() / 2 / len(others))


def _energy(logits: np.ndarray) -> np.ndarray:
    top = logits.max(axis=1)
    return top + np.log(np.exp(logits - top[:, None]).sum(axis=1))


def _near_class(features: np.ndarray, labels: np.ndarray) -> Score:
    """Return the negative squared Mahalanobis distance of features to the nearest class mean."""
    means = np.stack([features[labels == label].mean(axis=0) for label in np.unique(labels)])
    spread = np.cov((features - means[labels]).T)
    precision = np.linalg.inv(spread + 1e-2 * np.trace(spread) / len(spread) * np.eye(len(spread)))

    def score(some: np.ndarray) -> np.ndarray:
        away = some[:, None] - means
        return -np.einsum("nki,ij,nkj->nk", away, precision, away).min(axis=1)

    return score


def _neighbours(features: np.ndarray) -> Score:
    """Return the cosine similarity of features to their 10th nearest neighbour."""

    def unit(some: np.ndarray) -> np.ndarray:
        return some / (np.linalg.norm(some, axis=1, keepdims=True) + 1e-9)

    known = unit(features)

    def score(some: np.ndarray) -> np.ndarray:
        parts = np.array_split(unit(some), -(-len(some) // 500))
        return np.concatenate([np.sort(part @ known.T, axis=1)[:, -_NEIGHBOUR] for part in parts])

    return score


def _exposed(images: np.ndarray) -> Score:
    """Return the score of a small network that was trained on members and scrambled members."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    others = scrambled(images, Random(0))
    classifier = make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=30, random_state=0))
    is_member = np.repeat([1, 0], [len(images), len(others)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 30 iterations are meant
        classifier.fit(statistics(np.concatenate([images, others])), is_member)
    return lambda pictures: classifier.predict_log_proba(statistics(pictures))[:, 1]
