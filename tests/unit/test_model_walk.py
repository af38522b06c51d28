"""Data sets and predict-cam find the same images in a folder, and name what they leave out."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hyperhive.common.errors import DatasetError
from hyperhive.inference.sources.image_files import Finder
from hyperhive.model.data.loading import DatasetRequest, LoadedDataset, load
from hyperhive.model.data.walk import read_file, walk


def encoded(shade: int, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (28, 28), (shade, 0, 0)).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder with four images in each of two class folders."""
    for k, name in enumerate(("ash", "sky")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for n in range(4):
            (tmp_path / "pictures" / name / f"{n}.png").write_bytes(encoded(20 * k + n))
    return tmp_path / "pictures"


def read(root: Path, **how: Any) -> LoadedDataset:
    return load(DatasetRequest("folder", root, **how), lambda done, total: None)


def count(loaded: LoadedDataset) -> int:
    return len(loaded.dataset.train_labels) + len(loaded.dataset.test_labels)


def found(*texts: Path | str) -> list[str]:
    return [Path(path).as_posix() for path in Finder(Path("x")).find([str(t) for t in texts])]


# -- links ------------------------------------------------------------------------------------


def test_linked_folders_and_files_are_read(pictures: Path, tmp_path: Path) -> None:
    """A data set that is put together from links has all its images; predict-cam finds them too."""
    linked = tmp_path / "linked"
    (linked / "sky").mkdir(parents=True)
    (linked / "ash").symlink_to(pictures / "ash")
    for n in range(4):
        (linked / "sky" / f"{n}.png").symlink_to(pictures / "sky" / f"{n}.png")
    assert count(read(linked)) == 8
    assert read(linked).notices == ()
    assert len(found(linked)) == len(found(linked / "**" / "*.png")) == 8


def test_a_linked_split_is_read(pictures: Path, tmp_path: Path) -> None:
    """test/ may be a link to a folder elsewhere, even to that of train/."""
    (tmp_path / "set").mkdir()
    for split in ("train", "test"):
        (tmp_path / "set" / split).symlink_to(pictures)
    assert len(read(tmp_path / "set").dataset.test_labels) == 8


def test_links_in_circles_end(pictures: Path) -> None:
    """A link to a folder above it is named; nothing is read twice, nothing waits."""
    (pictures / "ash" / "all").symlink_to(pictures)
    (pictures / "sky" / "here").symlink_to(".")
    (pictures / "sky" / "self.png").symlink_to("self.png")
    loaded = read(pictures)
    assert count(loaded) == 8
    notices = " ".join(loaded.notices)
    assert "ash/all (a link to a folder that contains it)" in notices
    assert "sky/here (a link to a folder that contains it)" in notices
    assert "sky/self.png (a broken link: Too many levels of symbolic links)" in notices
    assert len(found(pictures)) == len(found(pictures / "**" / "*.png")) == 9  # one of them broken


def test_a_broken_link_is_named(pictures: Path) -> None:
    """A link to what is not there is left out with its reason, and refused by --strict."""
    (pictures / "ash" / "gone.png").symlink_to("nowhere.png")
    (notice,) = read(pictures).notices
    assert notice == (
        "left out 1 unreadable image: ash/gone.png (a broken link: No such file or directory)"
    )
    with pytest.raises(DatasetError, match=r"ash/gone\.png cannot be read: a broken link"):
        read(pictures, strict=True)


# -- what is no regular file ------------------------------------------------------------------


def test_only_regular_files_are_opened(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, a socket and a device with an image's name are named, and nobody waits for them."""
    os.mkfifo(pictures / "ash" / "pipe.png")
    (pictures / "ash" / "zero.png").symlink_to("/dev/zero")
    monkeypatch.chdir(pictures / "ash")  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        loaded = read(pictures)
    assert count(loaded) == 8
    (notice,) = loaded.notices
    for text in ("pipe.png (a named pipe)", "zero.png (a device)", "socket.png (a socket)"):
        assert text in notice
    with pytest.raises(DatasetError, match="a named pipe"):
        read_file(pictures / "ash" / "pipe.png")


def test_a_data_set_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A pipe in place of a zip is refused, and nobody waits for it."""
    os.mkfifo(tmp_path / "set.zip")
    with pytest.raises(DatasetError, match=r"set\.zip is neither a folder nor a zip"):
        read(tmp_path / "set.zip")


def test_a_file_too_large_to_be_a_picture_is_not_read(pictures: Path) -> None:
    """A file of a gigabyte is left out before it takes the memory."""
    with (pictures / "ash" / "huge.png").open("wb") as file:
        file.truncate(1 << 30)
    (notice,) = read(pictures).notices
    assert "ash/huge.png (1,024 MB, and at most 256 MB are read)" in notice


def test_a_folder_that_cannot_be_listed_is_named(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without permission does not count as empty."""
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "private":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    (pictures / "ash" / "private").mkdir()
    monkeypatch.setattr(os, "scandir", refusing)
    assert [str(each.path) for each in walk(pictures) if each.reason] == ["ash/private"]
    (notice,) = read(pictures).notices
    assert "cannot be opened: ash/private (Permission denied)" in notice


# -- formats ----------------------------------------------------------------------------------

FORMS = {"a.jfif": "JPEG", "b.jpe": "JPEG", "c.JP2": "JPEG2000", "d.pbm": "PPM", "e.ico": "ICO"}


def test_what_pillow_reads_is_read_whatever_its_suffix(pictures: Path) -> None:
    """Photographs under rarer suffixes count, in data sets and for predict-cam."""
    for n, (name, form) in enumerate(FORMS.items()):
        (pictures / "ash" / name).write_bytes(encoded(100 + n, form))
    assert count(read(pictures, strict=False)) == 8 + len(FORMS)
    assert len(found(pictures)) == 8 + len(FORMS)


def test_what_is_not_read_is_named(pictures: Path) -> None:
    """Files that Pillow does not read are named, and refused by --strict; predict-cam says so."""
    for name in ("photo.xcf", "photo.JPG.bak", "notes.txt"):
        (pictures / "ash" / name).write_bytes(b"x")
    (notice,) = read(pictures).notices
    assert notice == (
        "left out 3 files of formats that Pillow does not read: ash/notes.txt, ash/photo.JPG.bak, "
        "ash/photo.xcf"
    )
    with pytest.raises(DatasetError, match=r"ash/notes\.txt is left out.*omit --strict"):
        read(pictures, strict=True)
    finder = Finder(Path("x"))
    assert len(finder.find([str(pictures)])) == 8
    (remark,) = finder.remarks()
    assert remark.startswith("left out 3 files of formats that Pillow does not read: ")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("photo.xcf", b"x", r"ash/0\.xcf"),
        ("photo.png", b"x", r"ash/0\.png \(not an image\)"),
        ("photo.tif", None, "8 bits per channel"),
    ],
)
def test_where_all_images_are_refused_the_error_has_the_reason(
    pictures: Path, name: str, data: bytes | None, reason: str
) -> None:
    """The owner of a class without a readable image learns why it has none."""
    deep = io.BytesIO()
    Image.new("I;16", (4, 4), 1000).save(deep, "TIFF")
    for n in range(4):
        (pictures / "ash" / f"{n}.png").unlink()
        path = pictures / "ash" / f"{n}{Path(name).suffix}"
        path.write_bytes(deep.getvalue() if data is None else data)
    with pytest.raises(DatasetError, match=r"ash has 0 readable images .4 left out: ") as refused:
        read(pictures)
    assert refused.match(reason)
