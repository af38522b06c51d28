"""A network that hyperhive knows as ``small`` where this package is installed."""

from __future__ import annotations

from torch import nn


def network(channels, classes, image_size):
    """Return a network from images ``[N, channels, image_size, image_size]`` to logits."""

    def halved(before, after):
        convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(
        *halved(channels, 16),
        *halved(16, 32),
        *halved(32, 64),
        nn.AdaptiveAvgPool2d(1),  # so it takes images of any size
        nn.Flatten(),
        nn.Linear(64, classes),
    )
