"""A class's name that a person types, key by key."""

from __future__ import annotations

from hyperhive.common.text import printable

ESCAPE = "\x1b"
ENTER, BACKSPACE = ("\n", "\r"), ("\b", "\x7f")


class NameField:
    """A line that is typed; ``text`` is None while nothing is asked for."""

    def __init__(self) -> None:
        self.text: str | None = None

    def open(self) -> None:
        """Begin with an empty line."""
        self.text = ""

    def press(self, key: str) -> str | None:
        """Take a key while it is open; return the name when Enter ends it.

        Escape, and backspace in an empty line, end it without a name.
        """
        text = self.text or ""
        if key == ESCAPE or (key in BACKSPACE and not text):
            self.text = None
        elif key in BACKSPACE:
            self.text = text[:-1]
        elif key in ENTER:
            self.text = None
            return text if text.strip() else None
        elif key.isprintable():
            self.text = text + key
        return None

    @property
    def line(self) -> str | None:
        """What is shown while it is open."""
        return None if self.text is None else f"class: {printable(self.text)}_   (Enter, or Escape)"
