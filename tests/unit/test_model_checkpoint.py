"""A saved model comes back as it was trained, or it is refused; it never runs code."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.lenets import load_model, save_model

from hyperhive.common.errors import CheckpointError
from hyperhive.model.card import Card
from hyperhive.model.checkpoint import normaliser, pack_weights, unpack_weights
from hyperhive.model.model_files import CARD_FILE, WEIGHTS_FILE
from hyperhive.model.networks.lenet import LeNet5

CPU = torch.device("cpu")
IMAGES = torch.randn(5, 3, 28, 28, generator=torch.Generator().manual_seed(0))


def card_of(packed: bytes, **changes: Any) -> Card:
    values: dict[str, Any] = {
        "classes": ["bart", "lisa", "ma\u00efgge"],
        "channels": 3,
        "mean": [0.4, 0.5, 0.6],
        "std": [0.1, 0.2, 0.3],
        "weights_sha256": hashlib.sha256(packed).hexdigest(),
        "dataset": {"name": "simpsons"},
        "config": {"epochs": 3},
    }
    return Card(**{**values, **changes})


def model() -> LeNet5:
    torch.manual_seed(1)
    return LeNet5(3, 3).eval()


def logits(network: LeNet5) -> torch.Tensor:
    with torch.no_grad():
        return network(IMAGES)


def arrays(network: LeNet5) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def save(directory: Path, packed: bytes, **changes: Any) -> Path:
    """Save weights with a card that fits them, except for the changes."""
    return save_model(directory, packed, card_of(packed, **changes))


def rewrite(directory: Path, **changes: Any) -> None:
    """Change a saved card by hand."""
    file = directory / CARD_FILE
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Give the directory of a saved model."""
    save(tmp_path / "models", pack_weights(model()))
    return tmp_path / "models"


# -- round trips ------------------------------------------------------------------------------


def test_a_saved_model_gives_identical_logits(saved: Path) -> None:
    """A loaded model gives the saved model's logits, to the last bit."""
    loaded, _ = load_model(saved)
    assert torch.equal(logits(loaded), logits(model()))
    assert not loaded.training


def test_a_model_can_be_loaded_by_its_weights_file(saved: Path) -> None:
    """A weights file of any name is read with the card of the same name."""
    (saved / WEIGHTS_FILE).rename(saved / "best.safetensors")
    (saved / CARD_FILE).rename(saved / "best.json")
    loaded, card = load_model(saved / "best.safetensors")
    assert torch.equal(logits(loaded), logits(model()))
    assert card.classes == ["bart", "lisa", "ma\u00efgge"]


def test_a_card_survives_the_file(saved: Path) -> None:
    """Every field of a card is read back."""
    packed = pack_weights(model())
    written = card_of(
        packed,
        study="s",
        trial=7,
        validation_accuracy=0.75,
        test_accuracy=0.5,
        confusion=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        trained_on={"device": "cpu"},
    )
    save_model(saved, packed, written)
    assert load_model(saved)[1] == written


@pytest.mark.parametrize(
    ("changes", "is_plain"),
    [
        ({}, True),
        ({"config": {"activation": "relu", "pooling": "max"}}, True),
        ({"config": {"activation": "tanh"}}, False),
        ({"views": "mirrored"}, False),
        ({"image_size": 64}, False),
    ],
)
def test_an_earlier_version_reads_only_what_it_can_run(
    changes: dict[str, Any], is_plain: bool
) -> None:
    """It refuses a card with a field that it does not know, and does not look at activations."""
    card = card_of(b"", **changes)
    assert {"image_size", "views"}.isdisjoint(card.to_json()) == is_plain
    assert Card.from_json(card.to_json()) == card


def test_a_grey_model_is_loaded_as_one(tmp_path: Path) -> None:
    """The number of channels and of classes comes from the card."""
    packed = pack_weights(LeNet5(1, 2))
    save(tmp_path, packed, channels=1, mean=[0.5], std=[0.5], classes=["a", "b"])
    loaded, card = load_model(tmp_path)
    assert (loaded.channels, loaded.classes) == (1, 2)
    assert normaliser(card, CPU)(torch.full((1, 1, 2, 2), 255)).max() == 1.0


def test_a_trained_model_is_saved_without_its_gradients() -> None:
    """Packing works in the middle of training, and packs the same weights each time."""
    network = model().train()
    network(IMAGES).sum().backward()
    assert pack_weights(network) == pack_weights(model())


def test_saving_replaces_the_model_before_and_leaves_nothing_else(saved: Path) -> None:
    """A directory holds the two files of the last model that was saved into it."""
    other = LeNet5(3, 3).eval()
    save(saved, pack_weights(other))
    assert torch.equal(logits(load_model(saved)[0]), logits(other))
    assert sorted(os.listdir(saved)) == [CARD_FILE, WEIGHTS_FILE]


