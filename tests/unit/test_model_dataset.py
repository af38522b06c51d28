"""A data set in memory: checked when built, packed without code, identified by its content."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.dataset import Dataset, stratified_split

RANDOM = np.random.RandomState(0)


def tiny(channels: int = 1, **changes: Any) -> Dataset:
    """Return a data set of two classes, four training images and two test images."""
    fields: dict[str, Any] = {
        "name": "tiny",
        "classes": ("cat", "dög"),
        "train_images": np.arange(4 * 784 * channels, dtype=np.int64).astype(np.uint8),
        "train_labels": np.array([0, 1, 0, 1]),
        "test_images": np.full((2, 28, 28, channels), 7, np.uint8),
        "test_labels": np.array([1, 0]),
    }
    fields["train_images"] = fields["train_images"].reshape(4, 28, 28, channels)
    return Dataset(**{**fields, **changes})


def packed_as(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def arrays_of(dataset: Dataset) -> dict[str, Any]:
    return {name: np.array(value) for name, value in vars(dataset).items()}


# -- what a data set must be ------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ("cat",)},
        {"classes": ()},
        {"classes": ("cat", "dog", "cow")},
        {"train_images": np.zeros((4, 28, 28, 1), np.float32)},
        {"train_images": np.zeros((4, 32, 32, 1), np.uint8)},
        {"train_images": np.zeros((4, 28, 28, 2), np.uint8)},
        {"train_images": np.zeros((4, 28, 28), np.uint8)},
        {"train_images": np.zeros((3, 28, 28, 1), np.uint8)},
        {"train_images": np.zeros((), np.uint8)},
        {"test_images": np.zeros((0, 28, 28, 1), np.uint8), "test_labels": np.zeros(0, np.int64)},
        {"train_labels": np.array([0, 1, 0, 1], np.int32)},
        {"train_labels": np.array([0, 1, 0, 2])},
        {"train_labels": np.array([0, 1, 0, -1])},
        {"train_labels": np.array([0, 0, 0, 0])},
        {"test_labels": np.array([1, 1])},
        {"test_labels": np.array([[1, 0]])},
        {"test_images": np.zeros((2, 28, 28, 3), np.uint8)},
    ],
)
def test_a_data_set_that_cannot_be_trained_on_is_refused(changes: dict[str, Any]) -> None:
    """Wrong shapes, types, labels or channels, and classes without images, are refused."""
    with pytest.raises(DatasetError):
        tiny(**changes)


def test_a_card_says_what_a_data_set_is() -> None:
    """A card has the name, classes, channels and counts, in types that JSON accepts."""
    assert tiny(channels=3).card() == {
        "name": "tiny",
        "classes": ["cat", "dög"],
        "channels": 3,
        "train": 4,
        "test": 2,
    }


def test_normalisation_is_that_of_the_training_images() -> None:
    """It is the mean and deviation of each channel over all training pixels, in 0..1."""
    images = np.zeros((4, 28, 28, 3), np.uint8)
    images[..., 1] = 255
    images[:2, ..., 2] = 255
    mean, std = tiny(3, train_images=images).normalisation()
    assert mean == pytest.approx([0, 1, 0.5])
    assert std[2] == pytest.approx(0.5)
    assert min(std) > 0


# -- the hash ---------------------------------------------------------------------------------


def test_the_hash_is_that_of_the_content() -> None:
    """The same content has the same hash, with any name and any memory layout."""
    one = tiny()
    transposed = np.asfortranarray(one.train_images)
    assert tiny().content_hash == one.content_hash
    assert tiny(name="other").content_hash == one.content_hash
    assert tiny(train_images=transposed).content_hash == one.content_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ("dög", "cat")},
        {"train_labels": np.array([1, 0, 1, 0])},
        {"test_labels": np.array([0, 1])},
        {"test_images": np.full((2, 28, 28, 1), 8, np.uint8)},
    ],
)
def test_another_content_has_another_hash(changes: dict[str, Any]) -> None:
    """The hash depends on classes, labels and pixels."""
    assert tiny(**changes).content_hash != tiny().content_hash


def test_one_pixel_makes_another_hash() -> None:
    """One changed bit gives another hash."""
    images = tiny().train_images.copy()
    images[3, 27, 27, 0] ^= 1
    assert tiny(train_images=images).content_hash != tiny().content_hash


def test_what_is_moved_from_training_to_test_makes_another_hash() -> None:
    """The same images in another split have another hash."""
    one = tiny()
    images = np.concatenate([one.train_images, one.test_images])
    labels = np.concatenate([one.train_labels, one.test_labels])
    other = Dataset("tiny", one.classes, images[:2], labels[:2], images[2:], labels[2:])
    assert other.content_hash != one.content_hash


# -- packing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_a_packed_data_set_comes_back(channels: int) -> None:
    """Name, classes, arrays and hash survive packing."""
    before = tiny(channels)
    after = Dataset.unpack(before.pack(), before.content_hash)
    assert (after.name, after.classes) == (before.name, before.classes)
    assert after.content_hash == before.content_hash
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        assert np.array_equal(getattr(after, name), getattr(before, name))


def test_another_data_set_than_the_one_asked_for_is_refused() -> None:
    """A data set with another hash than requested is refused."""
    with pytest.raises(DatasetError, match="hash 0000"):
        Dataset.unpack(tiny().pack(), "0" * 64)


def unreadable() -> list[Any]:
    bare = io.BytesIO()
    np.save(bare, tiny().train_images)
    missing = {key: value for key, value in arrays_of(tiny()).items() if key != "test_labels"}
    return [
        pytest.param(b"", id="nothing"),
        pytest.param(b"PK\x03\x04", id="a signature"),
        pytest.param(tiny().pack()[:-100], id="truncated"),
        pytest.param(bare.getvalue(), id="one array"),
        pytest.param(packed_as(missing), id="an array missing"),
        pytest.param(packed_as({**arrays_of(tiny()), "classes": np.array("cat")}), id="no list"),
        pytest.param(packed_as({**arrays_of(tiny()), "train_images": np.array(1)}), id="a scalar"),
    ]


@pytest.mark.parametrize("data", unreadable())
def test_what_cannot_be_unpacked_is_refused_in_words(data: bytes) -> None:
    """Bytes that are not a packed data set raise ``DatasetError``."""
    with pytest.raises(DatasetError):
        Dataset.unpack(data, tiny().content_hash)


def test_any_damage_is_refused_in_words_or_does_no_harm() -> None:
    """With any byte changed, a packed data set is refused or reads as the same data set."""
    whole = tiny(
        train_images=np.zeros((4, 28, 28, 1), np.uint8),
        test_images=np.zeros((2, 28, 28, 1), np.uint8),
    )
    data = packed_as(arrays_of(whole))
    for place in [
        *range(400),
        *range(400, len(data) - 1000, 97),
        *range(len(data) - 1000, len(data)),
    ]:
        damaged = bytearray(data)
        damaged[place] ^= 0x11
        try:
            unpacked = Dataset.unpack(bytes(damaged), whole.content_hash)
        except DatasetError:
            continue
        assert unpacked.content_hash == whole.content_hash


def test_a_data_set_cannot_be_changed() -> None:
    """A data set is immutable, so its hash stays valid."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny().name = "other"  # type: ignore[misc]


