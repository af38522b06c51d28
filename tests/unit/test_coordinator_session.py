"""What ``hyperhive coordinator`` says of a data set before anything is trained."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.console import Screen
from hyperhive.coordinator.planning.datasets import loading
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest, LoadedDataset, load

SPLITS = ("train", "valid", "test")


def no_progress(done: int, total: int) -> None:
    pytest.fail("a download was not expected")


def printed(loaded: LoadedDataset) -> list[str]:
    console = Screen(file=io.StringIO(), width=40)
    loading(lambda progress: loaded, console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_a_run_prints_classes_counts_and_what_is_left_out(tmp_path: Path) -> None:
    """Before anything is trained, there is a line a class, and one for each thing to know."""
    root = tmp_path / "set"
    for red, folder in enumerate(f"{split}/{name}" for split in SPLITS for name in ("ash", "sky")):
        (root / folder).mkdir(parents=True)
        for n in range(4):
            image = Image.new("RGB", (28, 28), (10 * red + n, 0, 0))
            image.save(root / folder / f"{n}.png")
    (root / "train" / "ash" / "notes.txt").write_text("x")
    (root / "train" / "ash" / ".DS_Store").write_text("x")
    assert printed(load(DatasetRequest("folder", root), no_progress)) == [
        "data set set: 2 classes, 24 images in colour",
        "  ash: 4 train, 4 validation, 4 test",
        "  sky: 4 train, 4 validation, 4 test",
        "  splits: train/ is the train split, valid/ is the validation split, test/ is the test "
        "split",
        "  left out hidden and system files: .DS_Store",
        "left out 1 file of a format that Pillow does not read: train/ash/notes.txt",
    ]


def test_many_classes_are_summed_up() -> None:
    """From the thirteenth class on, one line has the fewest and the most images of a class."""
    labels = np.repeat(np.arange(14), [3] * 12 + [2, 5])
    images = np.zeros((len(labels), 28, 28, 1), np.uint8)
    tests = np.arange(14)
    classes = tuple(f"c{n:02d}" for n in range(14))
    dataset = Dataset("many", classes, images, labels, images[:14], tests)
    lines = printed(LoadedDataset(dataset, ("splits: as they come",)))
    assert lines[:2] == ["data set many: 14 classes, 57 images in grey", "  c00: 3 train, 1 test"]
    assert lines[12:] == [
        "  c11: 3 train, 1 test",
        "  and 2 more: 2 to 5 train, 1 test",
        "  splits: as they come",
    ]


def test_the_digits_are_described_too() -> None:
    """Every data set is."""
    lines = printed(load(DatasetRequest("digits"), no_progress))
    assert lines[0] == "data set digits: 10 classes, 1,797 images in grey"
    assert lines[-1] == "  splits: a fifth of each class is the test split"
