"""The commands ``hyperhive`` and ``predict-cam``.

A command's module is imported when that command runs, or when its own ``--help`` is asked for.
Every expected error ends here: one sentence on standard error, and an exit code (1: the run
failed; 2: wrong usage). Any other error is a fault of ours and keeps its traceback.
"""

import contextlib
import errno
import importlib
import os
import select
import sys
import threading
from typing import Any, Iterator, List, NoReturn, Optional, Tuple

import typer
from typer.core import TyperGroup

import hyperhive
from hyperhive.common.errors import HyperhiveError
from hyperhive.common.extras import advice
from hyperhive.common.streams import accept_any_character
from hyperhive.common.text import printable, with_home

# Name, where the command is defined, and the first paragraph of its own --help.
_COMMANDS = [
    (
        "demo",
        "hyperhive.coordinator.cli.demo:demo",
        "Run everything on this machine: server, coordinator, workers, a study, a picture.",
    ),
    (
        "coordinator",
        "hyperhive.coordinator.cli.coordinator:coordinator",
        "Start or resume a study: post its trials, show its progress, keep its best model.",
    ),
    (
        "worker",
        "hyperhive.worker.cli:worker_app",
        "Claim trials of a coordinator's study and train them on this machine.",
    ),
    (
        "status",
        "hyperhive.coordinator.cli.status:status",
        "Show studies, their trials, and the workers.",
    ),
    (
        "best",
        "hyperhive.coordinator.cli.best:best",
        "Describe the best model of a study, and export it in the form that a device needs.",
    ),
    (
        "benchmark",
        "hyperhive.worker.benchmark.cli:benchmark",
        "Measure how fast this device trains and classifies, and compare it with other devices.",
    ),
    (
        "dashboard",
        "hyperhive.coordinator.cli.dashboard:dashboard",
        "Show the studies and workers on a live web page, until Ctrl-C.",
    ),
    (
        "report",
        "hyperhive.coordinator.cli.results:report",
        "Write a report of a study: one HTML file with all figures, to keep, to print and to mail.",
    ),
    (
        "experiment",
        "hyperhive.coordinator.cli.experiment:experiment",
        "Compare search algorithms by many searches: of a table on a simulated fleet, or for real.",
    ),
    (
        "study",
        "hyperhive.coordinator.cli.study:study_app",
        "Have a study try more, end it, note something on it, delete it, or bring its results out "
        "and in.",
    ),
    (
        "dataset",
        "hyperhive.coordinator.cli.dataset:dataset_app",
        "List the data sets that have names, look into one, or publish one.",
    ),
    (
        "objectives",
        "hyperhive.coordinator.cli.objectives:objectives_app",
        "Publish code for the workers that trust your key, and withdraw it.",
    ),
    (
        "mongo",
        "hyperhive.coordinator.cli.mongo:mongo_app",
        "The private MongoDB server of this machine, and access to a shared one.",
    ),
]

_OF_A_FILE = {
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.EPERM,
    errno.EROFS,
}
"""Errors that the user can fix, if the error names the file."""

_OF_A_DISK = {errno.ENOSPC, errno.EDQUOT}
"""Errors that the user can fix. A failed write does not name its file."""


