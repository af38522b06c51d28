"""Pictures that are there twice or nearly so: found, shown and dropped."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.copies import drop_copies, exact_copies, pictures
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.inspection.near import SIMILARITY, nearest
from hyperhive.model.data.inspection.report import inspect
from hyperhive.model.data.loaded import LoadedDataset
from hyperhive.model.data.loading import DatasetRequest, digits, load, read


def noise(count: int, seed: int = 0) -> np.ndarray:
    """Return pictures with soft shapes, uint8 ``[count, 28, 28, 3]``."""
    rough = np.random.RandomState(seed).randint(0, 256, (count, 7, 7, 3)).astype(np.uint8)
    resized = [Image.fromarray(each).resize((28, 28), Image.Resampling.BICUBIC) for each in rough]
    return np.stack([np.asarray(each) for each in resized])


def dataset(train: str, test: str, own: int = 0) -> Dataset:
    """Return a data set of pictures by letter; those of a capital are of class 1."""
    shown = noise(26)

    def part(letters: str) -> tuple[np.ndarray, np.ndarray]:
        images = np.stack([shown[ord(each.lower()) - ord("a")] for each in letters])
        return images, np.array([int(each.isupper()) for each in letters])

    return Dataset("letters", ("low", "high"), *part(train), *part(test), own)


@pytest.mark.parametrize(
    ("train", "own", "test", "left"),
    [
        ("abXYab", 0, "cZ", ("abXY", "cZ")),  # in one split the first stays
        ("abXYcZ", 0, "cZ", ("abXY", "cZ")),  # the test picture stays
        ("dabXYaZbX", 4, "cW", ("dYaZbX", "cW")),  # a validation picture stays, not a training one
        ("abXYc", 0, "cWA", ("bXY", "cW")),  # of a picture with two labels none stays
    ],
)
def test_of_equal_pictures_one_stays(
    train: str, own: int, test: str, left: tuple[str, str]
) -> None:
    """Of several splits it is the test split's, and of contradicting labels none."""
    before, expected = dataset(train, test, own), dataset(*left, own)
    after, kept, dropped = drop_copies(before, exact_copies(before))
    assert after.content_hash == expected.content_hash
    assert len(dropped) == (~kept).sum() == len(train + test) - len("".join(left))


@pytest.mark.parametrize(
    ("train", "own", "test", "said"),
    [
        ("abXYcZ", 2, "cZ", "no validation image is left: add other ones, or omit them all"),
        ("abXYcZ", 2, "aZXYb", "class high has no training image"),
        ("abXYcWZ", 3, "cZ", "class low has no validation image"),
    ],
)
def test_a_split_that_would_be_gone_is_told(train: str, own: int, test: str, said: str) -> None:
    """No study chooses other validation images than those that its owner thinks it has."""
    before = dataset(train, test, own)
    with pytest.raises(DatasetError, match=f"^without the duplicates, {said}"):
        drop_copies(before, exact_copies(before))


def test_drop_duplicates_says_how_many(simpsons_zip: Path) -> None:
    """Simpsons-MNIST has two pictures in both splits and four twice among the training pictures."""
    request = DatasetRequest("simpsons", simpsons_zip, drop_duplicates=True)
    loaded = load(request, lambda done, total: None)
    assert loaded.details[-1] == "dropped 6 duplicates: 6 train"
    assert loaded.notices == ()
    assert (len(loaded.dataset.train_labels), len(loaded.dataset.test_labels)) == (7994, 2000)
    assert len(loaded.paths) == 9994


# -- nearly the same --------------------------------------------------------------------------


def saved_again(picture: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95)
    return np.asarray(Image.open(buffer))


def test_near_duplicates_are_what_comparing_all_pixels_finds() -> None:
    """Pictures saved again, brighter or duller are found in their split; equal ones are not."""
    images = noise(3000)
    tests = images[:8].copy()
    tests[0] = saved_again(images[0])
    tests[1] = images[1] // 2 + 60
    tests[2] = 255 - images[2]
    tests[3:] = noise(5, seed=1)
    tests[7] = images[7]
    data = Dataset("n", ("a", "b"), images, np.arange(3000) % 2, tests, np.arange(8) % 2)
    near = nearest(data, pictures(data), exact_copies(data))
    assert near.index[3000:, 0].tolist() == [0, 1, -1, -1, -1, -1, -1, -1]
    assert near.index[[0, 1, 2, 7], 2].tolist() == [3000, 3001, -1, -1]
    flat = np.concatenate([images, tests]).reshape(3008, -1).astype(np.float64)
    correlation = np.corrcoef(flat) - np.eye(3008)
    correlation[7, 3007] = correlation[3007, 7] = 0
    expected = correlation[:, :3000].max(axis=1)
    found = near.correlation[:, 0]
    assert np.allclose(found, np.where(expected >= SIMILARITY, expected, 0), atol=1e-4)


def test_an_inspection_names_what_is_wrong(simpsons_zip: Path) -> None:
    """Simpsons-MNIST has two pictures in both splits, and neighbours of a film in them."""
    loaded = read(DatasetRequest("simpsons", simpsons_zip), lambda done, total: None)
    lines = inspect(loaded).lines()
    [between] = [line for line in lines if line.startswith("exact duplicates between splits: ")]
    assert between.count(" = ") == 2
    assert "train/bart_simpson/pic_0340.jpg" in between
    assert "test/bart_simpson/pic_0293.jpg" in between
    assert any("178 of 2,000 test images look like one of the train split" in x for x in lines)
    assert "sizes: 28x28 (10,000)" in lines
    assert "balance: each class has 800 training images" in lines


def test_an_uneven_data_set_is_told(tmp_path: Path) -> None:
    """The largest class, the smallest, and what is right by always saying the largest."""
    lines = inspect(LoadedDataset(dataset("abcdeXY", "fghZ"))).lines()
    assert (
        "balance: low has 2.5 times as many training images as high (5 and 2); who always says low "
        "is right for 75.0 % of the test images"
    ) in lines
    assert "exact duplicates: none" in lines


def test_one_picture_in_two_classes_is_told_and_a_long_list_is_cut() -> None:
    """A picture that is there often is listed a few times, and none of its pairs are near."""
    lines = inspect(LoadedDataset(dataset("ab" + 8 * "c" + "XC", "dZ"))).lines()
    copies = " = ".join(f"train image {number}" for number in range(2, 7)) + " and 4 more"
    assert f"exact duplicates in one split: {copies}" in lines
    assert f"exact duplicates in two classes, of which one must be wrong: {copies}" in lines
    assert "near duplicates (correlation 0.98 or more): none" in lines


def test_whether_pictures_may_be_mirrored_is_kept_beside_the_content() -> None:
    """It travels with the data set, is no part of the hash, and digits may not be."""
    assert not digits().may_mirror
    again = Dataset.unpack(digits().pack(), digits().content_hash)
    assert not again.may_mirror
    plain = dataset("abX", "cY")
    assert Dataset.unpack(plain.pack(), plain.content_hash).may_mirror
    forced = load(DatasetRequest("digits", mirror=True), lambda done, total: None).dataset
    assert forced.may_mirror
    assert forced.content_hash == digits().content_hash
