"""Workers on this machine that a program starts, for a function of its own or by name.

``local_workers`` starts one process, ``python -m hyperhive.worker.local``, and gives it the
function through its standard input. That process runs the slots of an ordinary worker.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

from hyperhive.common import paths
from hyperhive.common.errors import HyperhiveError
from hyperhive.common.streams import accept_any_character
from hyperhive.worker.objectives.given import Given
from hyperhive.worker.settings import WorkerSettings

log = logging.getLogger(__name__)

_END_S = 10.0
"""How long the workers may take to end. They kill a slot after half of that."""
_CHUNK = 1 << 16


class WorkersFailed(HyperhiveError):
    """The workers of this machine ended before they were asked to."""


class LocalWorkers:
    """Workers that run, see ``local_workers``; ``log`` has their warnings, if there were any."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self.log = log

    def is_running(self) -> bool:
        """Return whether they have not ended."""
        return self._process.poll() is None

    def raise_if_failed(self) -> None:
        """Raise ``WorkersFailed``, which says why, if they have ended."""
        if self.is_running():
            return
        code = self._process.returncode
        if not self.log.exists():
            raise WorkersFailed(f"this machine's workers ended: exit code {code}")
        lines = self.log.read_text(encoding="utf-8").splitlines()
        records = [line for line in lines if line[:1].isdigit()]  # the other lines are indented
        reason = records[-1].partition("  ")[2] if records else f"exit code {code}"
        raise WorkersFailed(f"this machine's workers ended: {reason} (their log: {self.log})")


# -- in the program that has the function ----------------------------------------------------------


@contextlib.contextmanager
def local_workers(
    function: Callable[..., Any] | None,
    name: str,
    uri: str,
    count: int | None = None,
    study: str | None = None,
    objectives: Sequence[str] = (),
) -> Iterator[LocalWorkers]:
    """Run workers of this machine while the context is open, or this process lives.

    What the function prints appears on this program's standard streams. When the context is left
    they give their trials back; an objective that does not ask whether it should stop is killed
    some seconds later, and other workers get its trial when its lease is over.

    Args:
        function: of ``(config, trial)`` or ``(config)``, or a ``hyperhive.command``. None if the
            objective is one of this installation's, which these workers have in any case.
        name: of the objective that it is.
        uri: of the server.
        count: how many; None for one per core on a CPU, one on a GPU.
        study: the one they work for; None for any.
        objectives: the absolute paths of files whose functions they can run.

    Raises what ``Given.of`` raises.
    """
    given = None if function is None else Given.of(function, name)
    file = _log_file()
    settings: dict[str, Any] = {"mongo": uri, "slots": count, "study": study, "log": str(file)}
    settings["objectives"] = list(objectives)
    with _process() as process:
        with contextlib.suppress(BrokenPipeError):  # raise_if_failed says why they ended
            _send(process.stdin, given, settings)
        yield LocalWorkers(process, file)


def _log_file() -> Path:
    """Return the path of a new log; it becomes a file when there is something to log."""
    folder = paths.data_directory() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}.log"


@contextlib.contextmanager
def _process() -> Iterator[subprocess.Popen[bytes]]:
    """Run the workers' process while the context is open, and write what it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hyperhive.worker.local"],
        stdin=subprocess.PIPE,  # ends with this process, even if it is killed, and they with it
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches only this process, which stops them in order
    )
    readers = [
        threading.Thread(target=_pass_on, args=(pipe, stream), daemon=True)
        for pipe, stream in ((process.stdout, "stdout"), (process.stderr, "stderr"))
    ]
    for reader in readers:
        reader.start()
    try:
        yield process
    finally:
        _end(process)
        for reader in readers:
            reader.join(1.0)  # what the function has left running may keep the pipes open


def _send(pipe: Any, given: Given | None, settings: Mapping[str, Any]) -> None:
    header = {
        "settings": settings,
        "name": given and given.name,
        "path": list(map(str, sys.path)),
        "folder": os.getcwd(),
        "bytes": len(given.pickled) if given else 0,
    }
    pipe.write(json.dumps(header).encode() + b"\n" + (given.pickled if given else b""))
    pipe.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the workers to stop, by closing their standard input, and wait until they have."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # they have ended
            process.stdin.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def _pass_on(pipe: Any, stream: str) -> None:
    """Write what the workers print to this program's own stream; a notebook's is no file."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    with pipe:
        while True:
            chunk = os.read(pipe.fileno(), _CHUNK)
            text = decoder.decode(chunk, final=not chunk)
            # The workers wait for a reader, so this goes on if the program has closed its stream,
            # or has none.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                getattr(sys, stream).write(text)
                getattr(sys, stream).flush()
            if not chunk:
                return


# -- in the workers' process -----------------------------------------------------------------------


def main() -> None:
    """Run workers as the program at the other end of standard input says, until that ends."""
    from hyperhive.worker.cli import set_up_logging, set_up_slot
    from hyperhive.worker.slots import run_slots

    accept_any_character()
    header, pickled = _received()
    os.chdir(header["folder"])
    sys.path[:] = header["path"]  # the slots get it too
    settings = WorkerSettings(
        **header["settings"],
        given=Given(header["name"], pickled) if pickled else None,
        grace=0.0,
        while_stdin_open=True,
    )
    set_up_logging(settings, "worker")
    try:
        run_slots(settings, False, set_up_slot)
    except HyperhiveError as error:
        log.error("%s", error)
        sys.exit(1)


def _received() -> tuple[dict[str, Any], bytes]:
    """Return what ``_send`` has sent. Nothing after it is read: the end is for ``run_slots``."""
    with io.FileIO(0, closefd=False) as pipe:
        line = pipe.readline()
        header: dict[str, Any] = json.loads(line) if line else sys.exit(0)
        pickled = b""
        while len(pickled) < header["bytes"]:
            pickled += pipe.read(header["bytes"] - len(pickled)) or sys.exit(0)
    return header, pickled


if __name__ == "__main__":
    main()
