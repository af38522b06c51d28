"""The console that commands print to."""

from __future__ import annotations

from rich.console import Console

console = Console()


def tell(sentence: str, style: str = "", to: Console = console) -> None:
    """Print a sentence literally: names and paths in it may look like rich's markup."""
    to.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)
