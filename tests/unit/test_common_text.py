"""Text from outside: on the screen, in the database, in comparisons."""

from __future__ import annotations

import os

from hyperhive.common.text import composed, printable, storable


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


def test_names_are_compared_in_the_composed_form():
    assert composed("Ka\u0308se") == composed("K\u00e4se") == "K\u00e4se"
