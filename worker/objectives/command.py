"""A program as an objective: ``hyperhive.command("./train.sh --lr {lr}")``."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any, Iterator, Mapping

from hyperhive.common.errors import ConfigError, HyperhiveError
from hyperhive.common.programs import (
    find_program,
    lines_from,
    manner_of_end,
    running,
    words_of,
)
from hyperhive.common.text import printable
from hyperhive.common.values import is_number
from hyperhive.worker.objectives.api import BadResult, Stopped
from hyperhive.worker.objectives.function import RunningTrial

ARTIFACTS = "HYPERHIVE_ARTIFACTS"
"""The variable that names the folder of the files that a program leaves to be saved."""

_FIELD = re.compile(r"\{([^{}\s\"':,]+)\}")
_SEED = "trial.seed"
_ASK_EVERY_S = 0.2
_END_S = 5.0
"""How long a program may take to end after SIGTERM."""
_LAST_LINES = 5
_LAST_CHARACTERS = 500


class CommandFailed(HyperhiveError):
    """A program ended without success."""


class Command:
    """A function of a configuration and a trial that runs a program.

    ``{lr}`` and ``{optimizer.kind}`` in the command stand for values of the configuration: numbers
    and text as they are, anything else as JSON; ``{trial.seed}`` for the trial's seed. The command
    is split into words as a shell does it, before the values are put in; there is no shell. The
    program's last line that is a number, or an object of JSON, is what it found; an object with
    ``step`` is a report, at once. The files that it leaves in the folder ``$HYPERHIVE_ARTIFACTS``
    are saved.

    Raises ``UsageError`` for a command that is no text, has no program, or an open quotation.
    """

    def __init__(self, command: str) -> None:
        self._words = words_of(command)

    def require_program(self) -> None:
        """Raise ``DeviceError`` if this machine lacks the program, or may not run it."""
        if not _FIELD.search(self._words[0]):
            find_program(self._words[0])

    def __call__(self, config: Mapping[str, Any], trial: RunningTrial) -> Any:
        """Run the program to its end; return its loss, or a dictionary.

        Raises ``ConfigError`` for a field that the configuration lacks, ``DeviceError`` without the
        program, ``CommandFailed``, ``BadResult``, and ``Stopped`` when the trial has to end.
        """

        def value(found: re.Match[str]) -> str:
            is_seed = found[1] == _SEED and "trial" not in config
            return str(trial.seed) if is_seed else _value(config, found[1])

        words = [_FIELD.sub(value, word) for word in self._words]
        if any("\0" in word for word in words):
            raise ConfigError(
                "a value of the configuration has a character NUL: no program takes it"
            )
        found = None
        run = [find_program(words[0]), *words[1:]]
        with trial.artifact_folder() as folder, _running(run, folder) as program:
            for line in program.lines(trial):
                parsed = _parsed(line)
                if parsed is None:
                    sys.stdout.write(printable(line) + "\n")
                if isinstance(parsed, dict) and "step" in parsed:
                    metrics = {str(name): each for name, each in parsed.items() if name != "step"}
                    trial.report(parsed["step"], **metrics)
                found = found if parsed is None else parsed
            program.require_success(words[0])
        if found is None:
            raise BadResult(
                f"{words[0]} printed no result: its last line must be its loss, or JSON such as "
                '{"loss": 0.1}'
            )
        return found


def command(line: str) -> Command:
    """Return an objective that runs a program: see ``Command``."""
    return Command(line)


class _Program:
    """A program that runs, and its lines."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: deque[str] = deque(maxlen=_LAST_LINES)
        self._reading = threading.Thread(target=self._read_errors, daemon=True)
        self._reading.start()
        threading.Thread(target=self._read_output, daemon=True).start()

    def lines(self, trial: RunningTrial) -> Iterator[str]:
        """Yield each line of standard output as it comes; raises ``Stopped``."""
        has_ended = False
        while True:
            if trial.should_stop():
                raise Stopped
            try:
                line = self._lines.get(timeout=_ASK_EVERY_S)
            except queue.Empty:
                if has_ended:  # what it left running still has its standard output
                    return
                has_ended = self._process.poll() is not None
                continue
            if line is None:
                break
            yield line
        while self._process.poll() is None:  # it has closed its standard output, and goes on
            if trial.should_stop():
                raise Stopped
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_ASK_EVERY_S)

    def require_success(self, name: str) -> None:
        """Raise ``CommandFailed``, with the last lines of standard error, unless it ended well."""
        code = self._process.wait()
        if code == 0:
            return
        self._reading.join(_END_S)  # what it left running may still have its standard error
        last = "; ".join(self._errors)[-_LAST_CHARACTERS:]
        raise CommandFailed(f"{name} {manner_of_end(code)}" + (f": {last}" if last else ""))

    def _read_output(self) -> None:
        for line in lines_from(self._process.stdout):
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        for line in lines_from(self._process.stderr):
            sys.stderr.write(printable(line) + "\n")
            if line.strip():
                self._errors.append(printable(line.strip()))


@contextlib.contextmanager
def _running(command: list[str], artifacts: Path | None) -> Iterator[_Program]:
    """Run a program while the context is open, or this process lives, and no longer."""
    if artifacts is None:
        os.unsetenv(ARTIFACTS)
    else:
        os.putenv(ARTIFACTS, str(artifacts))  # beside all else that the program inherits
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(command, _END_S, **streams) as process:
        yield _Program(process)


def _value(config: Mapping[str, Any], field: str) -> str:
    """Return the value of a field, such as ``optimizer.kind``, as a word of the command."""
    value: Any = config
    for part in field.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            has = ", ".join(map(str, config))
            raise ConfigError(f"the command has {{{field}}}, which its configuration lacks: {has}")
    return value if isinstance(value, str) else json.dumps(value)


def _parsed(line: str) -> Any:
    """Return a line's number or JSON object, None if it is neither."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        with contextlib.suppress(ValueError):
            return float(line)  # nan, as Python prints it
        return None
    return value if isinstance(value, dict) or is_number(value) else None
