"""LeNet-5, in the variant that trains best on Simpsons-MNIST, and with the parts of 1998.

LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, Proceedings
of the IEEE 86(11), 1998, section II.B.
"""

from __future__ import annotations

from typing import Callable

import torch
from torch import nn

from hyperhive.model.data.images import SIZE


class ScaledTanh(nn.Module):
    """The paper's squashing function, 1.7159 tanh(2/3 x): appendix A, equation 21."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return values between -1.7159 and 1.7159; 1 stays 1, and -1 stays -1."""
        return 1.7159 * torch.tanh(values * (2 / 3))


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "tanh": ScaledTanh}


class LeNet5(nn.Module):
    """LeNet-5 for 28x28 images, or larger ones.

    The layers are those of the paper: C1 (6 maps, 5x5), S2, C3 (16 maps, 5x5), S4, C5 (120), F6
    (84), output. C1 pads its 28x28 input to the paper's 32x32, so that strokes at the border are
    seen whole. Two parts are always modern: C3 is connected to all maps of S2, without the sparse
    table that saved arithmetic in 1998; and the output is logits, not radial basis units. Two are
    modern unless the paper's are asked for, because they are more accurate on Simpsons-MNIST
    (``benchmarks/variants.py``): ReLU for the scaled tanh, and max-pooling for the average.

    With 10 classes it has 62,006 parameters for 3 channels and the well-known 61,706 for 1 channel.
    The paper's pooling has 44 more: 12 in S2 and 32 in S4.

    C5 sees all that S4 has, so it grows with the image: 16 maps of 5x5 at 28x28, 14x14 at 64x64.

    Args:
        channels: 1 for grey images, 3 for colour.
        classes: number of classes, at least 2.
        image_size: side of the images in pixels, at least 28.
        activation: ``relu``, or ``tanh``, the paper's.
        pooling: ``max``, or ``average``, the paper's: the mean of each 2x2, times a coefficient,
            plus a bias, both trained for each map. There activations come before pooling too.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        image_size: int = SIZE,
        activation: str = "relu",
        pooling: str = "max",
    ) -> None:
        super().__init__()
        self.channels = channels
        self.classes = classes
        self.image_size = image_size
        self.is_modern = (activation, pooling) == ("relu", "max")
        active = _ACTIVATIONS[activation]
        side = (image_size // 2 - 4) // 2  # of S4's maps
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, kernel_size=5, padding=2),
            nn.MaxPool2d(2) if pooling == "max" else _average(6, active),
            active(),  # after the largest, not before: the same result, faster
            nn.Conv2d(6, 16, kernel_size=5),
            nn.MaxPool2d(2) if pooling == "max" else _average(16, active),
            active(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * side * side, 120),
            active(),
            nn.Linear(120, 84),
            active(),
            nn.Linear(84, classes),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, classes]`` for normalised float32 images ``[N, C, S, S]``."""
        return self.answer(images)[0]

    def answer(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits ``[N, classes]`` and the activations of F6, ``[N, 84]``, behind them."""
        hidden: torch.Tensor = self.classifier[:-1](self.features(images))
        logits: torch.Tensor = self.classifier[-1](hidden)
        return logits, hidden


def _average(maps: int, active: Callable[[], nn.Module]) -> nn.Module:
    """Return the paper's pooling (section II.B, S2), which at first is the plain average."""
    coefficients = nn.Conv2d(maps, maps, kernel_size=1, groups=maps)
    nn.init.ones_(coefficients.weight)
    nn.init.zeros_(coefficients.bias)  # type: ignore[arg-type]  # this one has a bias
    # There is no padding to count. torch 1.11 would export one, which OpenCV 4.1 cannot read.
    return nn.Sequential(active(), nn.AvgPool2d(2, count_include_pad=False), coefficients)
