"""The temperature that makes a model's probabilities agree with how often it is right."""

from __future__ import annotations

import math

import numpy as np

_LOWEST, _HIGHEST = 0.05, 20.0
_PRECISION = 1e-4


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature, 0.05 to 20, at which labels ``[N]`` are the likeliest.

    The negative log-likelihood is convex in the inverse temperature, so it has one minimum, and a
    ternary search over the logarithm finds it. Each label's target is 1 - 1/(N + 2) and the other
    classes share the rest (Platt 1999, "Probabilistic Outputs for Support Vector Machines", 2.2).
    Otherwise a small set, with hardly an error in it, would have a temperature near 0. If every
    label is predicted correctly, nothing determines the temperature, and it is 1.

    Args:
        logits: float32 ``[N, classes]``, N of 1 or more.
        labels: int64 ``[N]``.
    """
    count, classes = logits.shape
    if (logits.argmax(axis=1) == labels).all():
        return 1.0
    targets = np.full(logits.shape, 1 / (count + 2) / (classes - 1))
    targets[np.arange(count), labels] = 1 - 1 / (count + 2)

    def loss(logarithm: float) -> float:
        scaled = logits.astype(np.float64) / math.exp(logarithm)
        scaled -= scaled.max(axis=1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(axis=1)) - (targets * scaled).sum(axis=1)).mean())

    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    while high - low > _PRECISION:
        third = (high - low) / 3
        if loss(low + third) < loss(high - third):
            high -= third
        else:
            low += third
    return round(math.exp((low + high) / 2), 4)
