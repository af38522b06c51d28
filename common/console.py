"""The console that every command prints to."""

from __future__ import annotations

from typing import Any, Iterable

from rich.console import Console
from rich.segment import Segment

from hyperhive.common.text import printable, printable_lines


class Screen(Console):
    r"""Prints nothing raw: a control character in a name is ``\x1b``, in a table too.

    A string is one line, and no markup: ``:train:`` is no emoji, in a table neither.
    """

    def __init__(self, **named: Any) -> None:
        """Make a console as rich does."""
        super().__init__(markup=False, emoji=False, highlight=False, **named)

    def print(self, *objects: Any, **named: Any) -> None:
        """Print as rich does."""
        shown = [printable(each) if isinstance(each, str) else each for each in objects]
        super().print(*shown, **named)

    def render(self, *args: Any, **named: Any) -> Iterable[Segment]:
        """Render as rich does, with what cannot be printed escaped."""
        for segment in super().render(*args, **named):
            yield (
                segment if segment.control else segment._replace(text=printable_lines(segment.text))
            )

    @property
    def redraws(self) -> bool:
        """Whether frames can be drawn over each other: this is a terminal that moves its cursor.

        rich also calls a pipe a terminal, where FORCE_COLOR asks for colours.
        """
        return self.is_terminal and not self.is_dumb_terminal and self.file.isatty()


console = Screen()


def tell(sentence: str, style: str = "", to: Screen = console) -> None:
    """Print one line literally: names and paths in it may hold markup or control characters."""
    to.print(sentence, style=style, soft_wrap=True)
