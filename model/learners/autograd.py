"""Steps of any network on any device, by autograd and ``torch.optim``."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from hyperhive.model.metrics import logits_of
from hyperhive.model.normalise import Normaliser


class AutogradLearner:
    """Trains a model: the same as ``CpuLearner``, for every device."""

    def __init__(self, model: nn.Module, normalise: Normaliser, momentum: float) -> None:
        self._model = model
        self._normalise = normalise
        self._sgd = torch.optim.SGD(model.parameters(), lr=0.0, momentum=momentum)

    def step(self, images: torch.Tensor, labels: torch.Tensor, rate: float) -> float:
        """Take a step of SGD; return the mean cross-entropy before it, in nats."""
        # BatchNorm cannot compute the variance of a last batch of one image: it is normalised as in
        # validation, by the running statistics.
        self._model.train(len(images) > 1)
        loss = functional.cross_entropy(self._model(self._normalise(images)), labels)
        self._sgd.param_groups[0]["lr"] = rate
        self._sgd.zero_grad()
        loss.backward()
        self._sgd.step()
        return loss.item()

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, classes]`` for pixels ``[N, C, S, S]``."""
        return logits_of(self._model, images, self._normalise)
