"""What takes a training's steps: by hand for LeNet-5 on a CPU, else by autograd."""

from __future__ import annotations

from typing import Union

from torch import nn

from hyperhive.model.data.images import SIZE
from hyperhive.model.learners.autograd import AutogradLearner
from hyperhive.model.learners.cpu import CpuLearner
from hyperhive.model.learners.steps import Sgd
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.model.normalise import Normaliser

Learner = Union[AutogradLearner, CpuLearner]


def new_learner(model: nn.Module, normalise: Normaliser, sgd: Sgd) -> Learner:
    """Return what trains a model with SGD on the device that it is on."""
    is_on_cpu = next(model.parameters()).device.type == "cpu"
    # The maps of larger images do not stay in a core's cache.
    if is_on_cpu and type(model) is LeNet5 and model.is_modern and model.image_size == SIZE:
        return CpuLearner(model, normalise, sgd)
    return AutogradLearner(model, normalise, sgd)
