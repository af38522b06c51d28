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
MOMENTUM = Sgd(0.9)
RATES = (0.05, 0.02, 0.02, 0.01)


def pixels(count: int, channels: int) -> torch.Tensor:
    """Return noise below a plain half, where the four values of each pooling are equal."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, channels, 28, 28), dtype=torch.uint8, generator=random)
    images[:, :, :14] = 255
    return images


def both(
    channels: int, classes: int, sgd: Sgd = MOMENTUM
) -> list[tuple[LeNet5, AutogradLearner | CpuLearner]]:
    """Return the same model twice: one learns by autograd, one by hand."""
    torch.manual_seed(1)
    model = LeNet5(channels, classes)
    normalise = Normaliser([0.5] * channels, [0.25] * channels, CPU)
    mine = copy.deepcopy(model)
    return [
        (model, AutogradLearner(model, normalise, sgd)),
        (mine, CpuLearner(mine, normalise, sgd)),
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


@pytest.mark.parametrize(
    ("sgd", "shrink"),
    [
        (Sgd(0.9, nesterov=True, weight_decay=0.01), 0.0),
        (Sgd(0.0, nesterov=True), 0.01),
        (Sgd(0.9, horizon=2.5), 0.0),
    ],
)
def test_every_option_is_that_of_autograd(sgd: Sgd, shrink: float) -> None:
    """Nesterov, both kinds of decay, averages and distributions: weights and losses agree."""
    (_, autograd), (_, by_hand) = both(channels=3, classes=7, sgd=sgd)
    images = pixels(70, 3)
    targets = torch.rand(70, 7, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    for rate in RATES:
        loss = autograd.step(images, targets, rate, shrink)
        assert by_hand.step(images, targets, rate, shrink) == pytest.approx(loss, rel=1e-5)
    pairs = zip(autograd.trained().parameters(), by_hand.trained().parameters())
    assert all(torch.allclose(mine, theirs, rtol=1e-4, atol=1e-6) for theirs, mine in pairs)
    assert torch.allclose(by_hand.logits(images), autograd.logits(images), rtol=1e-3, atol=1e-4)


def test_the_average_is_that_of_all_steps() -> None:
    """Each step counts decay times as much as the next, and the weights before the first do not."""
    (model, autograd), _ = both(channels=1, classes=2, sgd=Sgd(0.5, horizon=4))
    images, labels, after = pixels(8, 1), torch.arange(8) % 2, []
    for rate in RATES:
        autograd.step(images, labels, rate)
        after.append(model.features[0].weight.detach().clone())
    shares = torch.tensor([0.75**age for age in (3, 2, 1, 0)])
    expected = sum(share * each for share, each in zip(shares / shares.sum(), after))
    averaged = autograd.trained().features[0].weight
    assert torch.allclose(averaged, expected, rtol=1e-5, atol=1e-7)


def test_an_averaged_network_has_the_buffers_of_the_last_step() -> None:
    """Batch normalisation's statistics are copied, not averaged once more."""
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(28 * 28), nn.Linear(28 * 28, 2))
    learner = AutogradLearner(model, Normaliser([0.5], [0.25], CPU), Sgd(0.9, horizon=10))
    for _ in range(2):
        learner.step(pixels(8, 1), torch.arange(8) % 2, 0.1)
    averaged = learner.trained()
    assert torch.equal(averaged[1].running_mean, model[1].running_mean)
    assert int(averaged[1].num_batches_tracked) == 2
    assert not torch.equal(averaged[2].weight, model[2].weight)


def test_frozen_weights_stay_as_they_are() -> None:
    """They neither shrink nor move the average of others; trained ones do both."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 4), nn.Linear(4, 2))
    model[1].weight.requires_grad_(False)
    before = copy.deepcopy(model)
    learner = AutogradLearner(model, Normaliser([0.5], [0.25], CPU), Sgd(0.9, horizon=10))
    for _ in range(2):
        learner.step(pixels(8, 1), torch.arange(8) % 2, 0.1, shrink=0.1)
    for trained in (model, learner.trained()):
        assert torch.equal(trained[1].weight, before[1].weight)
        assert not torch.equal(trained[2].weight, before[2].weight)


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
    normalise = Normaliser([0.5], [0.25], CPU)
    for variant in ({"activation": "tanh"}, {"pooling": "average"}):
        learner = new_learner(LeNet5(1, 2, **variant), normalise, Sgd(0.9))
        assert isinstance(learner, AutogradLearner)
    assert isinstance(new_learner(LeNet5(1, 2), normalise, Sgd(0.9)), CpuLearner)
