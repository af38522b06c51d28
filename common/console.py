"""What the commands print."""

from __future__ import annotations

from rich.console import Console

console = Console()


def tell(sentence: str, style: str = "") -> None:
    """Print a sentence as it stands: names and paths in it are not markup."""
    console.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)
