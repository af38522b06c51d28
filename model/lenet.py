"""LeNet-5, in the variant that trains best here.

LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, Proceedings
of the IEEE 86(11), 1998, section II.B.
"""

from __future__ import annotations

import torch
from torch import nn

IMAGE_SIZE = 28


class LeNet5(nn.Module):
    """LeNet-5 for 28x28 images.

    As LeCun drew it: C1 (6 maps, 5x5), S2, C3 (16 maps, 5x5), S4, C5 (120), F6 (84), output. C1
    pads its 28x28 input to the 32x32 of the paper, so that strokes at the border are seen whole.
    Three parts are today's: ReLU for the scaled tanh and max-pooling for the trainable average
    (better on Simpsons-MNIST: ``benchmarks/variants.py``), a fully connected C3 for the sparse
    table that saved arithmetic in 1998, and logits for the radial basis units. With 3 channels and
    10 classes that is 62,006 parameters, with 1 channel the 61,706 one knows.

    Args:
        channels: 1 for grey images, 3 for colour.
        classes: number of classes, at least 2.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.channels = channels
        self.classes = classes
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, kernel_size=5, padding=2),
            nn.MaxPool2d(2),  # before the activation, as in 1998; with ReLU the order is only speed
            nn.ReLU(),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, classes),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, classes]`` for normalised float32 images ``[N, C, 28, 28]``."""
        return self.answer(images)[0]

    def answer(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits ``[N, classes]`` and what they are computed from: F6, ``[N, 84]``."""
        hidden: torch.Tensor = self.classifier[:-1](self.features(images))
        logits: torch.Tensor = self.classifier[-1](hidden)
        return logits, hidden
