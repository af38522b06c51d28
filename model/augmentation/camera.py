"""Training images as a camera might see them: distorted anew for each batch, on its own device.

What a person holds into a camera's guide is turned, tilted, off the centre and before some
background; the light is brighter, darker, warmer or from one side; the focus is off. Noise and JPEG
artefacts are left out: little of them remains once 480x480 pixels have become 28x28.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from hyperhive.model.augmentation.plane import centres, sources

# Each constant is the bound at strength 1. It is 1.5 to 2 times the strength that
# benchmarks/_scene.py calls an ordinary room. One stop of light, encoded, raises a pixel's level by
# about a third.
_TURN = math.radians(12)
_GROWTH = math.log(1.2)
_SHIFT = 0.16
"""In units of half a side, in each direction."""
_KEYSTONE = 0.12
"""How much nearer one edge is than the centre, as a share of the distance."""
_STOPS = 0.3
"""Logarithm of the factor that levels are multiplied by."""
_WARMTH = 0.1
"""The same logarithm for red alone; blue gets its negative."""
_TINT = 0.03
"""The same logarithm for green alone."""
_FALL = 0.15
"""How much brighter the light is at one edge than at the centre, as a share."""
_CURVE = 0.35
"""Strength of the tone curve, see ``_lit``."""

_SIGNED = 12
"""How many draws are scaled to -1..1: six for ``_placed``, then six for ``_lit``."""
_DRAWS = 16
"""Draws per image: the signed ones, three for the colour of the wall, one for the blur."""


class CameraAugmentation:
    """Distorts batches of images as a camera does.

    Args:
        random: draws everything, on the CPU, so that a seed means the same on every device.
        strength: 0 leaves images unchanged; 1 is somewhat more than an ordinary room does to them.
    """

    def __init__(self, random: torch.Generator, strength: float = 1.0) -> None:
        self._random = random
        self._strength = strength

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return distorted copies of images: float32 ``[N, C, H, W]`` in 0..255, up to rounding.

        Args:
            images: ``[N, C, H, W]`` in 0..255, uint8 or float32, C of 1 or 3.
        """
        draws = torch.rand((_DRAWS, len(images), 1, 1, 1), generator=self._random)
        draws = draws.to(images.device)
        signed = ((2 * draws[:_SIGNED] - 1) * self._strength).unbind()
        colour = 255 * draws[_SIGNED : _SIGNED + images.shape[1], :, 0].transpose(0, 1)
        pixels = _placed(images.to(torch.float32, copy=True), list(signed[:6]), colour)
        _blur(pixels, draws[-1] * self._strength)
        return _lit(pixels, list(signed[6:]))


def _placed(pixels: torch.Tensor, by: list[torch.Tensor], colour: torch.Tensor) -> torch.Tensor:
    """Return images turned, scaled, moved and tilted, before walls of colours ``[N, C, 1, 1]``.

    It overwrites its argument.
    """
    height, width = pixels.shape[2:]
    turn, growth, right, down, tilt_x, tilt_y = (each[:, 0] for each in by)
    scale = torch.exp(growth * _GROWTH)
    grid = sources(pixels, turn * _TURN, scale, _SHIFT * right, _SHIFT * down)
    x = centres(width, pixels.device)
    y = centres(height, pixels.device).reshape(-1, 1)
    depth = (1 + _KEYSTONE * tilt_x * x) + _KEYSTONE * tilt_y * y
    grid.div_(depth.unsqueeze(3))
    # Zeros are the only padding that MPS has in every version of torch. So the wall's colour is
    # subtracted, zero stands for the wall, and the colour is added back.
    pixels.sub_(colour)
    sampled = functional.grid_sample(pixels, grid, "bilinear", "zeros", align_corners=False)
    return sampled.add_(colour)


def _blur(pixels: torch.Tensor, share: torch.Tensor) -> None:
    """Average a share of each pixel over 3x3, in place; border pixels only along the border."""
    for axis in (2, 3):
        inner = pixels.shape[axis] - 2
        before, centre, after = (pixels.narrow(axis, start, inner) for start in range(3))
        difference = (before + after).sub_(centre, alpha=2)
        centre.addcmul_(difference, share / 3)


def _lit(pixels: torch.Tensor, by: list[torch.Tensor]) -> torch.Tensor:
    """Return images in another light, clipped as by a sensor; overwrites its argument."""
    height, width = pixels.shape[2:]
    stops, warmth, tint, across, along, curve = by
    colours = [_WARMTH * warmth, _TINT * tint, -_WARMTH * warmth]
    gains = [torch.exp(_STOPS * stops + colour) for colour in colours]
    gain = torch.cat(gains if pixels.shape[1] == 3 else gains[1:2], dim=1)
    x = centres(width, pixels.device)
    y = centres(height, pixels.device).reshape(-1, 1)
    light = (1 + _FALL * across * x) + _FALL * along * y
    value = pixels.mul_(gain).mul_(light).clamp_(0, 255)
    # The tone curve v + c v (255 - v) / 255 leaves black and white unchanged.
    return (value * (-_CURVE / 255 * curve)).add_(1 + _CURVE * curve).mul_(value)
