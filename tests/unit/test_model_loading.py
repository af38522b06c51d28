"""Data sets from every source: their shapes, their classes, and notices to their owner."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Callable, Dict, Iterable

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.errors import DatasetError, UsageError
from hyperhive.model.data.loaded import LoadedDataset
from hyperhive.model.data.loading import (
    DatasetRequest,
    digits,
    load,
    looks_like_simpsons,
)
from hyperhive.model.data.sources.known import KNOWN


def no_progress(done: int, total: int) -> None:
    pytest.fail("a download was not expected")


def read(name: str, data: Path | None = None, **how: bool) -> LoadedDataset:
    return load(DatasetRequest(name, data, **how), no_progress)


def png(shade: int, size: tuple[int, int] = (28, 28)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def classes(
    prefix: str = "", names: Iterable[str] = ("cat", "dog"), n: int = 5
) -> dict[str, bytes]:
    """Return n images per class, each with its own shade."""
    return {
        f"{prefix}{name}/{i}.png": png(10 * k + i + 1)
        for k, name in enumerate(names)
        for i in range(n)
    }


Lay = Callable[[Dict[str, bytes]], Path]


@pytest.fixture(params=["folder", "zip"])
def lay(request: pytest.FixtureRequest, tmp_path: Path) -> Lay:
    """Give a function that writes files to a folder, or to a zip."""

    def folder(content: dict[str, bytes]) -> Path:
        for name, data in content.items():
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return tmp_path / "photos"

    def archive(content: dict[str, bytes]) -> Path:
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
            for name, data in content.items():
                file.writestr(name, data)
        return tmp_path / "photos.zip"

    return folder if request.param == "folder" else archive


def shades(images: np.ndarray) -> set[int]:
    return {int(image[0, 0, 0]) for image in images}


# -- digits and requests ----------------------------------------------------------------------


def test_the_digits_need_nothing_but_scikit_learn() -> None:
    """There are 1,797 grey digits of ten classes, with levels of 0 to 255, split 80:20."""
    loaded = read("digits")
    dataset = loaded.dataset
    assert loaded.notices == ()
    assert dataset.classes == tuple("0123456789")
    assert dataset.train_images.shape[1:] == (28, 28, 1)
    assert len(dataset.train_images) + len(dataset.test_images) == 1797
    assert len(dataset.test_images) == pytest.approx(0.2 * 1797, abs=10)
    assert (dataset.train_images.min(), dataset.train_images.max()) == (0, 255)
    assert digits().content_hash == dataset.content_hash


@pytest.mark.parametrize(
    "request_",
    [
        DatasetRequest("mnist"),
        DatasetRequest("digits", Path("somewhere")),
        DatasetRequest("folder"),
    ],
)
def test_a_contradictory_request_is_a_usage_error(request_: DatasetRequest) -> None:
    """An unknown name, and data that are missing or superfluous, are usage errors."""
    with pytest.raises(UsageError) as refused:
        load(request_, no_progress)
    assert refused.value.exit_code == 2


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """The error lists every data set."""
    with pytest.raises(UsageError) as refused:
        read("mnist")
    assert all(known.name in str(refused.value) for known in KNOWN)


# -- Simpsons-MNIST ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "channels", "content_hash"),
    [("simpsons", 3, "24cb0cc71c6c"), ("simpsons-gray", 1, "75413d2ceeb7")],
)
def test_simpsons_mnist_is_read_from_its_archive(
    simpsons_zip: Path, name: str, channels: int, content_hash: str
) -> None:
    """The archive gives 8,000 training and 2,000 test images of ten characters.

    Its hash is that in most stored studies.
    """
    loaded = read(name, simpsons_zip)
    dataset = loaded.dataset
    assert dataset.name == name
    assert dataset.content_hash[:12] == content_hash
    between_splits, within_bart = loaded.notices
    assert between_splits.startswith("2 pictures are in more than one split, such as ")
    assert within_bart.startswith("4 pictures are there more than once, such as ")
    assert dataset.train_images.shape == (8000, 28, 28, channels)
    assert dataset.test_images.shape == (2000, 28, 28, channels)
    assert len(dataset.classes) == 10
    assert dataset.classes == tuple(sorted(dataset.classes))
    assert {"bart_simpson", "homer_simpson", "lisa_simpson"} < set(dataset.classes)
    assert np.bincount(dataset.train_labels).tolist() == [800] * 10
    assert np.bincount(dataset.test_labels).tolist() == [200] * 10


@pytest.mark.long
@pytest.mark.parametrize("form", ["rgb", "grayscale"])
def test_simpsons_images_are_theirs_pixel_for_pixel(
    tmp_path: Path, simpsons_zip: Path, form: str
) -> None:
    """Images of an extracted archive are read exactly, from any of its top folders."""
    with zipfile.ZipFile(simpsons_zip) as archive:
        few: dict[str, list[str]] = {}
        for member in archive.namelist():
            if member.endswith(".jpg"):
                few.setdefault(member.rpartition("/")[0], []).append(member)
        chosen = [member for members in few.values() for member in members[:2]]
        archive.extractall(tmp_path, chosen)
        wanted = [m for m in chosen if f"/{form}/train/" in m]
        expected = [np.asarray(Image.open(archive.open(member))) for member in wanted]
    name = "simpsons" if form == "rgb" else "simpsons-gray"
    for level in (".", "simpsons-mnist-master", "simpsons-mnist-master/dataset"):
        assert looks_like_simpsons(tmp_path / level)
        dataset = read(name, tmp_path / level).dataset
        assert (len(dataset.train_images), len(dataset.test_images)) == (20, 20)
        for image, pixels in zip(dataset.train_images, expected):
            assert np.array_equal(image.squeeze(), pixels)


def test_other_images_are_not_taken_for_simpsons(lay: Lay) -> None:
    """Another layout is refused, and the error suggests --dataset folder."""
    data = lay(classes())
    assert not looks_like_simpsons(data)
    with pytest.raises(DatasetError, match="--dataset folder"):
        read("simpsons", data)


def test_half_of_simpsons_is_not_taken_for_simpsons(lay: Lay) -> None:
    """The repository's layout is not recognised without its test split."""
    data = lay(classes("dataset/rgb/train/"))
    assert not looks_like_simpsons(data)


