"""What a class may be called that pictures are put into, and where its folder may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from hyperhive.common.errors import UsageError
from hyperhive.inference.collecting.classes import Classes, as_folder


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a/b", "cannot have /"),
        ("a?", "cannot have ?"),
        ("Nul.png", "for a device"),
        ("etc.", "cannot end in a dot"),
        (".cup", "leaves out"),
        ("thumbs.db", "leaves out"),
        ("Test", "one of its splits"),
        ("corrected", "folders of this name"),
        ("", "nothing: it needs 1 to 255"),
        ("a\x1bb", r"a\x1bb: it needs 1 to 255"),
        ("ä" * 101, "200 bytes"),
    ],
)
def test_names_that_no_folder_has_everywhere(tmp_path: Path, name: str, reason: str) -> None:
    """They are refused in a sentence; the folder of such a label has another name."""
    with pytest.raises(UsageError) as refused:
        Classes(tmp_path).called(name)
    assert reason in str(refused.value)
    if name not in ("", "Test", "ä" * 101, "a\x1bb"):
        assert Classes(tmp_path).called(as_folder(name))


def test_a_folder_without_a_place_for_classes_is_refused(tmp_path: Path) -> None:
    """A file, and a data set with splits, get a sentence that says what to give."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        Classes(tmp_path / "file")
    for split in ("Train", "test"):
        (tmp_path / "set" / split).mkdir(parents=True)
    with pytest.raises(UsageError, match=r"give the one to add to, .*set.Train"):
        Classes(tmp_path / "set")