# -- splitting --------------------------------------------------------------------------------


@given(
    counts=st.lists(st.integers(2, 40), min_size=2, max_size=6),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_split_is_stratified(counts: list[int], fraction: float, seed: int) -> None:
    """The two parts are disjoint and complete, and each has the same share of every class."""
    labels = np.random.RandomState(1).permutation(np.repeat(np.arange(len(counts)), counts))
    kept, held_out = stratified_split(labels, fraction, seed)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    assert list(kept) == sorted(kept)
    assert list(held_out) == sorted(held_out)
    for label, count in enumerate(counts):
        out = int((labels[held_out] == label).sum())
        assert 1 <= out <= count - 1
        assert abs(out - fraction * count) <= 1


def test_a_split_is_decided_by_its_seed() -> None:
    """The same seed holds out the same images, and another seed holds out others."""
    labels = np.repeat(np.arange(4), 50)
    first = stratified_split(labels, 0.2, seed=1)[1]
    assert np.array_equal(first, stratified_split(labels, 0.2, seed=1)[1])
    assert not np.array_equal(first, stratified_split(labels, 0.2, seed=2)[1])


def test_a_split_is_the_same_on_every_device() -> None:
    """The held-out images are those of NumPy's frozen random stream."""
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    random = np.random.RandomState(7)
    expected = sorted([random.permutation(5)[0], 5 + random.permutation(5)[0]])
    assert stratified_split(labels, 0.2, seed=7)[1].tolist() == expected


def test_a_class_of_one_cannot_be_split() -> None:
    """A class with a single image is refused, because both parts need one."""
    with pytest.raises(DatasetError):
        stratified_split(np.array([0, 0, 1]), 0.5, seed=0)


def test_a_data_sets_validation_split_is_of_its_training_images() -> None:
    """A data set splits its training images by fraction and seed."""
    labels = RANDOM.permutation(np.repeat(np.arange(2), 20))
    dataset = tiny(train_images=np.zeros((40, 28, 28, 1), np.uint8), train_labels=labels)
    kept, held_out = dataset.validation_split(0.25, 3)
    expected = stratified_split(labels, 0.25, 3)
    assert np.array_equal(kept, expected[0])
    assert np.array_equal(held_out, expected[1])
    assert (len(kept), len(held_out)) == (30, 10)
