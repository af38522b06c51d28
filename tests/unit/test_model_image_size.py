"""Images of other sizes than 28x28: data sets, the model's input, and what is a member."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.lenets import drawn

from hyperhive.common.errors import CheckpointError, DatasetError, UsageError
from hyperhive.inference.predictor import Predictor
from hyperhive.model.card import Card
from hyperhive.model.data import dataset as dataset_module
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.images import reduced
from hyperhive.model.data.loading import DatasetRequest, LoadedDataset, load
from hyperhive.model.membership.statistics import statistics


def noise(count: int, size: int, channels: int) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (count, size, size, channels)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two classes with five pictures of 80x60 each."""
    for shade, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        for number in range(5):
            colour = (100 * shade, 20 * number, 0)
            Image.new("RGB", (80, 60), colour).save(tmp_path / name / f"{number}.png")
    return tmp_path


def loaded(data: Path, **how: Any) -> LoadedDataset:
    return load(DatasetRequest("folder", data, **how), lambda done, total: None)


def test_a_data_set_has_the_size_that_was_asked_for(folder: Path) -> None:
    """It says so, keeps it when packed, and is another data set than that of 28x28."""
    both = loaded(folder, image_size=40), loaded(folder)
    large, usual = (each.dataset for each in both)
    assert large.train_images.shape == (8, 40, 40, 3)
    assert (large.image_size, large.card()["image_size"]) == (40, 40)
    assert "image_size" not in usual.card()
    assert [each.contents()[0].rpartition(" in ")[2] for each in both] == [
        "colour of 40x40",
        "colour",
    ]
    assert large.content_hash != usual.content_hash
    assert Dataset.unpack(large.pack(), large.content_hash).image_size == 40


@pytest.mark.parametrize("size", [27, 225, 64.0, True])
def test_a_size_that_no_data_set_has(size: Any) -> None:
    """It is refused where it is asked for."""
    with pytest.raises(
        UsageError, match=f"image_size must be a whole number from 28 to 224, not {size}"
    ):
        DatasetRequest("digits", image_size=size)


def test_too_many_large_images_are_refused_before_they_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence has a size that fits."""
    monkeypatch.setattr(dataset_module, "LARGEST", 10 * 50 * 50 * 3)
    with pytest.raises(
        DatasetError, match=r"10 images of 60x60 .*: choose --image-size 50 or less"
    ):
        loaded(folder, image_size=60)
    assert loaded(folder, image_size=50).dataset.image_size == 50


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_a_member_whatever_its_size(channels: int) -> None:
    """Statistics are those of the pictures at 28x28."""
    small = noise(4, 28, channels)
    enlarged = small.repeat(4, axis=1).repeat(4, axis=2)
    assert reduced(enlarged).shape == small.shape
    np.testing.assert_allclose(statistics(enlarged), statistics(reduced(enlarged)))
    assert reduced(small) is small


def test_the_model_sees_a_picture_at_its_own_size() -> None:
    """An engine gets the card's size, also of a part of the picture; one too small is not cut."""
    _, card = drawn(image_size=64)
    seen: list[tuple[int, ...]] = []

    class Engine:
        name = "torch"

        def run(self, pictures: np.ndarray) -> np.ndarray:
            seen.append(pictures.shape)
            return np.zeros((len(pictures), 10), np.float32)

    predictor = Predictor(Engine(), card)
    picture = noise(1, 140, 3)[0]
    predictor.predict([picture])
    assert predictor.input_of(picture).shape == (64, 64, 3)
    predictor.closer(picture)
    assert predictor.closer(picture[:120]) is None
    assert seen == [(1, 64, 64, 3), (3, 64, 64, 3)]


@pytest.mark.parametrize("size", [0, 27, 225, "64", None, 64.0])
def test_a_card_of_an_impossible_size_is_refused(size: Any) -> None:
    """It decides how much memory a picture takes."""
    values = {**drawn()[1].to_json(), "image_size": size}
    with pytest.raises(CheckpointError, match="does not have a valid image size"):
        Card.from_json(values)
