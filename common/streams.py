"""What a process writes as text: every character can be written, and none controls the terminal."""

from __future__ import annotations

import io
import logging
import sys

from hyperhive.common.text import printable_lines


def accept_any_character() -> None:
    """Let the standard streams escape what their encoding lacks, where they would raise.

    A pipe or file has the encoding cp1252 on Windows, and ASCII where no locale is set.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class LogFormatter(logging.Formatter):
    """Formats a record as printable lines; all but the first are indented.

    So no text in a record, whoever wrote it, looks like another record.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record, with its traceback."""
        return printable_lines(super().format(record)).replace("\n", "\n    ")


def log_handler(form: str = "%(message)s", file: str | None = None) -> logging.Handler:
    """Return what writes a log, each record in this form, to a file or to standard error.

    The file is made, or appended to, with the first record.
    """
    handler: logging.Handler = logging.StreamHandler()
    if file is not None:
        handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(LogFormatter(form, "%H:%M:%S"))
    return handler
