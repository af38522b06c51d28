"""The console that commands print to."""

from __future__ import annotations

from rich.console import Console

from hyperhive.common.text import printable

console = Console()


def tell(sentence: str, style: str = "", to: Console = console) -> None:
    """Print one line literally: names and paths in it may hold markup or control characters."""
    to.print(printable(sentence), style=style, markup=False, highlight=False, soft_wrap=True)
