"""Series: pictures that were taken one after the other are on one side of every split."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.dataset import Dataset, stratified_split
from hyperhive.model.data.loading import DatasetRequest, LoadedDataset, load
from hyperhive.model.data.series import (
    CORRECTED,
    divided_within,
    kept_together,
    new_series,
    numbers_of,
    picture_name,
    series_fold,
    series_of,
    series_split,
)

SERIES = [f"20261130-0645{second:02d}-a1b2" for second in range(60)]


def of_sizes(*sizes: int) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


def collected(root: Path, **series: list[int]) -> LoadedDataset:
    """Write series of so many pictures into class folders, each of another colour; read them."""
    free = iter(SERIES)
    for k, (name, sizes) in enumerate(series.items()):
        (root / name).mkdir(parents=True)
        for which, size in enumerate(sizes):
            own = next(free)
            for number in range(size):
                colour = (80 * k, 20 * which, number)
                Image.new("RGB", (28, 28), colour).save(root / name / picture_name(own, number))
    return load(DatasetRequest("folder", root), lambda done, total: None)


def series_in(images: np.ndarray) -> set[tuple[int, int]]:
    """Return class and series of pictures by their colour."""
    return {(int(image[0, 0, 0]), int(image[0, 0, 1])) for image in images}


def test_a_name_tells_its_series() -> None:
    """A new series has a name of its own, from which its pictures' names are made and read."""
    series = new_series(0.0)
    assert series_of(picture_name(series, 7)) == series != new_series(0.0)
    assert series_of(picture_name(series, 1000)) == series
    assert series_of("IMG_0007.png") is None
    assert numbers_of([PurePosixPath("a.png"), PurePosixPath("b.png")]) is None
    names = ["a.png", picture_name(series, 0), "b.png", picture_name(series, 1)]
    found = numbers_of([PurePosixPath("cup", name) for name in names])
    assert found is not None
    assert found[1] == found[3]
    assert len(set(found.tolist())) == 3


@pytest.mark.parametrize("seed", range(8))
def test_a_series_is_on_one_side(seed: int) -> None:
    """As many whole series are held out as come near to the share, of each class at least one."""
    series = of_sizes(*[5] * 8, *[10] * 3, 20, 4, 6, *[1] * 20)
    labels = np.repeat([0, 1, 2, 3], [40, 30, 30, 20])
    kept, out = series_split(labels, series, 0.2, seed)
    assert sorted([*kept, *out]) == list(range(len(labels)))
    assert not set(series[kept]) & set(series[out])
    counts = np.bincount(labels[out])
    assert counts.tolist()[:2] == [10, 10]
    assert counts[2] in (4, 6, 10)
    assert counts[3] == 4


def test_corrected_pictures_are_always_trained_on() -> None:
    """They are on no other side of a split or a fold, unless a class has nothing else."""
    cups = [PurePosixPath("cup", picture_name(f"20260101-00000{n}-abcd", 0)) for n in range(8)]
    later = [PurePosixPath("cup", picture_name(f"20260102-00000{n}-abcd", 0)) for n in range(8)]
    wrong = [each.parent / CORRECTED / each.name for each in later]
    beside = PurePosixPath("cup", picture_name("20260102-000003-abcd", 1))  # it was right
    numbers = numbers_of([*cups, *wrong, beside])
    assert numbers is not None
    assert set(numbers[8:]) == {-1}
    series = np.concatenate([numbers[:16], numbers[8:16]])
    labels = np.repeat([0, 1], [16, 8])
    assert divided_within(labels, series).tolist() == [1]
    for seed in range(8):
        _, out = series_split(labels, series, 0.5, seed)
        assert len([index for index in out if index < 8]) == 7
        assert not [index for index in out if 8 <= index < 16]
        assert len([index for index in out if index >= 16]) == 4
        folds = [series_fold(labels, series, 4, fold, seed)[1] for fold in range(4)]
        assert sorted(np.concatenate(folds)) == [*range(8), *range(16, 24)]


def test_what_is_left_out_leaves_its_class() -> None:
    """Whole series of a class with three or more; single pictures otherwise."""
    labels = np.repeat([0, 1, 2], [6, 4, 5])
    series = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, -1])
    together = kept_together(labels, series)
    assert together[:6].tolist() == [0, 0, 1, 1, 2, 2]
    assert len(set(together[6:10])) == 4
    assert together[10:14].tolist() == [5, 5, 6, 7]
    assert together[14] not in together[:14]


def test_a_class_of_one_series_is_divided_within_it() -> None:
    """Beside another class that has several; the numbers are those of any split."""
    labels, series = of_sizes(20, 20), of_sizes(20, 10, 10)
    _, out = series_split(labels, series, 0.2, 0)
    assert np.bincount(labels[out]).tolist() == [4, 10]
    with pytest.raises(DatasetError, match="one image cannot be split"):
        series_split(np.array([0, 0, 1]), np.array([0, 1, 2]), 0.2, 0)