# -- folders ----------------------------------------------------------------------------------


def test_a_folder_of_class_folders_is_split(lay: Lay) -> None:
    """Class folders become classes of the same names; a fifth of each is the test split."""
    loaded = read("folder", lay(classes(n=10)))
    dataset = loaded.dataset
    assert dataset.name == "photos"
    assert dataset.classes == ("cat", "dog")
    assert np.bincount(dataset.train_labels).tolist() == [8, 8]
    assert np.bincount(dataset.test_labels).tolist() == [2, 2]
    assert shades(dataset.train_images) | shades(dataset.test_images) == {*range(1, 21)}
    assert not shades(dataset.train_images) & shades(dataset.test_images)
    assert loaded.notices == ()


def test_each_image_has_the_label_of_its_folder(lay: Lay) -> None:
    """Images keep their labels in both splits."""
    dataset = read("folder", lay(classes(n=10))).dataset
    for images, labels in (
        (dataset.train_images, dataset.train_labels),
        (dataset.test_images, dataset.test_labels),
    ):
        assert [int(image[0, 0, 0]) > 10 for image in images] == labels.astype(bool).tolist()


def test_the_split_of_a_folder_follows_the_seed(lay: Lay) -> None:
    """The same seed gives the same data set; other seeds give others."""
    data = lay(classes(n=10))

    def content_hash(seed: int) -> str:
        return load(DatasetRequest("folder", data, seed=seed), no_progress).dataset.content_hash

    assert content_hash(1) == content_hash(1)
    assert len({content_hash(seed) for seed in range(5)}) > 1


def test_train_and_test_folders_are_taken_as_they_are(lay: Lay) -> None:
    """A folder that comes with its split keeps it."""
    data = lay({**classes("train/", n=4), **classes("test/", n=2)})
    dataset = read("folder", data).dataset
    assert dataset.classes == ("cat", "dog")
    assert (len(dataset.train_images), len(dataset.test_images)) == (8, 4)


@pytest.mark.parametrize("wrap", ["inner/", "a/b/c/"])
@pytest.mark.parametrize("split", [True, False])
def test_folders_that_wrap_all_are_stepped_into(lay: Lay, wrap: str, split: bool) -> None:
    """A single folder around everything, as archives often have, is passed over."""
    content = classes(wrap)
    if split:
        content = {**classes(wrap + "train/"), **classes(wrap + "test/")}
    assert read("folder", lay(content)).dataset.classes == ("cat", "dog")


def test_images_in_folders_below_a_class_are_of_that_class(lay: Lay) -> None:
    """Images at any depth of a class folder belong to the class."""
    dataset = read("folder", lay({**classes(n=2), **classes("cat/", ["a", "b"], n=3)})).dataset
    assert dataset.classes == ("cat", "dog")
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    assert np.bincount(labels).tolist() == [8, 2]


def test_files_that_are_not_images_are_left_out(lay: Lay) -> None:
    """Other files in a class folder, and images outside every class folder, are named."""
    content = {"cat/notes.txt": b"x", "cover.png": png(99), "readme.txt": b"x"}
    loaded = read("folder", lay({**classes(), **content}))
    dataset = loaded.dataset
    assert loaded.notices == (
        "left out 1 file of a format that Pillow does not read: cat/notes.txt",
        "left out 1 picture outside every class folder: cover.png",
    )
    assert len(dataset.train_images) + len(dataset.test_images) == 10


def test_a_folder_can_be_read_as_grey(lay: Lay) -> None:
    """``gray`` gives one channel with the luma of the colours."""
    data = lay({f"{shade}/{i}.png": png(shade) for shade in (100, 200) for i in (1, 2)})
    assert read("folder", data).dataset.channels == 3
    grey = read("folder", data, gray=True).dataset
    assert grey.channels == 1
    assert shades(grey.train_images) == {round(0.299 * 100), round(0.299 * 200)}


