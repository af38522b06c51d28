"""Text from outside: made fit for a screen, for the database, and for comparing names."""

from __future__ import annotations

import codecs
import os
import re
import traceback
import unicodedata

_HOME = re.compile(r"(--[\w-]+=)?~(?=[/\\]|$)")


def printable(text: str) -> str:
    r"""Return text as one line that is safe in a terminal: names may hold any character.

    What cannot be printed is escaped: a control character is ``\x1b``, a byte of a file name that
    is not UTF-8 is ``\xe9``.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else escaped(letter) for letter in text)


def printable_lines(text: str) -> str:
    """Return text that is safe in a terminal, with its line ends."""
    return "\n".join(map(printable, text.split("\n")))


def storable(text: str, most: int) -> str:
    """Return text as the database takes it: valid UTF-8, and no more than ``most`` characters."""
    begin = text[: most + 1]  # it may be long, and escapes make it only longer
    return shortened(
        "".join(escaped(letter) if "\ud800" <= letter <= "\udfff" else letter for letter in begin),
        most,
    )


def shortened(text: str, most: int) -> str:
    """Return text of no more than ``most`` characters; an ellipsis stands for what is cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def of_error(error: BaseException) -> str:
    """Return an error's type and text as a traceback ends: ``ValueError: no such layer``.

    The type may be anybody's, so its ``__str__`` may fail.
    """
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC): macOS writes one ä as two characters."""
    return unicodedata.normalize("NFC", name)


def decoded(data: bytes, errors: str = "strict") -> str:
    """Return the text of a person's file: UTF-8, or what a byte order mark at its beginning says.

    Notepad writes UTF-8 with a mark, PowerShell's ``>`` UTF-16. Raises ``UnicodeDecodeError``.
    """
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf16 else "utf-8-sig", errors)


def with_home(text: str) -> str:
    """Return a path, or ``--flag=PATH``, with its ``~`` replaced: not every shell does that."""
    found = _HOME.match(text)
    if not found:
        return text
    return (found.group(1) or "") + os.path.expanduser("~") + text[found.end() :]


def escaped(letter: str) -> str:
    r"""Return the escape that stands for a character: ``\x1b``, ``\u7a7a``."""
    if "\udc80" <= letter <= "\udcff":  # how Python represents a byte that is not UTF-8
        return f"\\x{os.fsencode(letter)[0]:02x}"
    return letter.encode("unicode_escape").decode("ascii")
