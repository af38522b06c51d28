"""Networks by name: torchvision's and those of packages, from training to export."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from support.lenets import drawn

from hyperhive.common.errors import CheckpointError, ConfigError, DeviceError
from hyperhive.model.card import Card
from hyperhive.model.checkpoint import pack_weights, unpack_weights
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.engines.choice import engine_of
from hyperhive.model.engines.export import export
from hyperhive.model.model_files import read
from hyperhive.model.networks import build, names, why_missing
from hyperhive.model.training import TrainingData, train

CPU = torch.device("cpu")
SIZE = 36
MODULE = """
from torch import nn

def tiny(channels, classes, image_size):
    convolution = nn.Conv2d(channels, 4, 3, stride=2)
    return nn.Sequential(
        convolution, nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, classes),
    )

def large(channels, classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, 10_000),
                         nn.Linear(10_000, classes))

def frozen(channels, classes, image_size):
    model = nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, classes))
    return model.requires_grad_(False)

def wrong(channels, classes, image_size):
    return nn.Flatten()
"""
POINTS = """
[hyperhive.networks]
tiny = own_networks:tiny
large = own_networks:large
wrong = own_networks:wrong
frozen = own_networks:frozen
gone = no_such_module:network
broken = broken_networks:network
lenet5 = own_networks:wrong
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that registers networks."""
    folder = tmp_path / "packages"
    (folder / "own-1.dist-info").mkdir(parents=True)
    (folder / "own-1.dist-info" / "METADATA").write_text("Name: own\nVersion: 1\n")
    (folder / "own-1.dist-info" / "entry_points.txt").write_text(POINTS)
    (folder / "own_networks.py").write_text(MODULE)
    (folder / "broken_networks.py").write_text("def network(")
    monkeypatch.syspath_prepend(str(folder))


def dark_and_light(count: int, channels: int = 3) -> Dataset:
    """Return two classes, a few steps apart; each split has this many images."""
    labels = np.arange(count, dtype=np.int64) % 2
    noise = np.random.RandomState(0).randint(0, 60, (count, SIZE, SIZE, channels))
    images = (noise + 120 * labels[:, None, None, None]).astype(np.uint8)
    return Dataset("tiny", ("dark", "light"), images, labels, images, labels)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_torchvision_s_networks_see_grey_as_three_equal_channels(name: str) -> None:
    """Drawn with one seed, the network for grey answers as that for colour does."""
    pytest.importorskip("torchvision")
    colour, grey = (
        (torch.manual_seed(0), build(f"torchvision:{name}", channels, 5, 32).eval())[1]
        for channels in (3, 1)
    )
    images = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        expected = colour(images.expand(-1, 3, -1, -1))
        torch.testing.assert_close(grey(images), expected, rtol=1e-4, atol=1e-6)


def test_what_cannot_be_built_is_said_in_a_sentence() -> None:
    """An unknown name, one that torchvision has and is too large, and networks that do not fit."""
    assert {"lenet5", "tiny"} <= set(names())
    assert why_missing("tiny") is None
    for name, words in [
        ("resnet", r"network 'resnet' is not known here: choose one of lenet5, torchvision:NAME"),
        ("torchvision:vgg16", "'torchvision:vgg16' is none of torchvision's that can be used"),
        ("large", "network large has weights of 148 MB, and a model may have 64: choose a smaller"),
        ("frozen", "network frozen has no weights that can be trained: all are frozen"),
        ("wrong", "network wrong gives .3888. logits, and not 2"),
    ]:
        with pytest.raises(ConfigError, match=words):
            build(name, 3, 2, SIZE)
    for name, kind in (("gone", "ModuleNotFoundError"), ("broken", "SyntaxError")):
        with pytest.raises(DeviceError, match=f"network {name} cannot be used here: {kind}"):
            build(name, 3, 2, SIZE)


def test_images_can_be_too_small_for_a_network() -> None:
    """Nothing is left of them after its last pooling."""
    pytest.importorskip("torchvision")
    with pytest.raises(ConfigError, match="densenet121 cannot compute images of 28x28 with 3 "):
        build("torchvision:densenet121", 3, 2, 28)


def test_no_package_replaces_lenet5() -> None:
    """An entry point of its name is not looked at; LeNet-5 follows the size of the images."""
    model = build("lenet5", 1, 2, 64)
    assert model(torch.zeros(3, 1, 64, 64)).shape == (3, 2)
    assert type(model).__name__ == "LeNet5"


def test_only_lenet5_has_the_parts_of_1998() -> None:
    """Another network with them is a configuration that cannot be."""
    with pytest.raises(ConfigError, match="activation and pooling are for network lenet5 only"):
        TrainConfig("", 0.1, 1, 0.9, network="tiny", activation="tanh")


def test_batch_normalisation_is_trained_and_kept() -> None:
    """Running statistics are part of the weights; a last batch of one image does no harm.

    One seed gives one set of weights.
    """
    data = TrainingData(dark_and_light(33), CPU)
    config = TrainConfig("", 0.05, 3, 0.9, 32, network="tiny", train_on_all=True)
    packed, again = (pack_weights(train(config, data).model) for _ in range(2))
    assert packed == again
    card = Card.of(data.dataset, hashlib.sha256(packed).hexdigest(), config.to_json())
    assert (card.architecture, card.image_size) == ("tiny", SIZE)
    state = unpack_weights(packed, card, CPU).state_dict()
    assert state["1.num_batches_tracked"] == 3  # not 6: a single image has no variance
    assert state["1.running_mean"].abs().min() > 0
    diverged = train(dataclasses.replace(config, learning_rate=1e30), data)
    assert diverged.diverged


@pytest.mark.parametrize(("channels", "suffix"), [(1, ".onnx"), (3, ".pt")])
def test_an_exported_network_gives_the_same_labels(
    channels: int, suffix: str, tmp_path: Path
) -> None:
    """A network of a package, at a size of its own: its forms need neither package nor name."""
    pytest.importorskip("onnx")
    pytest.importorskip("cv2")
    data = TrainingData(dark_and_light(40, channels), CPU)
    config = TrainConfig("", 0.1, 10, 0.9, 16, network="tiny")
    trained = train(config, data)
    assert trained.epochs[-1].validation_accuracy == 1.0
    packed = pack_weights(trained.model)
    card = Card.of(data.dataset, hashlib.sha256(packed).hexdigest(), config.to_json())
    pictures = data.dataset.test_images
    export(tmp_path / ("model" + suffix), packed, card, pictures)
    exported, card = read(tmp_path / ("model" + suffix))
    stranger = dataclasses.replace(card, architecture="of another machine")
    labels = engine_of(exported, suffix, stranger, "cpu").run(pictures).argmax(axis=1)
    assert (labels == data.dataset.test_labels).all()
    with pytest.raises(CheckpointError, match="'of another machine' is not known here: choose"):
        unpack_weights(packed, stranger, CPU)


def test_a_card_may_not_choose_the_parts_of_lenet5_freely() -> None:
    """What a card says of them is checked before anything is built."""
    packed, card = drawn(config={"pooling": ["max"]})
    with pytest.raises(CheckpointError, match="pooling must be one of max, average"):
        unpack_weights(packed, card, CPU)