def test_a_series_of_two_classes_is_on_one_side() -> None:
    """What was decided for the first class holds for the next."""
    labels = of_sizes(30, 30)
    series = np.concatenate([of_sizes(10, 10, 10), of_sizes(10, 10, 10) + 1])
    for seed in range(8):
        kept, out = series_split(labels, series, 0.3, seed)
        assert not set(series[kept]) & set(series[out])
        assert np.bincount(labels[out], minlength=2).min() >= 10


def test_single_pictures_are_split_as_if_there_were_no_series() -> None:
    """So a class of old pictures beside one with series gets its share to the picture."""
    labels = of_sizes(50, 31)
    counts = [
        np.bincount(labels[out]).tolist()
        for _, out in (
            series_split(labels, np.arange(81), 0.2, 3),
            stratified_split(labels, 0.2, 3),
        )
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("folds", [2, 3, 4])
def test_folds_keep_series_together(folds: int) -> None:
    """Each picture is held out once, with its series, and each fold has each class."""
    labels = np.repeat([0, 1, 2], [40, 24, 12])
    series = of_sizes(*[5] * 8, 9, 7, 4, 4, 12)
    splits = [series_fold(labels, series, folds, fold, 1) for fold in range(folds)]
    assert sorted(np.concatenate([out for _, out in splits])) == list(range(len(labels)))
    for kept, out in splits:
        together = labels[out] < 2  # the last class has one series, which is divided
        assert not set(series[out][together]) & set(series[kept])
        assert np.bincount(labels[out], minlength=3).min() >= 1


def test_a_folder_of_series(tmp_path: Path) -> None:
    """Test, validation and training pictures are of different series, and nothing is noted."""
    loaded = collected(tmp_path / "set", cup=[5] * 6, dog=[7, 8, 15])
    dataset = loaded.dataset
    kept, out = dataset.validation_split(0.2, 0)
    sides = [dataset.train_images[kept], dataset.train_images[out], dataset.test_images]
    found = [series_in(side) for side in sides]
    assert sum(map(len, found)) == len(set().union(*found)) == 9
    assert all({name for name, _ in side} == {0, 80} for side in found)
    assert loaded.notices == ()


def test_few_series_are_noted(tmp_path: Path) -> None:
    """One series is divided for both splits, two for the validation."""
    notices = collected(tmp_path / "set", cup=[20], dog=[10, 10], ear=[5] * 5).notices
    assert [notice.split(":")[0] for notice in notices] == ["cup", "dog"]
    assert "with one series" in notices[0]
    assert "with two series" in notices[1]


def test_series_travel_with_the_data_set(tmp_path: Path) -> None:
    """A worker splits as the coordinator does; without series, hash and bytes are as before."""
    dataset = collected(tmp_path / "set", cup=[5] * 4, dog=[5] * 4).dataset
    there = Dataset.unpack(dataset.pack(), dataset.content_hash)
    for one, other in zip(there.validation_split(0.2, 1), dataset.validation_split(0.2, 1)):
        assert one.tolist() == other.tolist()
    plain = dataclasses.replace(dataset, train_series=None)
    assert plain.content_hash != dataset.content_hash
    assert b"train_series" not in plain.pack()
    assert Dataset.unpack(plain.pack(), plain.content_hash).train_series is None
    with pytest.raises(DatasetError, match="series of training images"):
        dataclasses.replace(dataset, train_series=np.zeros(3, np.int64))


def test_pictures_without_series_have_none(tmp_path: Path) -> None:
    """The data set of a folder with other names is as it was."""
    for name in ("cup", "dog"):
        (tmp_path / name).mkdir()
        for number in range(5):
            shade = (number, len(name), ord(name[0]))
            Image.new("RGB", (28, 28), shade).save(tmp_path / name / f"IMG_{number}.png")
    loaded = load(DatasetRequest("folder", tmp_path), lambda done, total: None)
    assert loaded.dataset.train_series is None


def test_dropped_copies_leave_their_series(tmp_path: Path) -> None:
    """The series of the others are still those of their pictures."""
    root = tmp_path / "set"
    collected(root, cup=[5] * 4, dog=[5] * 4)
    again = root / "cup" / picture_name(SERIES[59], 0)
    again.write_bytes((root / "cup" / picture_name(SERIES[0], 0)).read_bytes())
    request = DatasetRequest("folder", root, drop_duplicates=True)
    dataset = load(request, lambda done, total: None).dataset
    assert dataset.train_series is not None
    shown = [tuple(image[0, 0, :2]) for image in dataset.train_images]
    assert len(set(zip(shown, dataset.train_series.tolist()))) == len(set(shown))
