"""Text from outside: on the screen, in the database, in comparisons."""

from __future__ import annotations

import os

import pytest

from hyperhive.common.files import read_text
from hyperhive.common.text import composed, decoded, printable, storable, with_home


def test_what_cannot_be_printed_is_escaped():
    assert printable("ash\x1b[2J\n空 кошка ä") == "ash\\x1b[2J\\n空 кошка ä"
    assert printable(os.fsdecode(b"caf\xe9.png")) == "caf\\xe9.png"
    assert printable("lone \ud800") == "lone \\ud800"


def test_stored_text_is_utf8_and_bounded():
    stored = storable("x" * 100 + "\ud800", 50)
    assert len(stored) == 50
    assert stored.endswith("…")
    assert storable("a\ud800b", 50).encode() == b"a\\ud800b"
    assert storable("空", 50) == "空"
    assert storable("\ud800" * 50, 50) == "\\ud800" * 8 + "\\…"


def test_names_are_compared_in_the_composed_form():
    assert composed("Ka\u0308se") == composed("K\u00e4se") == "K\u00e4se"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_persons_text_file_may_begin_with_a_byte_order_mark(tmp_path, encoding):
    (tmp_path / "study.toml").write_bytes('name = "Käse"\r\n'.encode(encoding))
    assert read_text(tmp_path / "study.toml") == 'name = "Käse"\r\n'


def test_bytes_that_are_no_text_are_refused_or_escaped():
    for data in (b"caf\xe9", b"\xff\xfea"):
        with pytest.raises(UnicodeDecodeError):
            decoded(data)
    assert decoded(b"caf\xe9", errors="surrogateescape") == os.fsdecode(b"caf\xe9")


def test_the_home_is_put_in_where_a_shell_did_not(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert with_home("~") == "/home/me"
    assert with_home("~/a.png") == "/home/me/a.png"
    assert with_home("--data=~/set") == "--data=/home/me/set"
    for text in ("~me/a", "a/~/b", "~$draft.png", "--name=a~", "mongodb://u:~/p@h", "-", ""):
        assert with_home(text) == text
