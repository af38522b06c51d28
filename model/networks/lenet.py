"""LeNet-5, in the variant that trains best on Simpsons-MNIST.

LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, Proceedings
of the IEEE 86(11), 1998, section II.B.
"""

from __future__ import annotations

import torch
from torch import nn

from hyperhive.model.data.images import SIZE


class LeNet5(nn.Module):
    """LeNet-5 for 28x28 images, or larger ones.

    The layers are those of the paper: C1 (6 maps, 5x5), S2, C3 (16 maps, 5x5), S4, C5 (120), F6
    (84), output. C1 pads its 28x28 input to the paper's 32x32, so that strokes at the border are
    seen whole. Three parts are modern: ReLU and max-pooling replace the scaled tanh and the
    trainable average (more accurate on Simpsons-MNIST: ``benchmarks/variants.py``); C3 is connected
    to all maps of S2, without the sparse table that saved arithmetic in 1998; and the output is
    logits, not radial basis units. With 10 classes it has 62,006 parameters for 3 channels and the
    well-known 61,706 for 1 channel.

    C5 sees all that S4 has, so it grows with the image: 16 maps of 5x5 at 28x28, 14x14 at 64x64.

    Args:
        channels: 1 for grey images, 3 for colour.
        classes: number of classes, at least 2.
        image_size: side of the images in pixels, at least 28.
    """

    def __init__(self, channels: int, classes: int, image_size: int = SIZE) -> None:
        super().__init__()
        self.channels = channels
        self.classes = classes
        self.image_size = image_size
        side = (image_size // 2 - 4) // 2  # of S4's maps
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, kernel_size=5, padding=2),
            nn.MaxPool2d(2),  # before ReLU, as in 1998: the same result, faster
            nn.ReLU(),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * side * side, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
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
