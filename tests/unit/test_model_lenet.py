"""The network has LeNet-5's structure."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from hyperhive.model.networks.lenet import LeNet5


@pytest.mark.parametrize(("channels", "parameters"), [(3, 62_006), (1, 61_706)])
def test_the_network_has_lenets_parameters(channels: int, parameters: int) -> None:
    """With 10 classes LeNet-5 has 61,706 parameters on grey images and 62,006 on colour."""
    model = LeNet5(channels, 10)
    assert sum(weights.numel() for weights in model.parameters()) == parameters


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_papers_pooling_has_a_coefficient_and_a_bias_for_each_map(activation: str) -> None:
    """12 more parameters in S2 and 32 in S4; untrained it is the plain average."""
    model = LeNet5(3, 10, activation=activation, pooling="average")
    assert sum(weights.numel() for weights in model.parameters()) == 62_006 + 12 + 32
    pooling, maps = model.features[1], torch.randn(2, 6, 28, 28)
    expected = functional.avg_pool2d(pooling[0](maps), 2)
    assert torch.allclose(pooling(maps), expected, atol=1e-6)


def test_the_papers_activation_keeps_1_and_minus_1() -> None:
    """Scaled as in the paper, tanh maps 1 to 1 (appendix A), and it is used throughout."""
    model = LeNet5(1, 2, activation="tanh")
    squash = model.features[2]
    assert squash(torch.tensor([1.0, -1.0, 99.0])).tolist() == pytest.approx(
        [1, -1, 1.7159], abs=1e-4
    )
    assert not any(isinstance(layer, nn.ReLU) for layer in model.modules())


@pytest.mark.parametrize(("channels", "classes", "images"), [(1, 2, 1), (3, 20, 5)])
def test_the_network_gives_a_logit_for_each_class(channels: int, classes: int, images: int) -> None:
    """The output has one row per image and one finite logit per class."""
    logits = LeNet5(channels, classes)(100 * torch.randn(images, channels, 28, 28))
    assert logits.shape == (images, classes)
    assert logits.dtype == torch.float32
    assert bool(logits.isfinite().all())
    assert bool((logits.sum(dim=1) - 1).abs().max() > 1e-3)


def test_an_image_is_classified_on_its_own() -> None:
    """An image's logits do not depend on the rest of the batch."""
    model = LeNet5(1, 10).eval()
    images = torch.randn(4, 1, 28, 28)
    with torch.no_grad():
        together, alone = model(images), model(images[2:3])
    assert torch.allclose(together[2:3], alone, atol=1e-5)


def test_the_border_of_the_image_is_seen() -> None:
    """A pixel in a corner changes the logits, because C1 pads its input as in the paper."""
    torch.manual_seed(0)
    model = LeNet5(1, 10).eval()
    blank = torch.zeros(1, 1, 28, 28)
    for row, column in ((0, 0), (0, 27), (27, 0), (27, 27)):
        corner = blank.clone()
        corner[0, 0, row, column] = 100
        with torch.no_grad():
            assert not torch.equal(model(corner), model(blank))
