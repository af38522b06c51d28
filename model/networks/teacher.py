"""The network that teaches LeNet-5, 91.5 % of validation images of Simpsons-MNIST in colour.

That is one run of 30 epochs, 6 minutes of one core: ``python benchmarks/teacher.py``. LeNet-5 comes
to 78 % in 40 epochs of the same images and augmentation.
"""

from __future__ import annotations

import torch
from torch import nn


class TeacherNetwork(nn.Module):
    """A residual network of seven 3x3 convolutions, 427,178 parameters for 3 channels, 10 classes.

    He et al., Deep Residual Learning for Image Recognition, arXiv:1512.03385: each convolution is
    normalised over the batch and followed by ReLU; three of them add their input to their output.
    The first has 32 maps and is pooled at once, as the largest maps cost most of the time; then
    follow 64 and 128 maps. The mean over each map decides, so images may have any size.

    Args:
        channels: 1 for grey images, 3 for colour.
        classes: number of classes, at least 2.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _convolution(channels, 32),
            nn.MaxPool2d(2),
            _convolution(32, 64),
            _Residual(64),
            nn.MaxPool2d(2),
            _convolution(64, 128),
            _Residual(128),
            _Residual(128),
        )
        self.classifier = nn.Linear(128, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, classes]`` for normalised float32 images ``[N, C, S, S]``."""
        maps: torch.Tensor = self.features(images)
        logits: torch.Tensor = self.classifier(maps.mean(dim=(2, 3)))
        return logits


class _Residual(nn.Module):
    def __init__(self, maps: int) -> None:
        super().__init__()
        self.convolution = _convolution(maps, maps)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = maps + self.convolution(maps)
        return added


def _convolution(channels: int, maps: int) -> nn.Sequential:
    # Batch normalisation has a bias of its own.
    convolution = nn.Conv2d(channels, maps, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(maps), nn.ReLU())
