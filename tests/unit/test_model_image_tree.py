"""A folder and a zip of it look the same; hidden files are left out, damage is reported."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.image_tree import ImageTree

CONTENT: dict[str, bytes] = {
    "b/2.jpg": b"two",
    "a/1.jpg": b"one",
    "a/deep/3.jpg": b"three",
    "readme.txt": b"text",
}
HIDDEN: dict[str, bytes] = {
    ".DS_Store": b"x",
    "a/._1.jpg": b"x",
    ".git/config": b"x",
    "__MACOSX/a/._1.jpg": b"x",
}
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def zipped(content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def laid_out(root: Path, content: dict[str, bytes], form: str) -> Path:
    """Write files into a folder, or a zip of that name."""
    if form == "zip":
        root = root.with_suffix(".zip")
        root.write_bytes(zipped(content))
        return root
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def outcome(archive: Path) -> str:
    """Read an archive; return "read", or the message of a ``DatasetError``."""
    try:
        with ImageTree(archive) as files:
            for path in files:
                files.read(path)
    except DatasetError as error:
        return str(error)
    return "read"


def names(files: ImageTree) -> list[str]:
    return [str(path) for path in files]


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_files_are_listed_and_read(tmp_path: Path, form: str) -> None:
    """All files are listed by relative path, sorted, with their bytes and folders."""
    with ImageTree(laid_out(tmp_path / "data", CONTENT, form)) as files:
        assert names(files) == ["a/1.jpg", "a/deep/3.jpg", "b/2.jpg", "readme.txt"]
        assert {str(path): files.read(path) for path in files} == CONTENT
        assert {str(folder) for folder in files.folders} == {"a", "a/deep", "b"}
        assert files.subfolders(PurePosixPath(".")) == ["a", "b"]
        assert files.subfolders(PurePosixPath("a")) == ["deep"]
        assert files.subfolders(PurePosixPath("b")) == []


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_hidden_files_are_left_out(tmp_path: Path, form: str) -> None:
    """Hidden files and folders, as macOS and git create them, are left out."""
    with ImageTree(laid_out(tmp_path / "data", {**CONTENT, **HIDDEN}, form)) as files:
        assert set(names(files)) == set(CONTENT)
        assert files.subfolders(PurePosixPath(".")) == ["a", "b"]


def test_a_folder_in_a_hidden_place_is_read(tmp_path: Path) -> None:
    """A visible folder inside a hidden one is read."""
    with ImageTree(laid_out(tmp_path / ".cache" / "data", CONTENT, "folder")) as files:
        assert set(names(files)) == set(CONTENT)


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_an_empty_folder_is_a_folder(tmp_path: Path, form: str) -> None:
    """A class folder without files is listed, so that its absence of images can be reported."""
    root = laid_out(tmp_path / "data", CONTENT, form)
    if form == "zip":
        with zipfile.ZipFile(root, "a") as archive:
            archive.writestr("empty/", b"")
    else:
        (root / "empty").mkdir()
    with ImageTree(root) as files:
        assert files.subfolders(PurePosixPath(".")) == ["a", "b", "empty"]


def test_a_zip_cannot_reach_out_of_itself(tmp_path: Path) -> None:
    """Paths with .. are left out, like hidden files."""
    path = tmp_path / "data.zip"
    path.write_bytes(zipped({**CONTENT, "../out.jpg": b"x", "a/../../out.jpg": b"x"}))
    with ImageTree(path) as files:
        assert set(names(files)) == set(CONTENT)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    """The error names a path that does not exist."""
    with pytest.raises(DatasetError, match="nowhere"):
        ImageTree(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", zipped(CONTENT)[:-30], zipped(CONTENT)[30:90]],
    ids=["empty", "text", "cut off", "a middle"],  # named, because a zip's bytes contain the time
)
def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    """A file that is not a complete zip is refused, and the error names it."""
    path = tmp_path / "data.zip"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"data\.zip"):
        ImageTree(path)


@pytest.mark.parametrize("method", METHODS, ids=["stored", "deflated", "bzip2", "lzma"])
def test_any_damage_is_refused_in_words_or_does_no_harm(tmp_path: Path, method: int) -> None:
    """A zip with any byte changed can be read or raises ``DatasetError``."""
    path = tmp_path / "data.zip"
    data = zipped({"a/\u00e9.jpg": b"hello" * 40}, method)
    for place in range(len(data)):
        for flipped in (0x01, 0xFF):
            damaged = bytearray(data)
            damaged[place] ^= flipped
            path.write_bytes(damaged)
            assert outcome(path), (place, flipped)


def test_a_damaged_member_leaves_the_others_readable(tmp_path: Path) -> None:
    """A damaged member raises when it is read; the others can still be read."""
    path = tmp_path / "data.zip"
    path.write_bytes(zipped(CONTENT, zipfile.ZIP_STORED).replace(b"two", b"owt"))
    with ImageTree(path) as files:
        with pytest.raises(DatasetError, match="CRC"):
            files.read(PurePosixPath("b/2.jpg"))
        assert files.read(PurePosixPath("a/1.jpg")) == b"one"


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    """A member that needs a password cannot be read, and its error says so."""
    data = bytearray(zipped({"a/1.jpg": b"one"}, zipfile.ZIP_STORED))
    data[6] |= 1  # the encryption flag, in the member's own header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path = tmp_path / "data.zip"
    path.write_bytes(data)
    with ImageTree(path) as files, pytest.raises(DatasetError, match="encrypted"):
        files.read(PurePosixPath("a/1.jpg"))


def test_a_file_that_went_away_is_refused(tmp_path: Path) -> None:
    """Reading a file that was deleted after it was listed raises ``DatasetError``."""
    root = laid_out(tmp_path / "data", CONTENT, "folder")
    with ImageTree(root) as files:
        (root / "a/1.jpg").unlink()
        with pytest.raises(DatasetError, match=r"1\.jpg"):
            files.read(PurePosixPath("a/1.jpg"))
