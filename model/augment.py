"""Training images as a camera might have seen them: each batch anew, on the device it is on.

What a person holds into a camera's guide is turned, tilted, off the centre and before some
background; the light is brighter, darker, warmer or from one side; the focus is off. Noise and JPEG
are no part of it: little is left of them once 480x480 pixels have become 28x28.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

# Each is the bound at strength 1: half as much again as what benchmarks/_scene.py calls an ordinary
# room, or twice. Light that is brighter by a stop makes a pixel's level higher by about a third.
_TURN = math.radians(12)
_GROWTH = math.log(1.2)
_SHIFT = 0.16
"""Of half a side, in each direction."""
_KEYSTONE = 0.12
"""How much nearer one edge is than the centre, as a share of the distance."""
_STOPS = 0.3
"""The logarithm of what levels are multiplied with."""
_WARMTH = 0.1
"""The same for red alone; for blue it is the negative."""
_TINT = 0.03
_FALL = 0.15
_CURVE = 0.35

_SIGNED = 12
_DRAWS = 16


class Camera:
    """Distorts batches of images as a camera does.

    Args:
        random: draws everything, on the CPU: a seed means the same on every device.
        strength: 0 leaves images as they are, 1 is some more than an ordinary room does to them.
    """

    def __init__(self, random: torch.Generator, strength: float = 1.0) -> None:
        self._random = random
        self._strength = strength

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 ``[N, C, H, W]`` within 0..255 (give or take a rounding) for uint8."""
        draws = torch.rand((_DRAWS, len(images), 1, 1, 1), generator=self._random)
        draws = draws.to(images.device)
        signed = ((2 * draws[:_SIGNED] - 1) * self._strength).unbind()
        colour = 255 * draws[_SIGNED : _SIGNED + images.shape[1], :, 0].transpose(0, 1)
        pixels = _placed(images.float(), list(signed[:6]), colour)
        _blur(pixels, draws[-1] * self._strength)
        return _lit(pixels, list(signed[6:]))


def _placed(pixels: torch.Tensor, by: list[torch.Tensor], colour: torch.Tensor) -> torch.Tensor:
    """Return images turned, scaled, moved and tilted, before a wall ``[N, C, 1, 1]``."""
    height, width = pixels.shape[2:]
    turn, growth, right, down, tilt_x, tilt_y = (each[:, 0] for each in by)
    cos = torch.cos(turn * _TURN) * torch.exp(growth * _GROWTH)
    sin = torch.sin(turn * _TURN) * torch.exp(growth * _GROWTH)
    x = _centres(width, pixels.device)
    y = _centres(height, pixels.device).reshape(-1, 1)
    depth = 1 + _KEYSTONE * (tilt_x * x + tilt_y * y)
    across = (cos * x - sin * y + _SHIFT * right) / depth
    along = (sin * x + cos * y + _SHIFT * down) / depth
    grid = torch.stack([across, along], dim=3)
    # What is outside is zero, the one padding that MPS has in every torch: so zero is the wall.
    before = pixels - colour
    seen = functional.grid_sample(before, grid, "bilinear", "zeros", align_corners=False)
    return seen.add_(colour)


def _blur(pixels: torch.Tensor, share: torch.Tensor) -> None:
    """Average a share of each pixel over 3x3, in place; at the border only along it."""
    for axis in (2, 3):
        inner = pixels.shape[axis] - 2
        before, centre, after = (pixels.narrow(axis, start, inner) for start in range(3))
        difference = (before + after).sub_(centre, alpha=2)
        centre.addcmul_(difference, share / 3)


def _lit(pixels: torch.Tensor, by: list[torch.Tensor]) -> torch.Tensor:
    """Return images in another light, clipped to what a sensor gives; works in place."""
    height, width = pixels.shape[2:]
    stops, warmth, tint, across, along, curve = by
    colours = [_WARMTH * warmth, _TINT * tint, -_WARMTH * warmth]
    gains = [torch.exp(_STOPS * stops + colour) for colour in colours]
    gain = torch.cat(gains if pixels.shape[1] == 3 else gains[1:2], dim=1)
    x = _centres(width, pixels.device)
    y = _centres(height, pixels.device).reshape(-1, 1)
    light = 1 + _FALL * (across * x + along * y)
    value = pixels.mul_(gain).mul_(light).clamp_(0, 255)
    # v + c v (255 - v) / 255: black and white stay where they are.
    return (value * (-_CURVE / 255 * curve)).add_(1 + _CURVE * curve).mul_(value)


def _centres(count: int, device: torch.device) -> torch.Tensor:
    """Return where a row's pixels have their centres, from -1 to 1."""
    return (2 * torch.arange(count, device=device) + 1) / count - 1
