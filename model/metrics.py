"""How good a model is on labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
import torch
from torch.nn import functional

from hyperhive.model.augmentation.views import views_of
from hyperhive.model.interval import mean_recall
from hyperhive.model.normalise import Normaliser

_PIXELS = 1024 * 28 * 28
"""Of the images that are computed at once: larger images in smaller batches."""


@dataclass(frozen=True)
class Evaluation:
    """A model's answers for N labelled images, and how good they are.

    ``loss`` is the mean cross-entropy in nats; ``accuracy`` is the share of images that are
    classified correctly. ``logits`` and their softmax, ``probabilities``, are float32
    ``[N, classes]``. ``confusion`` counts images by ``[true class][predicted class]``.
    """

    loss: float
    accuracy: float
    logits: np.ndarray
    probabilities: np.ndarray
    confusion: list[list[int]]

    @property
    def balanced_accuracy(self) -> float:
        """The mean over the classes of the share of their images that are right."""
        return mean_recall(self.confusion) or 0.0


def evaluate(
    model: torch.nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    normalise: Normaliser,
    views: str = "one",
) -> Evaluation:
    """Run a model in evaluation mode, then restore the mode that it was in.

    Args:
        model: takes normalised images, gives logits.
        images: uint8 ``[N, C, S, S]`` on the model's device, N of at least 1.
        labels: int64 ``[N]`` on the same device.
        normalise: the normalisation that the model was trained with.
        views: see ``TrainConfig``.
    """
    logits = of_views(lambda seen: logits_of(model, seen, normalise), images, views)
    return evaluation(logits, labels)


def of_views(
    logits: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, views: str
) -> torch.Tensor:
    """Return logits ``[N, classes]`` of images ``[N, C, H, W]``, as ``TrainConfig.views`` says."""
    if views == "one":
        return logits(images)
    height, width = images.shape[2:]
    found = []
    for rows, columns in views_of(views, height, width):
        at = [torch.from_numpy(each).to(images.device) for each in (rows, columns)]
        found.append(logits(images[:, :, at[0]][:, :, :, at[1]]))
    return sum(found[1:], found[0]) / len(found)


def logits_of(model: torch.nn.Module, images: torch.Tensor, normalise: Normaliser) -> torch.Tensor:
    """Return logits ``[N, classes]`` of a model in evaluation mode; restore its mode."""
    was_training = model.training
    model.eval()
    at_once = max(1, _PIXELS // (images.shape[2] * images.shape[3]))
    with torch.no_grad():
        logits = torch.cat([model(normalise(batch)) for batch in images.split(at_once)])
    model.train(was_training)
    return logits


def evaluation(logits: torch.Tensor, labels: torch.Tensor) -> Evaluation:
    """Compare logits, float32 ``[N, classes]``, with labels, int64 ``[N]``."""
    predicted = logits.argmax(dim=1)
    # One number for each pair of true and predicted class, so that one bincount counts them.
    pairs = labels * logits.shape[1] + predicted
    confusion = torch.bincount(pairs.cpu(), minlength=logits.shape[1] ** 2)
    return Evaluation(
        loss=functional.cross_entropy(logits, labels).item(),
        accuracy=(predicted == labels).float().mean().item(),
        logits=logits.cpu().numpy(),
        probabilities=functional.softmax(logits, dim=1).cpu().numpy(),
        confusion=confusion.reshape(logits.shape[1], -1).tolist(),
    )
