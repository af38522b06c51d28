"""Programs that a person names: their words, where they are, and their end, whatever happens."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

from hyperhive.common.errors import DeviceError, UsageError

_HAS_GROUPS = os.name == "posix"
_LONGEST_LINE = 1 << 20
_KILL_WITH_US = 'read group && { read _; kill -s KILL -- "-$group"; }'
"""A shell's script. Its standard input has one line, and ends when this process is gone."""


def words_of(command: str) -> list[str]:
    """Split a command into words as a shell does; there is no shell.

    Raises ``UsageError`` for a command that is no text, has no program, or an open quotation.
    """
    if not isinstance(command, str):  # shlex would read standard input for None
        raise UsageError(f"the command must be text, not {command!r:.80}")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"the command {command!r} cannot be split: {error}") from error
    if not words:
        raise UsageError("the command is empty: it must begin with a program")
    return words


def find_program(name: str) -> str:
    """Return where a program is: on the PATH, else in the working folder.

    Raises ``DeviceError`` if this machine lacks it, or may not run it.
    """
    found = shutil.which(name)
    if found is None and not Path(name).is_file():
        raise DeviceError(f"there is no program {name} here: install it, or give its path")
    if found is None and not os.access(name, os.X_OK):
        raise DeviceError(f"the program {name} may not be run: chmod +x {shlex.quote(name)}")
    return found or str(Path(name).absolute())


@contextlib.contextmanager
def running(
    command: list[str], seconds_to_end: float, **streams: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the context is open, or this process lives, and no longer.

    All that it starts ends with it.

    Args:
        command: where the program is, and its words.
        seconds_to_end: how long it may take to end after SIGTERM; then it is killed.
        streams: ``stdin``, ``stdout`` and ``stderr``, as ``subprocess.Popen`` takes them.

    Raises ``DeviceError`` if it cannot be run.
    """
    with contextlib.ExitStack() as ending:
        announce = ending.enter_context(_watch()) if _HAS_GROUPS else None
        try:
            process = subprocess.Popen(
                command,
                start_new_session=_HAS_GROUPS,  # a process group, which can be ended as a whole
                preexec_fn=announce,
                **streams,
            )
        except OSError as error:
            raise DeviceError(f"{command[0]} cannot be run here: {error.strerror}") from error
        ending.callback(_end, process, seconds_to_end)
        yield process


def lines_from(stream: Any) -> Iterator[str]:
    """Yield the lines of a pipe from a program, of up to 1 MB each, and close it at its end."""
    with stream:
        for line in iter(lambda: stream.readline(_LONGEST_LINE), b""):
            yield line.decode(errors="replace").rstrip("\r\n")


def manner_of_end(code: int) -> str:
    """Return how a program ended: ``ended with exit code 3``, ``was killed by SIGKILL``."""
    if code >= 0:
        return f"ended with exit code {code}"
    names = {each.value: each.name for each in signal.Signals}  # it lacks most real-time signals
    return f"was killed by {names.get(-code, f'signal {-code}')}"


@contextlib.contextmanager
def _watch() -> Iterator[Callable[[], None]]:
    """Kill a process group if this process ends, even by SIGKILL, while the context is open.

    Gives what the group's first process has to call before it runs its program: so there is no
    moment at which the program runs and is not watched. It only writes, which is safe between fork
    and exec although this process has threads.
    """
    watch = subprocess.Popen(
        ["/bin/sh", "-c", _KILL_WITH_US], stdin=subprocess.PIPE, start_new_session=True
    )
    pipe = watch.stdin.fileno()  # type: ignore[union-attr]

    def announce() -> None:
        os.write(pipe, b"%d\n" % os.getpid())

    with watch:
        try:
            yield announce
        finally:
            watch.kill()  # before its standard input ends


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a program, and all that it started."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    _signal(process, signal.SIGKILL if _HAS_GROUPS else signal.SIGTERM)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing of it is left
        if _HAS_GROUPS:
            os.killpg(process.pid, number)
        else:
            process.terminate()
