"""Runs hyperhive's commands as a person does: as processes, with signals, in a home of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable
from unittest import mock

from hyperhive import cli
from hyperhive.store.server.embedded import embedded_server, running_uri
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial

REPOSITORY = Path(__file__).resolve().parents[2]


PATIENCE_S = 200.0
"""How long a test waits for anything: longer than the slowest of machines takes, and shorter than
pytest's time-out for a test."""


def until(holds: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Return what ``holds`` gives once it is true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline, "not in time: " + what
        time.sleep(0.02)


class Program:
    """A command that runs; what it says goes to a file, which can be read at any time."""

    def __init__(self, command: list[str], log: Path, cwd: Path, environment: dict[str, str]):
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=str(cwd),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def said(self) -> str:
        """Return what it said so far."""
        return self._log.read_text(errors="replace")

    def says(self, text: str, seconds: float = PATIENCE_S) -> None:
        """Wait until it has said this."""

        def holds() -> bool:
            assert text in self.said() or self._process.poll() is None, self.said()
            return text in self.said()

        until(holds, f"{text!r} in {self.said()!r}", seconds)

    def signal(self, number: int) -> None:
        """Send it a signal, as a terminal or a service manager does."""
        self._process.send_signal(number)

    def end(self, seconds: float = PATIENCE_S) -> int:
        """Wait for its end; return its exit code."""
        return self._process.wait(seconds)

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None


def call(
    program: Callable[[], None], *arguments: str, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in the test's process, which has imported all that it needs.

    For commands that neither leave anything running nor log.
    """
    out, err, code, before = io.StringIO(), io.StringIO(), 0, Path.cwd()
    argv = ["command", *arguments]
    seen = mock.patch.multiple(sys, argv=argv, stdin=io.StringIO(), stdout=out, stderr=err)
    with mock.patch.dict(os.environ, environment, clear=True), seen:
        os.chdir(cwd)
        try:
            program()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os.chdir(before)
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())


class Home:
    """A user's own directories, and the commands that user runs in ``work``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self.mongo = folder / "data" / "hyperhive" / "mongo"
        self._programs: list[Program] = []
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "PYTHONPATH": str(REPOSITORY),
            "COLUMNS": "200",
            # Matplotlib looks at every font of the machine, once: not once for each home.
            "MPLCONFIGDIR": str(Path(os.environ["XDG_CACHE_HOME"]) / "matplotlib"),
        }
        for name in ("DATA", "CACHE", "CONFIG", "STATE"):
            self.environment[f"XDG_{name}_HOME"] = str(folder / name.lower())

    def card(self, name: str) -> dict[str, Any]:
        """Return the card of a study's model."""
        read: dict[str, Any] = json.loads((self.work / "models" / name / "model.json").read_text())
        return read

    def trials(self, study: str) -> list[Trial]:
        """Return all trials of a study on the home's own server."""
        with embedded_server(self.mongo) as uri, Store(uri) as store:
            return store.trials.find(study)

    def start(self, *arguments: str, python: str = sys.executable, **variables: str) -> Program:
        """Start ``hyperhive ARGUMENTS``."""
        program = Program(
            [python, "-m", "hyperhive", *arguments],
            self._folder / f"{len(self._programs)}.log",
            self.work,
            {**self.environment, **variables},
        )
        self._programs.append(program)
        return program

    def run(
        self, *arguments: str, seconds: float = PATIENCE_S, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``hyperhive ARGUMENTS`` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "hyperhive", *arguments],
            cwd=str(self.work),
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def call(
        self, *arguments: str, program: Callable[[], None] = cli.main, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``hyperhive ARGUMENTS`` to its end in the test's process, as ``call`` does."""
        return call(program, *arguments, cwd=self.work, **{**self.environment, **variables})

    def server(self) -> str | None:
        """Return the URI of this user's own server, if it runs."""
        return running_uri(self.mongo) if self.mongo.exists() else None

    def processes(self) -> dict[int, str]:
        """Return the command lines of all processes that live in this home, by process id."""
        mark = "XDG_DATA_HOME={}\0".format(self._folder / "data").encode()
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes():
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(entry.name)] = line.decode(errors="replace")
            except OSError:  # it has just ended
                continue
        return found

    def slots(self, worker: Program) -> list[int]:
        """Return the process ids of a worker's slots."""
        return [
            pid
            for pid, line in self.processes().items()
            if "spawn_main" in line and parent(pid) == worker.pid
        ]

    def is_empty(self) -> None:
        """Fail if a process stays in this home (Python's own helpers may take a moment to end)."""
        until(lambda: not self.processes(), f"the end of {self.processes()}")

    def close(self) -> None:
        """End whatever a failed test left running here, and delete the server's 300 MB."""
        while self.processes():
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.kill(pid, signal.SIGKILL)
            for program in self._programs:
                program.end()
        shutil.rmtree(self.mongo / "data", ignore_errors=True)  # most tests have none


def parent(pid: int) -> int:
    """Return a process's parent; 0 if there is no such process."""
    said = subprocess.run(
        ["ps", "-o", "ppid=", "-p", str(pid)], stdout=subprocess.PIPE, text=True
    ).stdout
    return int(said or 0)


def slot(trial: Trial) -> int:
    """Return the process id of the worker that holds a trial: it is in the worker's id."""
    return int(str(trial.owner).split("-")[-2])
