"""What the database can hold, and in words what it cannot.

Values come from objectives, files and command lines. Whatever PyMongo refuses to encode becomes
``Unstorable``: in ``encoded``, before anything is sent, or at the latest in the guard around each
request (``store/server/client.py``).
"""

from __future__ import annotations

from typing import Any, Mapping

import bson
from bson.errors import InvalidDocument, InvalidStringData

from hyperhive.common.text import printable
from hyperhive.store.errors import Unstorable

ENCODING_ERRORS = (
    InvalidDocument,  # a type or key that BSON does not have, or a request above 16 MB
    InvalidStringData,
    UnicodeEncodeError,  # a lone surrogate: a byte of a file name that is not UTF-8
    OverflowError,  # an integer above eight bytes
    RecursionError,  # a value that contains itself
)
"""What PyMongo raises for a value that it cannot encode."""

LARGEST_RESULT = 8 << 20
"""Bytes of BSON. MongoDB's limit for a document is 16 MiB, and a trial may have to hold late
results too."""

_DEEPEST = 100
"""MongoDB's limit of levels in a document: https://www.mongodb.com/docs/manual/reference/limits/"""

_WORDS = 160


def encoded(what: str, document: Mapping[str, Any], most: int) -> bytes:
    """Return a document as BSON.

    Args:
        what: the document's name, for the error.
        document: plain JSON.
        most: how many bytes it may have.

    Raises ``Unstorable``, which names the first field that the database cannot hold.
    """
    # Before it is encoded: PyMongo 4.1 crashes on a value that contains itself.
    for name, value in document.items():
        if _is_deeper(value, _DEEPEST - 1):
            raise Unstorable(
                f"{what} cannot be stored: {_short(str(name))}: it contains itself, or is nested "
                f"more than {_DEEPEST} levels deep"
            )
    try:
        data = bytes(bson.encode(document))
    except ENCODING_ERRORS as error:
        raise Unstorable(f"{what} cannot be stored: {_where(document)}{why(error)}") from error
    if len(data) > most:
        raise Unstorable(
            f"{what} cannot be stored: it has {len(data) / 1e6:.1f} MB, and at most "
            f"{most / 1e6:.1f} MB are kept"
        )
    return data


def why(error: Exception) -> str:
    """Return why a value could not be encoded, from one of ``ENCODING_ERRORS``."""
    if isinstance(error, UnicodeEncodeError):
        return f"the text {_short(error.object)} is no valid Unicode"
    if isinstance(error, OverflowError):
        return f"a number is too large ({error})"
    if isinstance(error, RecursionError):
        return "it contains itself, or is nested too deep"
    return _short(str(error))


def _where(document: Mapping[str, Any]) -> str:
    """Return the name of the first field that cannot be encoded, as the start of a clause."""
    for name, value in document.items():
        try:
            bson.encode({name: value})
        except ENCODING_ERRORS:
            return f"{_short(str(name))}: "
    return ""


def _short(text: str) -> str:
    """Return the beginning and the end of a text: an error names the type at its end."""
    cut = text if len(text) <= _WORDS else f"{text[: _WORDS // 2]} … {text[-_WORDS // 2 :]}"
    return printable(cut)


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether documents and lists in a value are nested more than ``levels`` deep."""
    if isinstance(value, Mapping):
        parts: Any = value.values()
    elif isinstance(value, (list, tuple)):
        parts = value
    else:
        return False
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in parts)
