"""torchvision's networks, for grey images too. Importing this needs torchvision."""

from __future__ import annotations

import functools
from typing import Any, Callable

from torch import nn
from torchvision import models


def factory(name: str) -> Callable[..., nn.Module]:
    """Return the factory of a network of ``torchvision.models``; raises ``AttributeError``."""
    return functools.partial(_made, getattr(models, name))


def _made(make: Any, channels: int, classes: int, image_size: int) -> nn.Module:
    """Return a network with random weights; it takes images of any size that leaves it pixels."""
    model: nn.Module = make(num_classes=classes)
    if channels == 1:
        first = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
        first.weight = nn.Parameter(first.weight.detach().sum(dim=1, keepdim=True))
        first.in_channels = 1
    return model
