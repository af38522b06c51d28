"""A model as it runs outside training: pixels in, logits out."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import nn

from hyperhive.model.card import Card
from hyperhive.model.normalise import scale_and_shift


class DeployedModel(nn.Module):
    """A network with its normalisation inside, so that no caller can forget it.

    Args:
        model: on a CPU.
        card: the card of that model, with its normalisation.
    """

    def __init__(self, model: nn.Module, card: Card) -> None:
        super().__init__()
        self.normalise = _normalisation(card.mean, card.std)
        self.model = model
        self.eval()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, classes]``.

        Args:
            pixels: float32 ``[N, C, S, S]``, RGB or grey, from 0 to 255.
        """
        logits: torch.Tensor = self.model(self.normalise(pixels))
        return logits


def _normalisation(mean: Sequence[float], std: Sequence[float]) -> nn.Conv2d:
    """Return ``model.normalise.Normaliser`` as a 1x1 convolution.

    An exported model needs a form of its own: OpenCV 4.1 and 4.5 read a plain multiplication and
    subtraction from an ONNX file without an error, and then compute something else.
    """
    channels = len(mean)
    convolution = nn.Conv2d(channels, channels, kernel_size=1)
    scale, shift = scale_and_shift(mean, std)
    with torch.no_grad():
        convolution.weight.copy_(torch.diag(scale)[:, :, None, None])
        convolution.bias.copy_(-shift)  # type: ignore[union-attr]  # this one has a bias
    return convolution
