"""The layout of a data set: which folders are splits, which are classes, and what a run says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hyperhive.common.errors import DatasetError
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest, LoadedDataset, digits, load
from hyperhive.model.training import TrainingData

CLASSES = ("ash", "sky")
TRAIN, VALIDATION, TEST = 0, 100, 200
"""Added to the red of the images of each split."""


def lay(root: Path, folders: dict[str, int], images: int = 4) -> Path:
    """Write class folders into these folders; the red of each image tells folder and number."""
    for folder, shade in folders.items():
        for k, name in enumerate(CLASSES):
            (root / folder / name).mkdir(parents=True)
            for n in range(images):
                red = shade + 10 * k + n
                Image.new("RGB", (28, 28), (red, 0, 0)).save(root / folder / name / f"{n}.png")
    return root


def read(root: Path, **how: Any) -> LoadedDataset:
    return load(DatasetRequest("folder", root, **how), lambda done, total: None)


def reds(images: np.ndarray) -> set[int]:
    return {int(image[0, 0, 0]) // 100 * 100 for image in images}


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("Train", "Test"), ("TRAIN", "TEST"), ("training", "testing")],
)
def test_splits_have_common_names_in_any_case(tmp_path: Path, train: str, test: str) -> None:
    """The folders above the classes are splits, not classes."""
    dataset = read(lay(tmp_path / "set", {train: TRAIN, test: TEST})).dataset
    assert dataset.classes == CLASSES
    assert (reds(dataset.train_images), reds(dataset.test_images)) == ({TRAIN}, {TEST})
    assert dataset.validation == 0


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val", "VALIDATION"])
def test_a_validation_folder_is_the_validation_split(tmp_path: Path, name: str) -> None:
    """Its images are those that every trial is validated on, whatever the share and the seed."""
    root = lay(tmp_path / "set", {"train": TRAIN, name: VALIDATION, "test": TEST})
    dataset = read(root).dataset
    assert dataset.classes == CLASSES
    assert reds(dataset.test_images) == {TEST}
    kept, held_out = dataset.validation_split(0.5, seed=3)
    assert reds(dataset.train_images[kept]) == {TRAIN}
    assert reds(dataset.train_images[held_out]) == {VALIDATION}
    assert dataset.card()["validation"] == 8


def test_a_training_holds_out_the_validation_folder(tmp_path: Path) -> None:
    """A trial trains on train/ and is validated on valid/; the refit has both."""
    root = lay(tmp_path / "set", {"train": TRAIN, "valid": VALIDATION, "test": TEST})
    data = TrainingData(read(root).dataset, torch.device("cpu"))
    config = {"dataset": data.dataset.content_hash, "learning_rate": 0.1, "epochs": 1}
    images, _, held, _ = data.split(TrainConfig(**config, momentum=0.0))
    assert (int(images[:, 0].max()), int(held[:, 0].min())) == (TRAIN + 13, VALIDATION)
    images, _, held, _ = data.split(TrainConfig(**config, momentum=0.0, train_on_all=True))
    assert (len(images), len(held)) == (16, 0)


def test_without_a_test_folder_a_fifth_of_the_training_images_is_the_test(tmp_path: Path) -> None:
    """With train/ and val/ alone, val/ stays the validation split, and a line says the rest."""
    loaded = read(lay(tmp_path / "set", {"train": TRAIN, "val": VALIDATION}, images=10))
    dataset = loaded.dataset
    assert dataset.classes == CLASSES
    assert (len(dataset.test_labels), dataset.validation) == (4, 20)
    assert reds(dataset.test_images) == {TRAIN}
    assert loaded.contents()[-1] == (
        "  splits: train/ is the train split, val/ is the validation split, a fifth of each class "
        "in train/ is the test split, chosen by the seed"
    )


def test_a_split_without_training_images_is_refused(tmp_path: Path) -> None:
    """test/ and val/ alone are not two classes."""
    with pytest.raises(DatasetError, match="test/ and val/ are splits, but no train/"):
        read(lay(tmp_path / "set", {"test": TEST, "val": VALIDATION}))


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    """val/ and valid/ cannot both be the validation split."""
    root = lay(tmp_path / "set", {"train": TRAIN, "val": VALIDATION, "valid": TEST})
    with pytest.raises(DatasetError, match="val/ and valid/ are all the validation split"):
        read(root)


def test_a_class_may_have_the_name_of_a_split(tmp_path: Path) -> None:
    """Among buses and ships, train is a class."""
    for k, name in enumerate(("bus", "ship", "train")):
        (tmp_path / name).mkdir()
        for n in range(3):
            Image.new("RGB", (28, 28), (20 * k + n, 0, 0)).save(tmp_path / name / f"{n}.png")
    assert read(tmp_path).dataset.classes == ("bus", "ship", "train")


def test_classes_that_differ_between_splits_are_refused(tmp_path: Path) -> None:
    """The error names both folders as they are, and the class."""
    root = lay(tmp_path / "set", {"Train": TRAIN, "valid": VALIDATION, "Test": TEST})
    (root / "valid" / "sky").rename(root / "valid" / "sea")
    with pytest.raises(DatasetError, match=r"Train/ and valid/ must .* has sea, sky"):
        read(root)


def test_folders_beside_the_splits_are_named(tmp_path: Path) -> None:
    """What is in no split is left out, and a notice says so; --strict refuses it."""
    root = lay(tmp_path / "set", {"train": TRAIN, "test": TEST, "extra": VALIDATION})
    (notice,) = read(root).notices
    assert notice.startswith("left out 8 pictures outside every class folder: extra/ash/0.png, ")
    with pytest.raises(DatasetError, match=r"extra/ash/0\.png is left out.*omit --strict"):
        read(root, strict=True)


def test_splits_inside_the_classes_are_named(tmp_path: Path) -> None:
    """ash/train and ash/test are one class, and a notice says that they are no splits."""
    for shade, name in enumerate(CLASSES):
        for n, split in enumerate(("train", "test")):
            (tmp_path / name / split).mkdir(parents=True)
            for k in range(2):
                image = Image.new("RGB", (28, 28), (100 * shade + 10 * n + k, 0, 0))
                image.save(tmp_path / name / split / f"{k}.png")
    loaded = read(tmp_path)
    assert loaded.dataset.classes == CLASSES
    assert any("the folders in ash are not taken as splits" in each for each in loaded.notices)


# -- hashes -----------------------------------------------------------------------------------


def test_data_sets_of_earlier_versions_keep_their_hash(tmp_path: Path) -> None:
    """A stored study goes on: its images are the same data set as before."""
    assert digits().content_hash == (
        "6a89328b83bb4a3be13bf3f8cb4a5b8679eed7aecdb3b6711579e83efeee6066"
    )
    folder = lay(tmp_path / "a", {".": TRAIN}, images=10)
    split = lay(tmp_path / "b", {"train": TRAIN, "test": TEST})
    assert [read(root).dataset.content_hash for root in (folder, split)] == [
        "daef4ad8ea312fd8c33e802d0c87ed177b7a5c563d30a8b54a3cbaba561e44a3",
        "99f77ef2a5b942f9751dd25c77ae6470aaf006cfafb9d32f2b1a4d8f9ac8e7ad",
    ]


def test_the_faces_keep_their_hash(faces_zip: Path) -> None:
    """A data set of class folders in a zip is the same as before."""
    assert read(faces_zip, gray=True).dataset.content_hash[:12] == "04942c92de7e"


def test_an_older_worker_refuses_validation_images_that_it_would_train_on(tmp_path: Path) -> None:
    """It knows no validation images: it computes another hash, and so it trains on nothing."""
    root = lay(tmp_path / "set", {"train": TRAIN, "valid": VALIDATION, "test": TEST})
    dataset = read(root).dataset
    arrays = (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
    as_read_by_it = Dataset(dataset.name, dataset.classes, *arrays)
    assert as_read_by_it.content_hash != dataset.content_hash
    again = Dataset.unpack(dataset.pack(), dataset.content_hash)
    assert again.validation == dataset.validation == 8


@pytest.mark.parametrize("validation", [-1, 4, 5, 3])
def test_impossible_validation_images_are_refused(validation: int) -> None:
    """Each class has images to train on and images to validate on."""
    images, labels = np.zeros((4, 28, 28, 1), np.uint8), np.array([0, 1, 0, 1])
    assert Dataset("x", CLASSES, images, labels, images, labels, 2).validation == 2
    with pytest.raises(DatasetError):
        Dataset("x", CLASSES, images, labels, images, labels, validation)