class _LazyGroup(TyperGroup):
    """Knows the commands by name and help, and imports the one that runs."""

    def resolve_command(self, ctx: Any, args: List[str]) -> Tuple[Any, Any, List[str]]:
        """Find the command that ``args`` start with, and import it in place of its placeholder."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load(str(name)), rest


def _placeholder() -> None:
    """Stand for a command that is not imported yet."""


def load(name: str) -> Any:
    """Import one command of ``hyperhive``; return it as a click command."""
    [target] = [target for command, target, _ in _COMMANDS if command == name]
    module, _, attribute = target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    # In "rich" mode --help would keep the line breaks of the docstrings.
    alone = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False)
    if isinstance(command, typer.Typer):
        alone.add_typer(command, name=name)
    else:
        alone.command(name)(command)
    return typer.main.get_group(alone).commands[name]


def main() -> None:
    """Run ``hyperhive``."""
    app = typer.Typer(
        name="hyperhive",
        cls=_LazyGroup,
        help="Hyperparameter search over the machines you already own.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name, _, sentence in _COMMANDS:
        app.command(name, help=sentence)(_placeholder)
    _run(typer.main.get_group(app), "hyperhive")


def program() -> NoReturn:
    """Run ``hyperhive``, and end the process without Python's clean-up.

    In that, PyMongo waits half a second for its threads, and PyTorch takes one to two seconds. A
    file of the user's may need it: for a file that it left open, or a function of ``atexit``.
    """
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    from hyperhive.common.signals import USERS_FILE, end_process

    if any(name.startswith(USERS_FILE) for name in sys.modules):
        sys.exit(code)
    end_process(code)


def predict_cam() -> None:
    """Run ``predict-cam``."""
    from hyperhive.inference.cli import app

    before = set(threading.enumerate())
    try:
        _run(typer.main.get_command(app), "predict-cam")
    except SystemExit as ended:
        # A read that hangs in OpenCV's C++ code would abort the process during Python's clean-up.
        if any(thread.name == "grabber" for thread in set(threading.enumerate()) - before):
            from hyperhive.common.signals import end_process

            end_process(int(ended.code or 0))
        raise


def _run(command: Any, name: str) -> None:
    accept_any_character()
    _leave_notebook()
    sys.argv[1:] = map(with_home, sys.argv[1:])
    command.params.extend(_common_options(name))
    command.invoke = _broken_pipes_kept()(command.invoke)
    try:
        command()
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None or "--debug" in sys.argv:
            raise
        sys.stderr.write(f"error: {printable(sentence)}\n")
        sys.exit(getattr(error, "exit_code", 1))


def _leave_notebook() -> None:
    """Take no settings from a notebook that runs this command.

    Its ``!`` gives commands a pseudo-terminal that cannot move the cursor, whatever TERM says, and
    a backend of Matplotlib that only its kernel has.
    """
    if "inline" in os.environ.get("MPLBACKEND", "") or "JPY_PARENT_PID" in os.environ:
        os.environ["TERM"] = "dumb"
    os.environ["MPLBACKEND"] = "agg"


def _common_options(name: str) -> List[Any]:
    """Return ``--version`` and ``--debug``, which both commands have."""

    def show_version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{name} {hyperhive.__version__}")
            raise typer.Exit

    def declare(
        version: bool = typer.Option(
            False,
            "--version",
            callback=show_version,
            is_eager=True,
            expose_value=False,
            help="Show the version and exit.",
        ),
        debug: bool = typer.Option(
            False,
            "--debug",
            expose_value=False,
            help="Show the traceback of every error, expected errors included.",
        ),
    ) -> None:
        """Only declares the options; ``_run`` looks for ``--debug``."""

    app = typer.Typer(add_completion=False)
    app.command()(declare)
    return list(typer.main.get_command(app).params)


def _sentence(error: Exception) -> Optional[str]:
    """Return what to tell the user of an error that the user can fix, None for any other."""
    if isinstance(error, HyperhiveError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return advice(error)
    if isinstance(error, OSError) and error.errno in _OF_A_FILE | _OF_A_DISK:
        if error.filename is not None:
            return f"{error.filename}: {error.strerror}"
        if error.errno in _OF_A_DISK:
            return error.strerror
        if "temporary directory" in str(error.strerror):  # tempfile's words
            return "no folder for temporary files can be written: set TMPDIR to one that can"
    return None


@contextlib.contextmanager
def _broken_pipes_kept() -> Iterator[None]:
    """Raise ``RuntimeError`` for a broken pipe that is not standard output.

    If standard output lost its reader, as in ``hyperhive status | head``, click ends the command
    silently. But click takes every broken pipe for that, also a connection to a process or server.
    """
    try:
        yield
    except BrokenPipeError as error:
        if _output_is_read():
            raise RuntimeError("the other end of a pipe or connection was closed") from error
        raise


def _output_is_read() -> bool:
    """Return whether standard output still has a reader; False where that is not known."""
    if not hasattr(select, "poll"):  # Windows
        return False
    poll = select.poll()
    poll.register(sys.stdout, 0)  # 0: only hang-ups and errors
    return not poll.poll(0)
