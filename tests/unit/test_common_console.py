"""What is printed is printed literally."""

from __future__ import annotations

import io

from rich.table import Table
from support.printed import plain

from hyperhive.common.console import Screen, tell

NAME = "boost.py:train: [bold]1[/bold]"


def test_text_is_neither_emoji_nor_markup_in_a_line_or_in_a_table() -> None:
    """``:train:`` is the end of an objective's name, and ``[1]`` of anybody's text."""
    written = io.StringIO()
    tell(NAME, to=Screen(file=written, width=20))
    assert written.getvalue() == NAME + "\n"
    table = Table(title=NAME)
    table.add_column(NAME)
    table.add_row(NAME + " in a row")
    shown = plain(table)
    assert shown.count(NAME) == 3
