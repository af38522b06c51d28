"""A model that is trained again from its card: what is said, and what cannot be repeated."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
import torch
from support.lenets import load_model, save_model, trained
from support.printed import plain

from hyperhive.common.console import Screen
from hyperhive.coordinator import stored_model
from hyperhive.coordinator.results.retrained import (
    Fetch,
    NotRetrainable,
    Retrained,
    comparison,
    retrain,
)
from hyperhive.coordinator.stored_model import BestOptions
from hyperhive.model.card import Card
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.teacher import pack_answers
from hyperhive.model.training import TrainingData
from hyperhive.store.errors import NotFound


def noisy(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return grey images of two classes that no network tells apart on all of them."""
    random = np.random.RandomState(seed)
    labels = np.arange(count, dtype=np.int64) % 2
    images = random.randint(0, 200, (count, 28, 28, 1)) + 4 * labels[:, None, None, None]
    return images.astype(np.uint8), labels


DATA = Dataset("noisy", ("dark", "light"), *noisy(60, 0), *noisy(200, 1))
SILENT = Screen(quiet=True)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def model(**changed: Any) -> tuple[bytes, Card]:
    config = TrainConfig(DATA.content_hash, 0.05, 3, 0.9, batch_size=16, **changed)
    return trained(TrainingData(DATA, torch.device("cpu")), config)


def fetch(content_hash: str) -> bytes:
    assert content_hash == DATA.content_hash
    return DATA.pack()


def nowhere(sha256: str) -> bytes:
    raise NotFound(f"{sha256[:3]} is not in the store")


def again(packed: bytes, card: Card, answers: Fetch = nowhere) -> Retrained:
    return retrain(packed, card, fetch, answers, SILENT)


@pytest.mark.parametrize("changed", [{}, {"folds": 3}, {"train_on_all": True}])
def test_the_same_device_gives_the_same_weights(changed: dict[str, Any]) -> None:
    """Of folds it is the first whose weights they are."""
    packed, card = model(**changed)
    found = again(packed, card)
    assert (found.packed, found.card, found.labels) == (packed, card, None)
    assert card.weights_sha256 in plain(comparison(card, found))


def test_what_a_teacher_answered_is_learned_again() -> None:
    """Its answers come from the store; without them nothing is trained, in a sentence."""
    answers = np.random.RandomState(0).normal(size=(60, 2)).astype(np.float32)
    data = TrainingData(DATA, torch.device("cpu")).with_answers(answers)
    config = TrainConfig(DATA.content_hash, 0.05, 2, 0.9, teacher="a" * 64, teacher_weight=0.5)
    packed, card = trained(data, config)
    assert again(packed, card, lambda sha256: pack_answers(answers)).labels is None
    with pytest.raises(NotRetrainable, match="learned from a teacher: aaa is not in the store"):
        again(packed, card)


def test_other_weights_are_compared_on_the_test_images(tmp_path: Path) -> None:
    """As another device leaves them: how far the accuracy is off, and how many labels differ.

    What is exported then are the new ones, whose card is theirs.
    """
    _, card = model(seed=1)
    packed, other = model(seed=2)
    card = dataclasses.replace(card, weights_sha256=other.weights_sha256)
    save_model(tmp_path, packed, card)

    @contextlib.contextmanager
    def connect() -> Iterator[str]:
        raise AssertionError("the data set is in the cache")
        yield ""

    again(packed, card)  # which brings the data set into the cache
    options = BestOptions(None, tmp_path, tmp_path / "new.safetensors", retrain=True)
    said = "".join(plain(text) for text in stored_model.run(options, connect, SILENT))
    new, its_card = load_model(tmp_path / "new.safetensors")
    first, _ = load_model(tmp_path)
    images = (torch.from_numpy(DATA.test_images).permute(0, 3, 1, 2) / 255 - card.mean[0]) / (
        card.std[0]
    )
    with torch.no_grad():
        labels = [each(images.float()).argmax(dim=1).numpy() for each in (first, new)]
    right = [float((each == DATA.test_labels).mean()) for each in labels]
    assert its_card.test_accuracy == pytest.approx(right[1])
    assert its_card.test_images == 200
    points = 100 * (right[1] - right[0])
    assert f"({points:+.1f} points)" in said
    assert f"another one on {(labels[0] != labels[1]).sum()} of 200 test images" in said


def test_what_cannot_be_repeated_is_said_in_a_sentence() -> None:
    """A key of another version, a data set that is nowhere, a training that diverges here."""
    packed, card = model()
    strange = dataclasses.replace(card, config={**card.config, "warp": 9})
    with pytest.raises(NotRetrainable, match=r"not one of this hyperhive: unknown keys .*: warp"):
        again(packed, strange)
    with pytest.raises(NotRetrainable, match="neither on this machine nor in the store"):
        retrain(packed, card, nowhere, nowhere, SILENT)
    wild = dataclasses.replace(card, config={**card.config, "learning_rate": 1e9})
    with pytest.raises(NotRetrainable, match="has diverged here, in epoch 1 of 3"):
        again(packed, wild)
