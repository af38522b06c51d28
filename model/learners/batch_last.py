"""Convolution with pooling, and its gradient, for maps of few channels on a CPU.

Maps are float32 ``[rows, channels, columns, N]``: the images of a batch are the last dimension, so
every operation runs along rows of many independent numbers, whatever the number of channels.
PyTorch's own kernels are made for more channels than LeNet-5's 3, 6 and 16.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from hyperhive.model.normalise import Normaliser

_PADDING = 2
"""Of C1, see ``LeNet5``."""


class Layer(NamedTuple):
    """A layer's parameters, and the tensors that their gradients are added to."""

    weight: torch.Tensor
    bias: torch.Tensor
    weight_gradient: torch.Tensor
    bias_gradient: torch.Tensor


class Convolved(NamedTuple):
    """What a layer found in maps, and what its gradient needs."""

    maps: torch.Tensor
    """After pooling, bias and ReLU."""
    windows: torch.Tensor
    """What is under the kernels, ``[rows, size * size * channels, columns * N]``, a view."""
    values: torch.Tensor
    """The convolution itself, ``[rows, channels, columns, N]``."""


def padded(normalise: Normaliser, images: torch.Tensor) -> torch.Tensor:
    """Return pixels ``[N, C, H, W]`` as normalised maps, with zeros around them."""
    count, channels, height, width = images.shape
    maps = torch.zeros(height + 2 * _PADDING, channels, width + 2 * _PADDING, count)
    pixels = images.flatten(1).t().contiguous().view(channels, height, width, count)
    inner = maps[_PADDING:-_PADDING, :, _PADDING:-_PADDING]
    torch.sub(pixels.transpose(0, 1) * normalise.scale, normalise.shift, out=inner)
    return maps


def convolve(maps: torch.Tensor, layer: Layer) -> Convolved:
    """Convolve, keep the largest of each 2x2, add the bias, apply ReLU.

    Each row of the result is one matrix product: the kernels, with all that is under them.
    """
    size, count = layer.weight.shape[2], maps.shape[3]
    windows = _windows(_shifted(maps, size), size)
    kernels = _kernels(layer.weight)
    values = torch.bmm(kernels.expand(len(windows), -1, -1), windows)
    values = values.view(len(windows), len(kernels), -1, count)
    a, b, c, d = _quarters(values)
    largest = torch.maximum(torch.maximum(a, b), torch.maximum(c, d))
    return Convolved(largest.add_(layer.bias[:, None, None]).relu_(), windows, values)


def add_gradient(convolved: Convolved, layer: Layer, gradient: torch.Tensor) -> torch.Tensor:
    """Add a layer's gradient to it; return the gradient of the convolution's values.

    It overwrites these values.

    Args:
        convolved: what ``convolve`` returned.
        layer: the layer.
        gradient: of its maps, 0 where ReLU is 0.
    """
    channels, _, size, _ = layer.weight.shape
    layer.bias_gradient.add_(gradient.sum((0, 2, 3)))
    values_gradient = _to_largest(gradient, convolved.values)
    rows = values_gradient.flatten(2)
    products = torch.bmm(rows, convolved.windows.transpose(1, 2)).sum(0)
    layer.weight_gradient.add_(products.view(channels, size, size, -1).permute(0, 3, 1, 2))
    return values_gradient


def gradient_of_maps(values_gradient: torch.Tensor, layer: Layer) -> torch.Tensor:
    """Return the gradient of the maps that were convolved, from that of the values."""
    rows, _, columns, count = values_gradient.shape
    _, channels, size, _ = layer.weight.shape
    shifted_gradient = torch.zeros(rows + size - 1, size, channels, columns, count)
    kernels = _kernels(layer.weight).t()
    for window, values in zip(_windows(shifted_gradient, size), values_gradient.flatten(2)):
        window.addmm_(kernels, values)
    maps_gradient = torch.zeros(rows + size - 1, channels, columns + size - 1, count)
    for column in range(size):
        maps_gradient[:, :, column : column + columns] += shifted_gradient[:, column]
    return maps_gradient


def where_positive(
    gradient: torch.Tensor, values: torch.Tensor, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the gradient where values are above 0, and 0 elsewhere."""
    # torch.where, and a product with a mask, take several times as long.
    to = {} if out is None else {"grad_input": out}
    result: torch.Tensor = torch.ops.aten.threshold_backward(gradient, values, 0, **to)
    return result


def _kernels(weight: torch.Tensor) -> torch.Tensor:
    """Return weights ``[out, in, size, size]`` in the order of windows, a kernel per row."""
    return weight.permute(0, 2, 3, 1).flatten(1)


def _shifted(maps: torch.Tensor, size: int) -> torch.Tensor:
    """Return ``[rows, size, C, columns, N]``: maps, moved left by 0, 1, ... columns."""
    rows, channels, columns, count = maps.shape
    row, channel, column, image = maps.stride()
    shape = (rows, size, channels, columns - size + 1, count)
    return maps.as_strided(shape, (row, column, channel, column, image)).contiguous()


def _windows(shifted: torch.Tensor, size: int) -> torch.Tensor:
    """Return what is under kernels, by row: a view in which each is ``size`` rows of pixels."""
    rows, _, channels, columns, count = shifted.shape
    height, length = size * channels, columns * count
    shape = (rows - size + 1, size * height, length)
    return shifted.as_strided(shape, (height * length, length, 1))


def _quarters(maps: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return of each 2x2 the values at its top left, top right, bottom left, bottom right."""
    rows, channels, columns, count = maps.shape
    upper, lower = maps.view(rows // 2, 2, channels, columns // 2, 2, count).unbind(1)
    return (*upper.unbind(3), *lower.unbind(3))


def _to_largest(gradient: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Give each gradient to the largest of its four values; to the first, if several are.

    It overwrites the values, which are in the cache.
    """
    a, b, c, d = _quarters(values)
    right, lower_right = b - a, d - c
    lower = where_positive(gradient, torch.maximum(c, d) - torch.maximum(a, b))
    upper = gradient - lower
    where_positive(upper, right, out=b)
    torch.sub(upper, b, out=a)
    where_positive(lower, lower_right, out=d)
    torch.sub(lower, d, out=c)
    return values
