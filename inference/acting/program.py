"""A program that runs when the label changes."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from typing import Any

from hyperhive.common.errors import DeviceError
from hyperhive.common.programs import find_program, lines_from, manner_of_end, running, words_of
from hyperhive.common.text import printable, shortened
from hyperhive.inference.acting.courier import NotDelivered

_LONGEST_S = 10.0
_END_S = 1.0
"""How long it may take to end after SIGTERM."""
_LOOK_EVERY_S = 0.02
_LAST_CHARACTERS = 200


class Program:
    """Runs a program for each change, and gives it the change on standard input.

    What it prints goes where predict-cam prints. What it leaves running ends with it; and it ends
    with predict-cam, however that ends.

    Args:
        command: the program and its words; it is split as a shell does it, and there is no shell.

    Raises ``UsageError`` for a command that cannot be split, ``DeviceError`` for a program that
    this machine lacks.
    """

    def __init__(self, command: str) -> None:
        name, *words = words_of(command)
        self._command = [find_program(name), *words]
        self.title = f"the program {printable(name)}"

    def deliver(self, event: bytes, stop: threading.Event) -> None:
        """See ``Way``."""
        last = _LastLine()
        try:
            with tempfile.TemporaryFile() as given:  # a pipe might fill up, and hang this thread
                given.write(event + b"\n")
                given.seek(0)
                with running(self._command, _END_S, stdin=given, stderr=subprocess.PIPE) as process:
                    last.read(process.stderr)
                    code = _code_of(process, stop)
        except DeviceError as error:
            raise NotDelivered(f"did not start: {error}") from error
        except OSError as error:
            raise NotDelivered(f"did not start: {error.strerror}") from error
        if code != 0:
            said = last.line()
            raise NotDelivered(manner_of_end(code) + (f": {said}" if said else ""))

    def holds(self) -> bool:
        """See ``Way``: an action that is late is worse than none."""
        return True

    def close(self) -> None:
        """See ``Way``."""


def _code_of(process: subprocess.Popen[bytes], stop: threading.Event) -> int:
    """Return a program's exit code; raise ``NotDelivered`` if it has to be ended."""
    ends_at = time.monotonic() + _LONGEST_S
    while process.poll() is None:
        if stop.wait(_LOOK_EVERY_S):
            raise NotDelivered("still ran at the end and was ended")
        if time.monotonic() > ends_at:
            raise NotDelivered(f"ran for more than {_LONGEST_S:.0f} seconds and was ended")
    return process.returncode


class _LastLine:
    """The last line of a program's standard error."""

    def __init__(self) -> None:
        self._line = ""
        self._reading: threading.Thread | None = None

    def read(self, stream: Any) -> None:
        """Begin to read a pipe, to its end."""
        self._reading = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reading.start()

    def line(self) -> str:
        """Return the line, as it may be printed; the program has ended."""
        if self._reading is not None:
            self._reading.join(_END_S)
        return shortened(printable(self._line), _LAST_CHARACTERS)

    def _read(self, stream: Any) -> None:
        for line in lines_from(stream):
            self._line = line.strip() or self._line
