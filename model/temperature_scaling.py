"""The temperature that makes a model's probabilities agree with how often it is right."""

from __future__ import annotations

import math

import numpy as np

_CANDIDATES = np.exp(np.linspace(math.log(0.05), math.log(20.0), 301))
"""Temperatures that are tried, 1 among them; neighbours differ by 2 %."""

_SPREAD = 0.5
"""Standard deviation of the logarithm of a model's temperature, before anything is known of the
model: two thirds of all temperatures are from 0.6 to 1.65."""

_FOLDS = 5


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature, 0.05 to 20, that is the likeliest given labels ``[N]``, or 1.

    Each label's target is 1 - 1/(N + 2) and the other classes share the rest (Platt 1999,
    "Probabilistic Outputs for Support Vector Machines", 2.2). The logarithm of the temperature is
    expected near 0 (``_SPREAD``), which few labels cannot outweigh, and many do.

    The temperature stays 1 unless cross-validation shows that another is better: the temperatures
    of four fifths of the images must lower the mean loss of the last fifth, by more than its
    standard error. If every label is predicted correctly, nothing determines it, and it is 1 too.
    ``benchmarks/small_sets.py`` has the figures.

    Args:
        logits: float32 ``[N, classes]``, N of 1 or more.
        labels: int64 ``[N]``.
    """
    count, classes = logits.shape
    if (logits.argmax(axis=1) == labels).all():
        return 1.0
    is_label = np.eye(classes)[labels]
    targets = np.where(is_label, 1 - 1 / (count + 2), 1 / (count + 2) / (classes - 1))
    fold = np.random.RandomState(0).permutation(count) % min(_FOLDS, count)
    losses = np.stack([np.bincount(fold, _losses(logits, targets, each)) for each in _CANDIDATES])
    surprise = 0.5 * (np.log(_CANDIDATES) / _SPREAD) ** 2
    total = losses.sum(axis=1) + surprise
    others = _CANDIDATES[(total[:, None] - losses).argmin(axis=0)]
    gain = _losses(logits, is_label, 1.0) - _losses(logits, is_label, others[fold])
    if gain.mean() <= gain.std() / math.sqrt(count):
        return 1.0
    return round(float(_CANDIDATES[total.argmin()]), 4)


def _losses(logits: np.ndarray, targets: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Return cross-entropies ``[N]`` in nats, at one temperature or at one for each image."""
    scaled = logits.astype(np.float64) / np.reshape(temperature, (-1, 1))
    scaled -= scaled.max(axis=1, keepdims=True)
    losses: np.ndarray = np.log(np.exp(scaled).sum(axis=1)) - (targets * scaled).sum(axis=1)
    return losses
