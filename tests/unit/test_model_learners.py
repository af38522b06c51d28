"""Steps without autograd are those of autograd and ``torch.optim.SGD``."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from hyperhive.model.learners import CpuLearner, new_learner
from hyperhive.model.learners.autograd import AutogradLearner
from hyperhive.model.learners.steps import Sgd
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.model.normalise import Normaliser

CPU = torch.device("cpu")
RATES = (0.05, 0.02, 0.02, 0.01)


def pixels(count: int, channels: int) -> torch.Tensor:
    """Return noise below a plain half, where the four values of each pooling are equal."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, channels, 28, 28), dtype=torch.uint8, generator=random)
    images[:, :, :14] = 255
    return images


def both(channels: int, classes: int) -> list[tuple[LeNet5, AutogradLearner | CpuLearner]]:
    """Return the same model twice: one learns by autograd, one by hand."""
    torch.manual_seed(1)
    model = LeNet5(channels, classes)
    normalise = Normaliser([0.5] * channels, [0.25] * channels, CPU)
    mine = copy.deepcopy(model)
    return [
        (model, AutogradLearner(model, normalise, Sgd(0.9))),
        (mine, CpuLearner(mine, normalise, Sgd(0.9))),
    ]


@pytest.mark.parametrize(("channels", "count"), [(3, 64), (1, 150), (3, 1)])
def test_a_step_is_that_of_autograd(channels: int, count: int) -> None:
    """Losses, weights with momentum, and logits agree: a whole batch, a large one, one image."""
    (model, autograd), (mine, by_hand) = both(channels, classes=7)
    images, labels = pixels(count, channels), torch.arange(count) % 7
    for rate in RATES:
        loss = autograd.step(images, labels, rate)
        assert by_hand.step(images, labels, rate) == pytest.approx(loss, rel=1e-5)
        for expected, actual in zip(model.parameters(), mine.parameters()):
            assert torch.allclose(actual, expected, rtol=1e-4, atol=1e-6)
    assert torch.allclose(by_hand.logits(images), autograd.logits(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rate", [10.0, 1e38])
def test_a_diverging_training_diverges_at_the_step_of_autograd(rate: float) -> None:
    """The first loss that is not finite is that of the same step, in a later block too."""
    images, labels = pixels(70, 3), torch.arange(70) % 7
    first = []
    for _, learner in both(channels=3, classes=7):
        losses = (learner.step(images, labels, rate) for _ in range(100))
        first.append(next(step for step, loss in enumerate(losses) if not math.isfinite(loss)))
    assert first[0] == first[1] > 0


def test_augmented_pixels_are_learned_from_as_they_are() -> None:
    """Pixels may be float32, and are not changed."""
    (_, autograd), (_, by_hand) = both(channels=3, classes=2)
    images, labels = pixels(8, 3) / 2, torch.arange(8) % 2
    before = images.clone()
    loss = autograd.step(images, labels, 0.1)
    assert by_hand.step(images, labels, 0.1) == pytest.approx(loss, rel=1e-5)
    assert torch.equal(images, before)


def test_other_layers_are_trained_by_autograd() -> None:
    """What was written for LeNet-5's layers is not used for a variant of it."""

    class Variant(LeNet5):
        def __init__(self) -> None:
            super().__init__(1, 2)
            self.features[2] = nn.Tanh()

    normalise = Normaliser([0.5], [0.25], CPU)
    assert isinstance(new_learner(Variant(), normalise, Sgd(0.9)), AutogradLearner)
    assert isinstance(new_learner(LeNet5(1, 2), normalise, Sgd(0.9)), CpuLearner)