def test_the_faces_are_a_folder_data_set(faces_zip: Path) -> None:
    """The CMU faces, PGM files in 20 class folders, are read and split."""
    loaded = read("folder", faces_zip, gray=True)
    dataset = loaded.dataset
    assert len(dataset.classes) == 20
    assert {"an2i", "tammo"} <= set(dataset.classes)
    assert dataset.channels == 1
    assert len(dataset.train_images) + len(dataset.test_images) == 624
    counts = np.bincount(dataset.train_labels) + np.bincount(dataset.test_labels)
    assert np.abs(np.bincount(dataset.test_labels) - counts / 5).max() <= 0.5
    assert loaded.notices == ()


# -- what the owner is told -------------------------------------------------------------------


def test_images_of_several_sizes_are_reported(lay: Lay) -> None:
    """Images of different sizes are resized; a notice names the smallest and the largest."""
    loaded = read(
        "folder", lay({**classes(), "cat/s.png": png(50, (10, 20)), "dog/l.png": png(60, (40, 30))})
    )
    (notice,) = loaded.notices
    assert "cat/s.png is 10x20" in notice
    assert "dog/l.png is 40x30" in notice
    assert loaded.dataset.train_images.shape[1:] == (28, 28, 3)


def test_images_of_several_sizes_can_be_refused(lay: Lay) -> None:
    """``strict`` refuses images of different sizes."""
    with pytest.raises(DatasetError, match=r"differ in size.*s\.png"):
        read("folder", lay({**classes(), "cat/s.png": png(50, (10, 20))}), strict=True)


def test_images_of_one_size_pass_the_strict_reader(lay: Lay) -> None:
    """``strict`` accepts images of one size."""
    assert read("folder", lay(classes()), strict=True).notices == ()


def test_unreadable_images_are_left_out_and_named(lay: Lay) -> None:
    """A notice names up to five unreadable images with the reason, and counts the rest."""
    bad = {f"cat/bad{i}.png": b"no image" for i in range(7)}
    loaded = read("folder", lay({**classes(), **bad}))
    (notice,) = loaded.notices
    assert notice.startswith("left out 7 unreadable images: cat/bad0.png (not an image)")
    assert "cat/bad4.png" in notice
    assert "cat/bad5.png" not in notice
    assert notice.endswith("and 2 more")
    assert len(loaded.dataset.train_images) + len(loaded.dataset.test_images) == 10


def test_an_unreadable_image_can_be_refused(lay: Lay) -> None:
    """``strict`` raises at the first unreadable image and names it."""
    with pytest.raises(DatasetError, match=r"dog/bad\.png cannot be read"):
        read("folder", lay({**classes(), "dog/bad.png": b"no image"}), strict=True)


def test_the_same_picture_twice_is_mentioned(lay: Lay) -> None:
    """Across splits, across classes, and within a class: how many, with an example of each."""
    data = classes("train/", n=4)
    data.update({f"test/{name}/{n}.png": png(n) for name, n in [("cat", 100), ("dog", 101)]})
    data.update({f"test/{name}/{n}.png": png(n) for name, n in [("cat", 102), ("dog", 103)]})
    data["test/cat/0.png"] = data["train/cat/0.png"]
    data["train/dog/1.png"] = data["train/cat/1.png"]
    data["train/dog/3.png"] = data["train/dog/2.png"]
    assert read("folder", lay(data)).notices == (
        "1 picture is in more than one split, such as train/cat/0.png and test/cat/0.png: a "
        "picture that was trained on tests nothing",
        "1 picture is in more than one class, such as train/cat/1.png and train/dog/1.png: only "
        "one of the labels can be right",
        "1 picture is there more than once, such as train/dog/2.png and train/dog/3.png",
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"readme.txt": b"x"}, "found 0 class folders"),
        (classes(names=["cat"]), "found 1 class folder"),
        ({"1.png": png(1), "2.png": png(2)}, "found 0 class folders"),
        ({**classes(), "cow/notes.txt": b"x"}, "cow has 0 readable images"),
        ({**classes(), "cow/1.png": png(1)}, "cow has 1 readable image"),
        ({**classes(), "cow/1.png": b"", "cow/2.png": b""}, "cow has 0 readable images"),
        (
            {**classes("train/"), **classes("test/", ["cat", "cow"])},
            "only one of them has cow, dog",
        ),
        ({**classes("train/"), **classes("test/", ["cat"])}, "found 1 class folder"),
    ],
)
def test_a_folder_that_cannot_be_trained_on_is_refused(
    lay: Lay, content: dict[str, bytes], complaint: str
) -> None:
    """The error says what is missing, and names the folder."""
    with pytest.raises(DatasetError, match=complaint) as refused:
        read("folder", lay(content))
    assert "photos" in str(refused.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A folder without class folders is refused."""
    with pytest.raises(DatasetError, match="0 class folders"):
        read("folder", tmp_path)


@pytest.mark.parametrize("name", ["folder", "simpsons"])
def test_data_that_do_not_exist_are_refused(tmp_path: Path, name: str) -> None:
    """The error names a path that does not exist; nothing is downloaded instead."""
    with pytest.raises(DatasetError, match="nowhere"):
        read(name, tmp_path / "nowhere.zip")