def test_a_half_saved_model_is_refused(saved: Path) -> None:
    """New weights beside the old card are taken for neither model."""
    (saved / WEIGHTS_FILE).write_bytes(pack_weights(LeNet5(3, 3)))
    with pytest.raises(CheckpointError, match="not those of the card"):
        load_model(saved)


@pytest.mark.filterwarnings("error")
def test_loading_prints_no_warnings(saved: Path) -> None:
    """Loading a model prints no warnings."""
    load_model(saved)


def test_a_loaded_model_can_be_trained_on(saved: Path) -> None:
    """The loaded weights are the model's own memory and can be changed."""
    loaded, _ = load_model(saved)
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.add_(1.0)
    assert torch.equal(logits(load_model(saved)[0]), logits(model()))


# -- weights that are refused -----------------------------------------------------------------


def test_weights_with_another_hash_are_refused() -> None:
    """One flipped bit in the weights is detected."""
    packed = bytearray(pack_weights(model()))
    packed[-1] ^= 1
    with pytest.raises(CheckpointError, match="SHA-256"):
        unpack_weights(bytes(packed), card_of(pack_weights(model())), CPU)


# -- cards that are refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [b"", b"no JSON", b"{", b"[]", b"null", b'"card"', b"\xff\xfe", b"{}", b"[" * 100_000],
    ids=["empty", "text", "torn", "list", "null", "string", "bytes", "no keys", "deep"],
)
def test_bytes_that_are_not_a_card_are_refused(saved: Path, text: bytes) -> None:
    """For any bytes in place of the card, the error is one sentence with the file's name."""
    (saved / CARD_FILE).write_bytes(text)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_model(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"format": 2},
        {"format": None},
        {"format": "x" * 10_000},
        {"architecture": "x" * 10_000},
        {"views": ["mirrored"]},
        {"architecture": "resnet"},
        {"channels": 1},
        {"channels": 2},
        {"channels": "3"},
        {"channels": 3.0},
        {"channels": None},
        {"mean": [0.5]},
        {"mean": None},
        {"mean": 0.5},
        {"mean": ["a", "b", "c"]},
        {"mean": [float("nan")] * 3},
        {"std": [0.5, 0.5]},
        {"std": [0.0, 0.5, 0.5]},
        {"std": [-1, 0.5, 0.5]},
        {"std": [float("inf")] * 3},
        {"classes": []},
        {"classes": ["bart"]},
        {"classes": "abc"},
        {"classes": [1, 2, 3]},
        {"classes": None},
        {"weights_sha256": None},
        {"weights_sha256": 7},
        {"weights_sha256": ""},
        {"dataset": None},
        {"dataset": ["simpsons"]},
        {"config": "{}"},
        {"validation_accuracy": "0.7"},
        {"validation_accuracy": float("nan")},
        {"validation_accuracy": True},
        {"test_accuracy": 72.1},
        {"test_accuracy": [0.7]},
        {"trial": "7"},
        {"trial": 7.5},
        {"study": 7},
        {"exports": None},
        {"exports": [".onnx"]},
        {"exports": {".onnx": 7}},
        {"exports": {".onnx": "../" * 21 + "x"}},
    ],
)
def test_a_card_that_makes_no_sense_is_refused(saved: Path, changes: dict[str, Any]) -> None:
    """Keys of another version, and values that no model can have, are refused in a sentence."""
    rewrite(saved, **changes)
    with pytest.raises(CheckpointError) as refused:
        load_model(saved)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    "key", ["classes", "channels", "mean", "std", "weights_sha256", "dataset", "config"]
)
def test_a_missing_key_is_named(key: str) -> None:
    """If a card lacks a key, the error names it."""
    values = dataclasses.asdict(card_of(b""))
    del values[key]
    with pytest.raises(CheckpointError, match=key):
        Card.from_json(values)


@pytest.mark.parametrize("missing", [WEIGHTS_FILE, CARD_FILE])
def test_a_missing_file_is_named(saved: Path, missing: str) -> None:
    """The error names the file that is missing: the weights or the card."""
    (saved / missing).unlink()
    for path in (saved, saved / WEIGHTS_FILE):
        with pytest.raises(CheckpointError, match=missing):
            load_model(path)


def test_a_place_without_a_model_is_refused(tmp_path: Path) -> None:
    """An empty directory and a path without a file are refused."""
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "nowhere.safetensors"):
        with pytest.raises(CheckpointError, match="there is no"):
            load_model(path)
