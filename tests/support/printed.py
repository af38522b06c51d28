"""What a command prints, as text."""

from __future__ import annotations

import io
from typing import Any

from rich.text import Text

from hyperhive.common.console import Screen


def plain(renderable: Any, width: int = 200) -> str:
    """Return the output of a console that is not a terminal, as the command writes it."""
    console = Screen(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(renderable, soft_wrap=isinstance(renderable, Text))
    return capture.get()
