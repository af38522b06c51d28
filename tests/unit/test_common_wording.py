"""Numbers, named values, logs and tables as people read them."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from rich.table import Table
from rich.text import Text

from hyperhive.common.console import Screen, tell
from hyperhive.common.streams import log_handler
from hyperhive.common.wording import in_words, percent


@pytest.mark.parametrize(
    ("share", "decimals", "shown"),
    [
        (0.976, 1, "97.6 %"),
        (0.3333, 0, "33 %"),
        (1.0, 1, "100 %"),
        (1, 0, "100 %"),
        (0.9999, 1, "99.9 %"),
        (0.9999, 0, "99 %"),
        (0.0, 1, "0.0 %"),
        (8.7, 1, "870 %"),
        (None, 1, "unknown"),
    ],
)
def test_a_share_has_one_form(share: Any, decimals: int, shown: str) -> None:
    """Only all of it is 100 %; what a worker claims beyond that is shown as it is."""
    assert percent(share, decimals) == shown


def test_values_of_any_type_are_named() -> None:
    """Names lose their underscores; whole numbers stay whole; text is short and printable."""
    values = {
        "learning_rate": 0.0123456,
        "batch_size": 1024,
        "epochs": 12345.0,
        "use_bias": True,
        "optimizer": "ad\x1b[2Jam",
        "layers": [64, 32],
        "nothing": None,
        "tiny": 1e-30,
        "huge": 1e30,
        "odd\x1bname": "x" * 99,
    }
    assert in_words(values) == (
        r"learning rate 0.01235, batch size 1024, epochs 12345, use bias true, "
        r"optimizer ad\x1b[2Jam, layers [64, 32], nothing None, tiny 1e-30, huge 1e+30, "
        rf"odd\x1bname {'x' * 39}…"
    )
    assert in_words({}) == ""
    assert in_words({"loss": float("nan")}) == "loss nan"


def test_no_text_in_a_log_looks_like_another_record() -> None:
    """A message and a traceback keep their lines, which are indented; what controls is escaped."""
    handler = log_handler("%(message)s")
    out = handler.stream = io.StringIO()  # type: ignore[attr-defined]
    logger = logging.Logger("own")
    logger.addHandler(handler)
    logger.info("na\x1b[2Jme\nsecond %s", "\x07\r\x85\u2028")
    try:
        raise ValueError("cl\x1b[2Jear\nsecond")
    except ValueError:
        logger.exception("failed")
    said = out.getvalue()
    assert not set(said) - {"\n"} & set(map(chr, range(32)))
    lines = said.splitlines()
    assert lines[:4] == [
        r"na\x1b[2Jme",
        r"    second \x07\r\x85\u2028",
        "failed",
        "    Traceback (most recent call last):",
    ]
    assert lines[-2:] == [r"    ValueError: cl\x1b[2Jear", "    second"]


def printed(*objects: Any, **options: Any) -> str:
    out = io.StringIO()
    Screen(file=out, width=40, **options).print(*objects)
    return out.getvalue()


def test_nothing_that_is_printed_is_raw() -> None:
    """A table with such a name keeps its borders; a string is one line."""
    table = Table()
    table.add_column("name", width=10)
    table.add_row(Text("a\x1b[2J\x9bb"))
    shown = printed(table)
    assert r"a\x1b[2J" in shown
    assert "\x1b" not in shown
    assert len({len(line) for line in shown.splitlines()}) == 1
    assert printed("a\nb\x1b") == "a\\nb\\x1b\n"
    out = io.StringIO()
    tell("[red]a\x1b\nb", to=Screen(file=out))
    assert out.getvalue() == "[red]a\\x1b\\nb\n"


def test_a_terminals_own_sequences_are_kept() -> None:
    """Colours are the console's own, and are not escaped."""
    shown = printed(Text("red", style="red"), force_terminal=True, color_system="standard")
    assert "\x1b[31mred\x1b[0m" in shown


def test_a_file_is_never_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says of colours: only a terminal's cursor moves."""
    for name, value in {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    assert not Screen(file=io.StringIO()).redraws
    assert not Screen(file=io.StringIO(), force_terminal=True).redraws
