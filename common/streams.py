"""What a process writes as text: every character can be written, and none controls the terminal."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

from hyperhive.common.text import printable, printable_lines


def accept_any_character() -> None:
    """Let the standard streams escape what their encoding lacks, where they would raise.

    A pipe or file has the encoding cp1252 on Windows, and ASCII where no locale is set.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class LogFormatter(logging.Formatter):
    """Formats a record as one printable line; a traceback follows it, line by line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line without the traceback."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the traceback."""
        return printable_lines(super().formatException(ei))


def log_handler(form: str = "%(message)s", file: str | None = None) -> logging.Handler:
    """Return what writes a log, each record in this form, to a file or to standard error.

    The file is made, or appended to, with the first record.
    """
    handler: logging.Handler = logging.StreamHandler()
    if file is not None:
        handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(LogFormatter(form, "%H:%M:%S"))
    return handler
