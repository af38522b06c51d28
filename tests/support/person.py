"""A person who runs predict-cam at a pseudo-terminal, and presses keys."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

from support.home import REPOSITORY, until

COMMAND = [sys.executable, "-c", "from hyperhive import cli; cli.predict_cam()"]


class Person:
    """A person at a pseudo-terminal who runs the command."""

    def __init__(self, *arguments: object, folder: Path, **environment: str) -> None:
        self._mine, theirs = pty.openpty()
        self.process = subprocess.Popen(
            COMMAND + [str(argument) for argument in arguments],
            cwd=str(folder),
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "TERM": "xterm-256color",
                "LINES": "40",
                "COLUMNS": "120",
                **environment,
            },
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._output, self._lock = b"", threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def sees(self, text: str) -> None:
        """Wait until this is on the screen, in what came after the last wait."""

        def holds() -> bool:
            with self._lock:
                _, found, after = self._output.partition(text.encode())
                if found:
                    self._output = after
            return bool(found)

        until(holds, f"{text!r} in {self._output[-3000:]!r}")

    def sees_after(self, text: str, seconds: float) -> str:
        """Wait for the rest of a line that begins with this; return its first word."""

        def rest() -> str:
            with self._lock:
                said = self._output.decode(errors="replace")
            _, found, after = said.partition(text)
            return after.split()[0] if found and "\n" in after else ""

        return str(until(rest, f"{text!r} in {self._output[-3000:]!r}", seconds))

    def types(self, keys: str) -> None:
        """Press keys, one after the other."""
        os.write(self._mine, keys.encode())

    def ends(self) -> int:
        """Wait for the end of the command; return its exit code."""
        code = self.process.wait(200)
        self._reader.join()
        os.close(self._mine)
        return code

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._mine, 65536)
            except OSError:  # its other end is closed
                return
            with self._lock:
                self._output += data
