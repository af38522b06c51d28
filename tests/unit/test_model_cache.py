"""A device's copies of data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.cache import DatasetCache
from hyperhive.model.data.dataset import Dataset
from hyperhive.store.errors import NotFound
from hyperhive.store.store import Store


@pytest.fixture
def dataset() -> Dataset:
    """Return a small data set."""
    images = np.arange(8 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(8, 28, 28, 1)
    labels = np.array([0, 1] * 4, np.int64)
    return Dataset("tiny", ("a", "b"), images, labels, images, labels)


def publish(store: Store, dataset: Dataset) -> str:
    store.datasets.publish(dataset.content_hash, dataset.pack(), dataset.card())
    return dataset.content_hash


def unpublish(store: Store) -> None:
    store.client.hyperhive.datasets.delete_many({})


def test_a_data_set_is_fetched_once(store: Store, dataset: Dataset, tmp_path: Path) -> None:
    """After the first fetch a data set is read from disk, by other processes too."""
    name = publish(store, dataset)
    directory = tmp_path / "not" / "there" / "yet"
    assert DatasetCache(directory).get(name, store.datasets.fetch).content_hash == name
    unpublish(store)
    assert DatasetCache(directory).get(name, store.datasets.fetch).content_hash == name
    assert [path.name for path in directory.iterdir()] == [name + ".npz"]


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_file_is_fetched_again(
    store: Store, dataset: Dataset, tmp_path: Path, damage: bytes
) -> None:
    """A cached file that is empty, garbage, or another data set is replaced by the right one."""
    name = publish(store, dataset)
    other = Dataset("x", ("a", "b"), *[dataset.test_images[::-1], dataset.test_labels] * 2)
    file = tmp_path / (name + ".npz")
    file.write_bytes(other.pack() if damage is None else damage)
    assert DatasetCache(tmp_path).get(name, store.datasets.fetch).content_hash == name
    assert Dataset.unpack(file.read_bytes(), name).content_hash == name


def test_a_cache_that_cannot_be_written_costs_only_the_copy(
    store: Store, dataset: Dataset, tmp_path: Path
) -> None:
    """If the directory cannot be created, because a file is in its way, only the copy is lost."""
    (tmp_path / "file").write_text("in the way")
    cache = DatasetCache(tmp_path / "file" / "cache")
    assert (
        cache.get(publish(store, dataset), store.datasets.fetch).content_hash
        == dataset.content_hash
    )


def test_a_data_set_that_nobody_has_is_refused(store: Store, tmp_path: Path) -> None:
    """A hash that is neither cached nor published raises ``NotFound`` and leaves no file."""
    with pytest.raises(NotFound, match="data set abc"):
        DatasetCache(tmp_path).get("abc1" * 16, store.datasets.fetch)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "abc", "../" * 21 + "x", "A" * 64])
def test_a_path_is_not_a_hash(name: str, tmp_path: Path) -> None:
    """A path in place of a hash is refused before anything is read or fetched."""
    with pytest.raises(DatasetError, match="is not the hash of a data set"):
        DatasetCache(tmp_path).get(name, lambda asked: pytest.fail("fetched " + asked))


def test_a_copy_that_cannot_be_read_is_fetched_again(
    store: Store, dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that the system cannot read costs no trial; its reason is told, and the way out."""
    name = publish(store, dataset)
    (tmp_path / (name + ".npz")).mkdir()  # neither can be read nor replaced, not even by root
    assert DatasetCache(tmp_path).get(name, store.datasets.fetch).content_hash == name
    assert "cannot be read and is fetched again (Is a directory)" in caplog.text
    assert "set XDG_CACHE_HOME to another folder" in caplog.text
