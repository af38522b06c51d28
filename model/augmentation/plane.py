"""Where the pixels of a moved picture come from."""

from __future__ import annotations

import torch


def centres(count: int, device: torch.device) -> torch.Tensor:
    """Return the centres of a row's pixels, from -1 to 1."""
    return (2 * torch.arange(count, device=device) + 1) / count - 1


def sources(
    pixels: torch.Tensor,
    angle: torch.Tensor,
    factor: torch.Tensor,
    right: torch.Tensor,
    down: torch.Tensor,
    across: torch.Tensor | float = 1.0,
) -> torch.Tensor:
    """Return the place in its image that each pixel comes from, for ``functional.grid_sample``.

    It is float32 ``[N, H, W, 2]``, x before y, in units of half a side from the centre. The other
    arguments are float32 ``[N, 1, 1]``.

    Args:
        pixels: float32 ``[N, C, H, W]``.
        angle: in radians.
        factor: how many times as far from the centre the place is; a picture shrinks above 1.
        right: in units of half a side.
        down: in the same units.
        across: -1 mirrors left and right, 1 does not.
    """
    height, width = pixels.shape[2:]
    cos, sin = torch.cos(angle) * factor, torch.sin(angle) * factor
    x = centres(width, pixels.device) * across
    y = centres(height, pixels.device).reshape(-1, 1)
    grid = pixels.new_empty(len(pixels), height, width, 2)  # torch.stack takes twice as long
    # Each sum adds a row to a column: only that sum is as large as the images.
    torch.sub(cos * x + right, sin * y, out=grid[..., 0])
    torch.add(sin * x + down, cos * y, out=grid[..., 1])
    return grid
