"""LeNet-5's steps on a CPU, without autograd.

Weights are those of autograd and ``torch.optim.SGD`` but for the order in which numbers are added.
Those take 1.5 times as long (``benchmarks/training.py``): with maps as small as LeNet-5's,
what is done around the kernels counts.
"""

from __future__ import annotations

from typing import Sequence

import torch

from hyperhive.model.learners.batch_last import (
    Convolved,
    Layer,
    add_gradient,
    convolve,
    gradient_of_maps,
    padded,
    where_positive,
)
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.model.normalise import Normaliser

_BLOCK = 64
"""Images that are computed at once, so that their maps stay in a core's cache."""


class CpuLearner:
    """Trains a LeNet-5, whose parameters become views of one tensor.

    Args:
        model: is trained in place, on the CPU.
        normalise: maps pixels to what the model takes.
        momentum: of SGD.
    """

    def __init__(self, model: LeNet5, normalise: Normaliser, momentum: float) -> None:
        self._normalise = normalise
        self._momentum = momentum
        own = list(model.parameters())
        self._weights = torch.cat([each.detach().flatten() for each in own])
        self._gradient = torch.zeros_like(self._weights)
        self._velocity = torch.zeros_like(self._weights)
        weights, gradients = _views(self._weights, own), _views(self._gradient, own)
        for parameter, view in zip(own, weights):
            parameter.data = view
        pairs = zip(weights[::2], weights[1::2], gradients[::2], gradients[1::2])
        layers = [Layer(*each) for each in pairs]
        self._convolutions, self._linear = layers[:2], layers[2:]

    @torch.no_grad()
    def step(self, images: torch.Tensor, labels: torch.Tensor, rate: float) -> float:
        """Take a step of SGD; return the mean cross-entropy before it, in nats.

        Args:
            images: pixels ``[N, C, 28, 28]`` in 0..255, uint8 or float32.
            labels: int64 ``[N]``.
            rate: the learning rate.
        """
        self._gradient.zero_()
        loss = 0.0
        for block, block_labels in zip(images.split(_BLOCK), labels.split(_BLOCK)):
            loss += self._add_gradient(block, block_labels, len(labels))
        self._velocity.mul_(self._momentum).add_(self._gradient)
        self._weights.sub_(self._velocity, alpha=rate)
        return loss

    @torch.no_grad()
    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, classes]`` for pixels ``[N, C, 28, 28]``."""
        return torch.cat([self._forward(block)[1][-1].t() for block in images.split(_BLOCK)])

    def _forward(self, images: torch.Tensor) -> tuple[list[Convolved], list[torch.Tensor]]:
        """Return what each convolution found; the linear layers' input and what each found."""
        maps = padded(self._normalise, images)
        found = []
        for layer in self._convolutions:
            found.append(convolve(maps, layer))
            maps = found[-1].maps
        activations = [maps.transpose(0, 1).reshape(-1, len(images))]
        for layer in self._linear:
            activations.append(torch.addmm(layer.bias[:, None], layer.weight, activations[-1]))
            if layer is not self._linear[-1]:
                activations[-1].relu_()
        return found, activations

    def _add_gradient(self, images: torch.Tensor, labels: torch.Tensor, count: int) -> float:
        """Add the gradient of the loss of these images of ``count``; return that loss."""
        found, (*activations, logits) = self._forward(images)
        log = logits.log_softmax(0)
        loss = -log.gather(0, labels[None]).sum().item() / count
        gradient = log.exp_()
        gradient.scatter_add_(0, labels[None], gradient.new_full((1, len(labels)), -1.0))
        gradient.div_(count)
        for layer, given in zip(self._linear[::-1], activations[::-1]):
            layer.weight_gradient.addmm_(gradient, given.t())
            layer.bias_gradient.add_(gradient.sum(1))
            gradient = where_positive(layer.weight.t() @ gradient, given)
        first, second = found
        rows, channels, columns, _ = second.maps.shape
        maps_gradient = gradient.view(channels, rows, columns, -1).transpose(0, 1)
        values_gradient = add_gradient(second, self._convolutions[1], maps_gradient)
        maps_gradient = gradient_of_maps(values_gradient, self._convolutions[1])
        add_gradient(first, self._convolutions[0], where_positive(maps_gradient, first.maps))
        return loss


def _views(flat: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return views of one tensor in the shapes of others."""
    parts = flat.split([each.numel() for each in like])
    return [part.view_as(each) for part, each in zip(parts, like)]
