"""LeNet-5's steps on a CPU, without autograd.

Weights are those of autograd and ``torch.optim.SGD`` but for the order in which numbers are added.
Those take 1.5 times as long (``benchmarks/training.py``): with maps as small as LeNet-5's,
what is done around the kernels counts.
"""

from __future__ import annotations

import copy
from typing import NamedTuple, Sequence

import torch

from hyperhive.model.learners.average import Average
from hyperhive.model.learners.batch_last import (
    Convolved,
    Layer,
    add_gradient,
    convolve,
    gradient_of_maps,
    padded,
    where_positive,
)
from hyperhive.model.learners.steps import Sgd
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.model.normalise import Normaliser

_BLOCK = 64
"""Images that are computed at once, so that their maps stay in a core's cache."""


class _Layers(NamedTuple):
    convolutions: list[Layer]
    linear: list[Layer]


class CpuLearner:
    """Trains a LeNet-5, whose parameters become views of one tensor.

    Args:
        model: is trained in place, on the CPU; with ReLU and max-pooling.
        normalise: maps pixels to what the model takes.
        sgd: what is the same in all steps.
    """

    def __init__(self, model: LeNet5, normalise: Normaliser, sgd: Sgd) -> None:
        self._model = model
        self._normalise = normalise
        self._sgd = sgd
        own = list(model.parameters())
        self._weights = torch.cat([each.detach().flatten() for each in own])
        self._gradient = torch.zeros_like(self._weights)
        self._velocity = torch.zeros_like(self._weights)
        for parameter, view in zip(own, _views(self._weights, own)):
            parameter.data = view
        self._layers = _layers(self._weights, self._gradient, own)
        self._averaged = self._weights
        self._average: Average | None = None
        if sgd.horizon:
            self._averaged = self._weights.clone()
            self._average = Average([self._weights], [self._averaged], sgd.horizon)
        self._averaged_layers = _layers(self._averaged, self._gradient, own)

    @torch.no_grad()
    def step(
        self, images: torch.Tensor, targets: torch.Tensor, rate: float, shrink: float = 0.0
    ) -> float:
        """Take a step of SGD, see ``learners.steps``; return the loss before it, in nats.

        It is the mean cross-entropy with the targets. With distributions it does not fall to 0: the
        least is their mean entropy.

        Args:
            images: pixels ``[N, C, 28, 28]`` in 0..255, uint8 or float32.
            targets: labels, int64 ``[N]``, or distributions, float32 ``[N, classes]``.
            rate: of the step.
            shrink: of the step.
        """
        self._gradient.zero_()
        loss = 0.0
        for block, block_targets in zip(images.split(_BLOCK), targets.split(_BLOCK)):
            loss += self._add_gradient(block, block_targets, len(targets))
        momentum = self._sgd.momentum
        if self._sgd.weight_decay:
            self._gradient.add_(self._weights, alpha=self._sgd.weight_decay)
        self._velocity.mul_(momentum).add_(self._gradient)
        if shrink:
            self._weights.mul_(1 - shrink)
        if self._sgd.nesterov:
            self._weights.sub_(self._gradient, alpha=rate)
            self._weights.sub_(self._velocity, alpha=rate * momentum)
        else:
            self._weights.sub_(self._velocity, alpha=rate)
        if self._average:
            self._average.update()
        return loss

    @torch.no_grad()
    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, classes]`` of ``trained`` for pixels ``[N, C, 28, 28]``."""
        layers = self._averaged_layers
        blocks = images.split(_BLOCK)
        return torch.cat([self._forward(block, layers)[1][-1].t() for block in blocks])

    def trained(self) -> LeNet5:
        """Return a copy of the model; its weights are averages if weights are averaged."""
        model = copy.deepcopy(self._model)
        own = list(model.parameters())
        for parameter, view in zip(own, _views(self._averaged, own)):
            parameter.data = view.clone()
        return model

    def _forward(
        self, images: torch.Tensor, layers: _Layers
    ) -> tuple[list[Convolved], list[torch.Tensor]]:
        """Return what each convolution found; the linear layers' input and what each found."""
        maps = padded(self._normalise, images)
        found = []
        for layer in layers.convolutions:
            found.append(convolve(maps, layer))
            maps = found[-1].maps
        activations = [maps.transpose(0, 1).reshape(-1, len(images))]
        for layer in layers.linear:
            activations.append(torch.addmm(layer.bias[:, None], layer.weight, activations[-1]))
            if layer is not layers.linear[-1]:
                activations[-1].relu_()
        return found, activations

    def _add_gradient(self, images: torch.Tensor, targets: torch.Tensor, count: int) -> float:
        """Add the gradient of the loss of these images of ``count``; return that loss."""
        convolutions, linear = self._layers
        found, (*activations, logits) = self._forward(images, self._layers)
        loss, gradient = _loss(logits, targets, count)
        for layer, given in zip(linear[::-1], activations[::-1]):
            layer.weight_gradient.addmm_(gradient, given.t())
            layer.bias_gradient.add_(gradient.sum(1))
            gradient = where_positive(layer.weight.t() @ gradient, given)
        first, second = found
        rows, channels, columns, _ = second.maps.shape
        maps_gradient = gradient.view(channels, rows, columns, -1).transpose(0, 1)
        values_gradient = add_gradient(second, convolutions[1], maps_gradient)
        maps_gradient = gradient_of_maps(values_gradient, convolutions[1])
        add_gradient(first, convolutions[0], where_positive(maps_gradient, first.maps))
        return loss


def _loss(logits: torch.Tensor, targets: torch.Tensor, count: int) -> tuple[float, torch.Tensor]:
    """Return the cross-entropy, divided by ``count``, and its gradient by logits [classes, N]."""
    log = logits.log_softmax(0)
    if targets.dim() == 2:
        loss = -(log.t() * targets).sum().item() / count
        return loss, log.exp_().sub_(targets.t()).div_(count)
    loss = -log.gather(0, targets[None]).sum().item() / count
    gradient = log.exp_()
    gradient.scatter_add_(0, targets[None], gradient.new_full((1, len(targets)), -1.0))
    return loss, gradient.div_(count)


def _layers(weights: torch.Tensor, gradient: torch.Tensor, like: Sequence[torch.Tensor]) -> _Layers:
    """Return layers whose parameters and gradients are views of two tensors."""
    weights_of, gradients = _views(weights, like), _views(gradient, like)
    pairs = zip(weights_of[::2], weights_of[1::2], gradients[::2], gradients[1::2])
    layers = [Layer(*each) for each in pairs]
    return _Layers(layers[:2], layers[2:])


def _views(flat: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return views of one tensor in the shapes of others."""
    parts = flat.split([each.numel() for each in like])
    return [part.view_as(each) for part, each in zip(parts, like)]
