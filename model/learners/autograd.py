"""Steps of any network on any device, by autograd and ``torch.optim``."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional

from hyperhive.model.learners.average import Average
from hyperhive.model.learners.steps import Sgd
from hyperhive.model.metrics import logits_of
from hyperhive.model.normalise import Normaliser


class AutogradLearner:
    """Trains a model: the same as ``CpuLearner``, for every network and device."""

    def __init__(self, model: nn.Module, normalise: Normaliser, sgd: Sgd) -> None:
        self._model = model
        self._normalise = normalise
        self._parameters = [each for each in model.parameters() if each.requires_grad]
        self._sgd = torch.optim.SGD(
            self._parameters,
            lr=0.0,
            momentum=sgd.momentum,
            weight_decay=sgd.weight_decay,
            nesterov=sgd.nesterov and sgd.momentum > 0,  # the same without, which torch refuses
        )
        self._averaged = model
        self._average: Average | None = None
        if sgd.horizon:
            self._averaged = copy.deepcopy(model)
            averaged = [each for each in self._averaged.parameters() if each.requires_grad]
            self._average = Average(self._parameters, averaged, sgd.horizon)

    def step(
        self, images: torch.Tensor, targets: torch.Tensor, rate: float, shrink: float = 0.0
    ) -> float:
        """Take a step of SGD; see ``CpuLearner.step``."""
        # BatchNorm cannot compute the variance of a last batch of one image: it is normalised as in
        # validation, by the running statistics.
        self._model.train(len(images) > 1)
        loss = functional.cross_entropy(self._model(self._normalise(images)), targets)
        self._sgd.param_groups[0]["lr"] = rate
        self._sgd.zero_grad()
        loss.backward()
        if shrink:
            with torch.no_grad():
                for parameter in self._parameters:
                    parameter.mul_(1 - shrink)
        self._sgd.step()
        if self._average:
            self._average.update()
        return loss.item()

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, classes]`` of ``trained`` for pixels ``[N, C, H, W]``."""
        return logits_of(self._current(), images, self._normalise)

    def trained(self) -> nn.Module:
        """Return a copy of the model; its weights are averages if weights are averaged."""
        return copy.deepcopy(self._current())

    def _current(self) -> nn.Module:
        """Return the model, or the averaged one, with the buffers that the model has now.

        Batch normalisation's buffers are averages of their own over the last batches.
        """
        if self._average:
            for buffer, averaged in zip(self._model.buffers(), self._averaged.buffers()):
                averaged.copy_(buffer)
        return self._averaged
