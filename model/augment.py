"""Training images as a camera might have seen them: each batch anew, on the device it is on.

What a person holds into a camera's guide is turned, tilted, off the centre and before some
background; the light is brighter, darker, warmer or from one side; the focus is off. Noise and JPEG
are no part of it: little is left of them once 480x480 pixels have become 28x28.
"""

import math
from typing import List

import torch
from torch.nn import functional

# Each is the bound at strength 1: about twice what benchmarks/_scene.py calls an ordinary room.
_TURN = math.radians(16)
_GROWTH = math.log(1.25)
_SHIFT = 0.2
"""Of half a side, in each direction."""
_KEYSTONE = 0.15
"""How much nearer one edge is than the centre, as a share of the distance."""
_STOPS = 0.5
_WARMTH = 0.2
"""The logarithm of red over green; that of blue over green is its negative."""
_TINT = 0.05
_FALL = 0.25
_CURVE = 0.5

_SIGNED, _PLAIN = 13, 6


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
        """Return float32 ``[N, C, H, W]`` within 0..255 for uint8 ``[N, C, H, W]``."""
        shape = (_SIGNED + _PLAIN, len(images), 1, 1, 1)
        draws = torch.rand(shape, generator=self._random).to(images.device)
        signed = ((2 * draws[:_SIGNED] - 1) * self._strength).unbind()
        pixels = _placed(images.float(), list(signed[:6]), draws[_SIGNED:-1])
        pixels = _blurred(pixels, draws[-1] * self._strength)
        return _lit(pixels, list(signed[6:]))


def _placed(pixels: torch.Tensor, by: List[torch.Tensor], backdrop: torch.Tensor) -> torch.Tensor:
    """Return images turned, scaled, moved and tilted, before a colour or another image."""
    height, width = pixels.shape[2:]
    turn, growth, right, down, tilt_x, tilt_y = (each[:, 0] for each in by)
    cos = torch.cos(turn * _TURN) * torch.exp(growth * _GROWTH)
    sin = torch.sin(turn * _TURN) * torch.exp(growth * _GROWTH)
    x = _centres(width, pixels.device)
    y = _centres(height, pixels.device).reshape(-1, 1)
    depth = 1 + _KEYSTONE * (tilt_x * x + tilt_y * y)
    across = (cos * x - sin * y + _SHIFT * right) / depth
    along = (sin * x + cos * y + _SHIFT * down) / depth
    # "zeros" is the one padding that MPS has in every torch; so how far a pixel is covered is
    # sampled with it, as one more channel.
    covered = torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1)
    grid = torch.stack([across, along], dim=3)
    seen = functional.grid_sample(covered, grid, "bilinear", "zeros", align_corners=False)
    colour = 255 * backdrop[:3].reshape(3, -1, 1, 1).transpose(0, 1)[:, : pixels.shape[1]]
    behind = torch.where(backdrop[3] < 0.5, colour, pixels.flip(0))
    return seen[:, :-1] + (1 - seen[:, -1:]) * behind


def _blurred(pixels: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Return images of which a share is averaged over 3x3 pixels, rows and columns in turn."""
    for axis in (2, 3):
        inner = pixels.shape[axis] - 2
        before, centre, after = (pixels.narrow(axis, start, inner) for start in range(3))
        soft = pixels.clone()
        soft.narrow(axis, 1, inner).add_((before + after - 2 * centre) * (share / 3))
        pixels = soft
    return pixels


def _lit(pixels: torch.Tensor, by: List[torch.Tensor]) -> torch.Tensor:
    """Return images in another light, clipped to what a sensor gives."""
    height, width = pixels.shape[2:]
    stops, warmth, tint, across, along, curve = by[:6]
    colours = [_WARMTH * warmth, _TINT * tint, -_WARMTH * warmth]
    gains = [torch.exp(_STOPS * stops + colour) for colour in colours]
    gain = torch.cat(gains if pixels.shape[1] == 3 else gains[1:2], dim=1)
    x = _centres(width, pixels.device)
    y = _centres(height, pixels.device).reshape(-1, 1)
    light = 1 + _FALL * (across * x + along * y)
    value = (pixels * (gain * light)).clamp(0, 255)
    return value + (_CURVE / 255) * curve * value * (255 - value)


def _centres(count: int, device: torch.device) -> torch.Tensor:
    """Return where a row's pixels have their centres, from -1 to 1."""
    return (2 * torch.arange(count, device=device) + 1) / count - 1
