"""How good a model is on labelled images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from hyperhive.model.normalise import Normaliser

_BATCH = 1024


@dataclass(frozen=True)
class Evaluation:
    """What a model says of N labelled images.

    ``loss`` is the mean cross-entropy in nats, ``accuracy`` the share of images named rightly,
    ``logits`` and ``probabilities``, their softmax, are float32 ``[N, classes]``, ``confusion``
    counts ``[true][predicted]``.
    """

    loss: float
    accuracy: float
    logits: np.ndarray
    probabilities: np.ndarray
    confusion: list[list[int]]


def evaluate(
    model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, normalise: Normaliser
) -> Evaluation:
    """Run a model in evaluation mode; leaves it in training mode if it was.

    Args:
        images: uint8 ``[N, C, 28, 28]`` on the model's device, N of at least 1.
        labels: int64 ``[N]`` on the same device.
    """
    was_training = model.training
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(normalise(batch)) for batch in images.split(_BATCH)])
        loss = functional.cross_entropy(logits, labels).item()
        probabilities = functional.softmax(logits, dim=1)
        predicted = logits.argmax(dim=1)
        pairs = labels * logits.shape[1] + predicted
        confusion = torch.bincount(pairs.cpu(), minlength=logits.shape[1] ** 2)
    model.train(was_training)
    return Evaluation(
        loss=loss,
        accuracy=(predicted == labels).float().mean().item(),
        logits=logits.cpu().numpy(),
        probabilities=probabilities.cpu().numpy(),
        confusion=confusion.reshape(logits.shape[1], -1).tolist(),
    )
