"""A model as it runs outside training: its normalisation inside, pixels in, numbers out."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import nn

from hyperhive.model.card import Card
from hyperhive.model.lenet import LeNet5


class Deployed(nn.Module):
    """LeNet-5 with the normalisation of its card inside, so that nobody can forget it.

    Args:
        model: on a CPU.
        card: of that model.
    """

    def __init__(self, model: LeNet5, card: Card) -> None:
        super().__init__()
        self.normalise = _normalisation(card.mean, card.std)
        self.model = model
        self.eval()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, classes]``.

        Args:
            pixels: float32 ``[N, C, 28, 28]``, RGB or grey, from 0 to 255.
        """
        logits: torch.Tensor = self.model(self.normalise(pixels))
        return logits


def _normalisation(mean: Sequence[float], std: Sequence[float]) -> nn.Conv2d:
    """Return ``(pixel / 255 - mean) / std`` as a convolution of 1x1.

    As the multiplication and the subtraction that it is, old OpenCVs read it from an ONNX file
    without a complaint, and then compute something else.
    """
    channels = len(mean)
    convolution = nn.Conv2d(channels, channels, kernel_size=1)
    scale = 1.0 / (255.0 * torch.tensor(std, dtype=torch.float64))
    shift = torch.tensor(mean, dtype=torch.float64) / torch.tensor(std, dtype=torch.float64)
    with torch.no_grad():
        convolution.weight.copy_(torch.diag(scale)[:, :, None, None])
        convolution.bias.copy_(-shift)  # type: ignore[union-attr]  # it has one
    return convolution
