"""Names from outside: what zips, file systems and other systems make of one and the same name."""

from __future__ import annotations

import io
import os
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.errors import DatasetError
from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import expected_class
from hyperhive.model.data.image_tree import ImageTree
from hyperhive.model.data.loading import DatasetRequest, LoadedDataset, load

NFC, NFD = (unicodedata.normalize(form, "Käse") for form in ("NFC", "NFD"))


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (28, 28), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


class Named(zipfile.ZipInfo):
    """A member whose name is written as these bytes, without the flag that they are UTF-8."""

    def __init__(self, raw: bytes, flags: int = 0) -> None:
        super().__init__(repr(raw))
        self._raw, self._flags = raw, flags

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802  zipfile calls it
        return self._raw, self.flag_bits | self._flags


def zipped(path: Path, members: list[tuple[zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members:
            archive.writestr(member, data)
    return path


def raw_zip(path: Path, names: list[bytes]) -> Path:
    return zipped(path, [(Named(name), png(n)) for n, name in enumerate(names)])


def names_in(path: Path) -> list[str]:
    with ImageTree(path) as tree:
        return [str(inside) for inside in tree]


def read(path: Path, **how: bool) -> LoadedDataset:
    return load(DatasetRequest("folder", path, **how), lambda done, total: None)


def classes_in(path: Path) -> tuple[str, ...]:
    return read(path).dataset.classes


def lay(root: Path, *folders: str, images: int = 3) -> Path:
    for n, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for k in range(images):
            (root / folder / f"{k}.png").write_bytes(png(20 * n + k))
    return root


# -- zips -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"pets\\ash\\1.png", "pets/ash/1.png"),
        (b"pets/ash\\1.png", "pets/ash/1.png"),
        (b"/pets/ash/1.png", "pets/ash/1.png"),
        (b"\\\\pets\\ash\\1.png", "pets/ash/1.png"),
        ("Käse/1.png".encode(), "Käse/1.png"),
        ("Käse/1.png".encode("cp437"), "Käse/1.png"),
        ("猫/1.png".encode(), "猫/1.png"),
    ],
)
def test_a_member_has_the_name_that_its_maker_meant(tmp_path: Path, raw: bytes, name: str) -> None:
    """Backslashes are slashes, and UTF-8 is UTF-8 without its flag."""
    assert names_in(raw_zip(tmp_path / "a.zip", [raw])) == [name]


def test_a_name_in_a_field_of_its_own_wins(tmp_path: Path) -> None:
    """Info-ZIP's Unicode Path names a member, if it belongs to the name that it was written for."""
    raw = "Käse/1.png".encode("latin-1")
    for crc, expected in ((zlib.crc32(raw), "Käse/1.png"), (1, "KΣse/1.png")):
        member = Named(raw)
        field = struct.pack("<BL", 1, crc) + "Käse/1.png".encode()
        member.extra = struct.pack("<HH", 0x9999, 2) + b"xx"
        member.extra += struct.pack("<HH", 0x7075, len(field)) + field
        assert names_in(zipped(tmp_path / "a.zip", [(member, png(1))])) == [expected]


def test_a_zip_from_windows_is_a_data_set(tmp_path: Path) -> None:
    """Its folders, which have entries of their own, are folders."""
    names = [rb"pets", rb"pets\ash", rb"pets\sky"]
    folders = [Named(name + b"\\") for name in names]
    for folder in folders[1:]:
        folder.external_attr = 0x10
    files = [
        (Named(rb"pets\%s\%d.png" % (of, n)), png(n)) for of in (b"ash", b"sky") for n in (1, 2)
    ]
    path = zipped(tmp_path / "pets.zip", [*((each, b"") for each in folders), *files])
    assert classes_in(path) == ("ash", "sky")


def test_of_two_members_with_one_name_the_last_counts(tmp_path: Path) -> None:
    """As when the zip is unpacked."""
    path = raw_zip(tmp_path / "a.zip", [b"a/1.png", b"a\\1.png"])
    with ImageTree(path) as tree:
        assert tree.read(PurePosixPath("a/1.png")) == png(1)


def test_what_leads_out_of_a_zip_is_left_out_by_name(tmp_path: Path) -> None:
    """A path with ``..`` and a link are named, and never followed."""
    link = zipfile.ZipInfo("ash/link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    good = [(Named(b"%s/%d.png" % (of, n)), png(n)) for of in (b"ash", b"sky") for n in (1, 2)]
    path = zipped(
        tmp_path / "a.zip", [(Named(rb"..\..\out.png"), png(9)), (link, b"/etc/passwd"), *good]
    )
    (notice,) = [each for each in read(path).notices if "left out" in each]
    assert "../../out.png (its path leads out of the zip)" in notice
    assert "ash/link.png (a link, which is not followed in a zip)" in notice


def test_a_member_too_large_to_be_a_picture_is_not_unpacked(tmp_path: Path) -> None:
    """A member that claims hundreds of megabytes is left out before it takes the memory."""
    good = [(Named(b"%s/%d.png" % (of, n)), png(n)) for of in (b"ash", b"sky") for n in (1, 2)]
    path = zipped(tmp_path / "a.zip", [(Named(b"ash/bomb.png"), b"bomb"), *good])
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<L", 1 << 31)
    path.write_bytes(data)
    (notice,) = [each for each in read(path).notices if "left out" in each]
    assert "ash/bomb.png (2,048 MB, and at most 256 MB are read)" in notice


def test_an_encrypted_zip_says_so_once(tmp_path: Path) -> None:
    """The error about a class without images gives the reason of all of them."""
    path = raw_zip(tmp_path / "a.zip", [b"ash/1.png", b"ash/2.png", b"sky/1.png", b"sky/2.png"])
    data = bytearray(path.read_bytes())
    at = -1
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        while (at := data.find(signature, at + 1)) >= 0:
            data[at + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"ash has 0 readable.*encrypted: unpack the zip"):
        read(path)


# -- file systems -----------------------------------------------------------------------------


def test_two_forms_of_one_name_are_one_class(tmp_path: Path) -> None:
    """On macOS, ä may be two characters: in one folder, and between train/ and test/."""
    loaded = read(lay(tmp_path / "one", NFC, NFD, "Brot"))
    assert loaded.dataset.classes == ("Brot", NFC)
    assert len(loaded.dataset.train_labels) + len(loaded.dataset.test_labels) == 9
    assert f"2 folders in . are the one class {NFC}" in loaded.notices
    split = lay(tmp_path / "split", f"train/{NFC}", f"test/{NFD}", "train/Brot", "test/Brot")
    assert classes_in(split) == ("Brot", NFC)


def test_spaces_at_the_ends_of_a_name_are_no_part_of_it(tmp_path: Path) -> None:
    """A class with a space at its end is the class without it."""
    root = lay(tmp_path / "set", "train/cat ", "test/cat", "train/dog", "test/ dog")
    assert classes_in(root) == ("cat", "dog")


def test_names_that_differ_in_case_are_mentioned(tmp_path: Path) -> None:
    """A and a may be two letters or one mistake: they stay two classes, and a sentence says so."""
    loaded = read(lay(tmp_path / "letters", "A", "a"))
    assert loaded.dataset.classes == ("A", "a")
    assert "the classes A and a differ only in upper and lower case" in loaded.notices
    split = lay(tmp_path / "split", "train/Cat", "test/cat", "train/dog", "test/dog")
    with pytest.raises(DatasetError, match="Cat and cat differ only in upper and lower case"):
        read(split)


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\x1b[2J", b" ", b"two\nlines"])
def test_a_name_that_no_class_can_have_is_refused(tmp_path: Path, name: bytes) -> None:
    """What the database or a screen would not take ends in a sentence before anything is posted."""
    root = lay(tmp_path / "set", "sky", os.fsdecode(name))
    with pytest.raises(DatasetError, match="rename it"):
        read(root)


def test_a_data_set_is_stored_under_a_name_in_utf8(tmp_path: Path) -> None:
    """A folder whose name is not UTF-8 is read; the data set's name has it escaped."""
    dataset = read(lay(tmp_path / os.fsdecode(b"folder\xe9"), "ash", "sky")).dataset
    assert dataset.name == "folder\\xe9"
    assert dataset.unpack(dataset.pack(), dataset.content_hash).name == dataset.name


def test_a_pictures_folder_agrees_with_its_class_in_both_forms() -> None:
    """predict-cam compares the folder's name with the class as data sets do."""
    frame = Frame(np.zeros((1, 1, 3), np.uint8), "1", f"test/{NFD}/1.png", 0)
    assert expected_class(frame, [NFC, "Brot"]) == NFC


SYSTEM_FOLDERS = (
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "$Recycle.Bin",
    "System Volume Information",
    "lost+found",
    "__pycache__",
    "__MACOSX",
    ".AppleDouble",
)


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("name", SYSTEM_FOLDERS)
def test_what_systems_leave_lying_is_left_out(tmp_path: Path, name: str, form: str) -> None:
    """Beside the classes and in them, in folders and zips; a line says so."""
    folders = ["ash", "sky", name, f"ash/{name}/000.png"]
    root = lay(tmp_path / "set", *folders)
    (root / "ash" / "Thumbs.db").write_bytes(b"x")
    (root / "ash" / "._0.png").write_bytes(b"x")
    if form == "zip":
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in root.rglob("*"):
                archive.write(file, file.relative_to(root))
        root = path
    loaded = read(root, strict=True)
    assert loaded.dataset.classes == ("ash", "sky")
    assert len(loaded.dataset.train_labels) + len(loaded.dataset.test_labels) == 6
    line = loaded.contents()[-1]
    assert line.startswith("  left out hidden and system files: ")
    assert all(part in line for part in (f"{name} (2 times)", "Thumbs.db", "._*"))
    assert loaded.notices == ()
