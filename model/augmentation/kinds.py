"""Training images as they might also have been: mirrored, moved, turned, covered, in other light.

Each kind has a strength of its own in ``TrainConfig``, which scales its bound below.
"""

from __future__ import annotations

import math
from typing import Callable, Sequence

import torch
from torch.nn import functional

from hyperhive.model.augmentation.camera import CameraAugmentation
from hyperhive.model.augmentation.plane import centres, sources
from hyperhive.model.config import TrainConfig

Augmentation = Callable[[torch.Tensor], torch.Tensor]
"""Takes and returns pixels ``[N, C, H, W]`` in 0..255, uint8 or float32."""

# Each constant is the bound at strength 1: about twice what is usual, so that a search which
# chooses from 0 to 1 finds the best strength between the two.
_SHIFT = 1 / 7
"""Share of a side, in each direction: 4 of 28 pixels. 4 of 32 are usual for CIFAR-10 (He et al.,
arXiv:1512.03385, section 4.2); more moves the edge of a face out of the picture."""
_TURN = math.radians(30)
"""RandAugment's largest rotation (Cubuk et al., arXiv:1909.13719)."""
_GROWTH = math.log(1.3)
"""Logarithm of the factor; an object of 28 pixels has from 22 to 36."""
_CUT = 1 / 2
"""Side of the square as a share of the picture's: 16 of 32 pixels are best for CIFAR-10 (DeVries
and Taylor, arXiv:1708.04552, section 4.1)."""
_LIGHT = math.log(1.5)
"""Logarithm of the factor of all levels, and of the factor of their distance from the mean."""
_TINT = math.log(1.2)
"""Logarithm of the factor of a colour's levels, for red, green and blue each."""

_DRAWS = 12
"""Draws per image: one to mirror, two to shift, one to turn, one to scale, two for the square, one
for brightness, one for contrast, three for the tint."""


def augmentations(
    config: TrainConfig, mean: Sequence[float], random: torch.Generator
) -> list[Augmentation]:
    """Return what a configuration does to each batch, in this order.

    Args:
        config: of the training.
        mean: of each channel over the training images, in 0..1.
        random: draws everything.
    """
    kinds = KindsOfAugmentation(config, mean, random)
    camera = [CameraAugmentation(random)] if config.augment == "camera" else []
    return [*([kinds] if kinds.changes else []), *camera]


class KindsOfAugmentation:
    """Mirrors, shifts, turns, scales, covers and colours batches of images.

    Each image is drawn for anew. Every kind has its draws whether it is on or not: the strength of
    one does not change what is drawn for another. What was outside the picture is filled with the
    pixel at its edge, which continues a plain background; black would add an edge that no picture
    has, and a reflection a second eye.

    Args:
        config: has the strengths.
        mean: of each channel over the training images, in 0..1.
        random: draws everything, on the CPU, so that a seed means the same on every device.
    """

    def __init__(self, config: TrainConfig, mean: Sequence[float], random: torch.Generator) -> None:
        self._config = config
        self._mean = 255 * torch.tensor(mean).reshape(1, -1, 1, 1)
        self._random = random

    @property
    def changes(self) -> bool:
        """Whether any kind is on."""
        given = self._config
        strengths = (given.shift, given.rotate, given.scale, given.cutout, given.colour)
        return given.mirror or any(strengths)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return changed copies of images.

        They are uint8 unless images are turned, scaled or coloured: then they are float32.

        Args:
            images: uint8 ``[N, C, H, W]``, C of 1 or 3.
        """
        given = self._config
        draws = torch.rand((_DRAWS, len(images), 1, 1), generator=self._random)
        signed = (2 * draws - 1).to(images.device)
        is_mirrored = (signed[0] < 0) & given.mirror
        across = 1 - 2 * is_mirrored.float()
        if given.rotate or given.scale:
            images = _placed(images.float(), across, signed[1:5], given)
        elif given.mirror or given.shift:
            images = _moved(images, across, signed[1:3], given.shift)
        if given.colour:
            images = _coloured(images.float(), signed[7:] * given.colour, self._mean)
        if given.cutout:
            images = _cut(images, signed[5:7], given.cutout, self._mean)
        return images


def _moved(
    images: torch.Tensor, across: torch.Tensor, by: torch.Tensor, strength: float
) -> torch.Tensor:
    """Return images mirrored and moved by whole pixels, by looking up each pixel of the result.

    Pixels are not mixed, and it takes less than half of the time of ``_placed``.
    """
    count, channels, height, width = images.shape
    right, down = ((_SHIFT * strength * width * each).round() for each in by)
    columns = torch.arange(width, device=images.device) - (width - 1) / 2
    columns = (across * columns + (width - 1) / 2 + right).to(torch.int64).clamp_(0, width - 1)
    rows = torch.arange(height, device=images.device).reshape(-1, 1) + down
    places = rows.to(torch.int64).clamp_(0, height - 1) * width + columns
    chosen = places.view(count, 1, -1).expand(-1, channels, -1)
    return images.flatten(2).gather(2, chosen).view(images.shape)


def _placed(
    pixels: torch.Tensor, across: torch.Tensor, by: torch.Tensor, given: TrainConfig
) -> torch.Tensor:
    """Return images mirrored, moved, turned and scaled, with pixels interpolated."""
    right, down, turn, growth = by
    factor = torch.exp(_GROWTH * given.scale * growth)
    shift = 2 * _SHIFT * given.shift
    angle = _TURN * given.rotate * turn
    grid = sources(pixels, angle, factor, shift * right, shift * down, across)
    # The same as padding with the border, which MPS does not have in every version of torch.
    last = 1 - 1 / pixels.shape[-1]
    grid.clamp_(-last, last)
    return functional.grid_sample(pixels, grid, "bilinear", "zeros", align_corners=False)


def _coloured(pixels: torch.Tensor, by: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Return images in another light, within 0..255; overwrites its argument.

    Contrast is the distance from the mean of all training images; grey images have no tint.
    """
    brightness, contrast, *tint = by.unsqueeze(2).unbind()
    gain = torch.exp(_LIGHT * brightness)
    if pixels.shape[1] == 3:
        gain = gain * torch.exp(_TINT * torch.cat(tint, dim=1))
    factor = torch.exp(_LIGHT * contrast)
    mean = mean.to(pixels.device)
    return pixels.mul_(gain * factor).add_(gain * mean * (1 - factor)).clamp_(0, 255)


def _cut(
    images: torch.Tensor, at: torch.Tensor, strength: float, mean: torch.Tensor
) -> torch.Tensor:
    """Return images with a square of the mean colour, whose centre is anywhere in the picture."""
    height, width = images.shape[2:]
    right, down = at
    columns = (centres(width, images.device) - right).abs() < _CUT * strength
    rows = (centres(height, images.device).reshape(-1, 1) - down).abs() < _CUT * strength
    is_cut = (rows & columns).unsqueeze(1)
    return torch.where(is_cut, mean.round().to(images.device, images.dtype), images)
