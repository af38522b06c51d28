"""The two commands as a whole: help, version, and what becomes of an error."""

from __future__ import annotations

import errno
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import hyperhive
from hyperhive import cli
from hyperhive.common.errors import UsageError
from hyperhive.inference.cli import app as predict_app

REPOSITORY = Path(__file__).resolve().parents[2]
DECOYS = ("common", "coordinator", "inference", "model", "store", "web", "worker")


def python(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def run_command(monkeypatch: pytest.MonkeyPatch, error: Exception, *arguments: str) -> None:
    """Run a command that raises an error, the way ``hyperhive`` runs its own."""
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["hyperhive", *arguments])
    cli._run(typer.main.get_command(app), "hyperhive")


def test_the_home_is_put_in_where_a_shell_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shells leave ``--data=~/x`` as it is, and PowerShell leaves every ``~``."""
    app = typer.Typer()
    given: list[Path] = []

    @app.command()
    def take(source: Path, data: Path = typer.Option(...)) -> None:  # noqa: B008
        given.extend([source, data])

    take.__annotations__.update(source=Path, data=Path)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(sys, "argv", ["predict-cam", "~/a.png", "--data=~/b"])
    with pytest.raises(SystemExit):
        cli._run(typer.main.get_command(app), "predict-cam")
    assert given == [Path("/home/me/a.png"), Path("/home/me/b")]


def list_of_commands() -> list[Any]:
    return [pytest.param(name, sentence, id=name) for name, _, sentence in cli._COMMANDS]


@pytest.mark.parametrize(("name", "sentence"), list_of_commands())
def test_the_list_of_commands_repeats_their_own_help(name: str, sentence: str) -> None:
    """What ``hyperhive --help`` says of a command is the first paragraph of its own help."""
    paragraph = inspect.cleandoc(cli.load(name).help).split("\n\n")[0]
    assert sentence == " ".join(paragraph.split())


def test_typer_can_read_the_annotations_on_python_3_8() -> None:
    """Typer evaluates those of commands and callbacks: text such as ``str | None`` fails there."""
    commands = [cli.load(name) for name, _, _ in cli._COMMANDS]
    commands += [part for group in commands for part in getattr(group, "commands", {}).values()]
    commands.append(typer.main.get_command(predict_app))
    functions = {command.callback for command in commands}
    functions |= {param.callback for command in commands for param in command.params}
    for function in map(inspect.unwrap, functions - {None}):
        annotations: dict[str, Any] = function.__annotations__
        assert not [text for text in annotations.values() if isinstance(text, str)], function


def test_help_imports_no_command() -> None:
    """``hyperhive --help`` lists the commands without importing any of them."""
    script = (
        "import sys; sys.argv = ['hyperhive', '--help']\n"
        "from hyperhive.cli import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    print(*(name for name in sys.modules if name.startswith('hyperhive.')))\n"
    )
    done = python("-c", script)
    assert all(name in done.stdout for name, _, _ in cli._COMMANDS)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded == {
        "hyperhive.cli",
        "hyperhive.common",
        "hyperhive.common.errors",
        "hyperhive.common.extras",
        "hyperhive.common.streams",
        "hyperhive.common.text",
    }


@pytest.mark.parametrize(
    ("function", "name"), [("main", "hyperhive"), ("predict_cam", "predict-cam")]
)
def test_version(function: str, name: str) -> None:
    """Both commands know their version."""
    script = (
        f"import sys; sys.argv[1:] = ['--version']; from hyperhive import cli; cli.{function}()"
    )
    done = python("-c", script)
    assert (done.returncode, done.stdout) == (0, f"{name} {hyperhive.__version__}\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes a stream")
def test_a_closed_standard_output_is_no_error() -> None:
    """A service or a script may start a command with ``>&-``."""
    command = f"exec '{sys.executable}' -m hyperhive --version >&-"
    done = subprocess.run(["sh", "-c", command], cwd=REPOSITORY, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_unknown_command_is_wrong_usage() -> None:
    """A name that is not in the list is refused with exit code 2."""
    done = python("-m", "hyperhive", "nonsense")
    assert done.returncode == 2
    assert "No such command 'nonsense'" in done.stderr


def test_the_working_folder_hides_no_module(tmp_path: Path) -> None:
    """``python -m hyperhive`` runs in a folder whose files have the names of its parts."""
    for name in DECOYS:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a decoy was imported')\n")
    done = python("-m", "hyperhive", "worker", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--slots" in done.stdout


@pytest.mark.parametrize(
    "option",
    ["--slots=99999999999999999999", "--lease=1e400", "--lease=nan", "--grace=nan", "--nice=1e9"],
)
def test_a_number_that_no_worker_can_use_is_wrong_usage(option: str) -> None:
    """The option is named, and nothing is started."""
    done = python("-m", "hyperhive", "worker", option)
    assert done.returncode == 2
    assert option.partition("=")[0] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (UsageError("give a --name"), 2, "give a --name"),
        (
            PermissionError(errno.EACCES, "Permission denied", "models/x"),
            1,
            "models/x: Permission denied",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/mnt/x"),
            1,
            "/mnt/x: Read-only file system",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
        (
            ModuleNotFoundError("no torch", name="torch"),
            1,
            "this needs torch: pip install 'hyperhive[torch]'",
        ),
    ],
)
def test_an_error_that_the_user_can_fix_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    sentence: str,
) -> None:
    """It ends the command with a sentence and an exit code; with ``--debug``, as it was raised."""
    with pytest.raises(SystemExit) as ended:
        run_command(monkeypatch, error)
    assert ended.value.code == code
    assert capsys.readouterr().err == f"error: {sentence}\n"
    with pytest.raises(type(error)) as raised:
        run_command(monkeypatch, error, "--debug")
    assert raised.value is error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EBADF, "Bad file descriptor"),
        OSError(errno.EBADF, "Bad file descriptor", "models/x"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        OSError("no errno at all"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        ModuleNotFoundError("no store", name="store"),
        ValueError("a fault of ours"),
    ],
    ids=repr,
)
def test_any_other_error_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A fault of ours does not look like a mistake of the user."""
    with pytest.raises(type(error)) as raised:
        run_command(monkeypatch, error)
    assert raised.value is error


def test_debug_shows_where_an_expected_error_was_raised() -> None:
    """An error that is one sentence without ``--debug`` has its traceback with it."""
    asked = ("status", "--mongo", "http://elsewhere")
    done = python("-m", "hyperhive", *asked)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    traced = python("-m", "hyperhive", "--debug", *asked)
    assert traced.returncode == 1
    assert traced.stderr.startswith("Traceback")
    assert done.stderr.replace("error: ", "BadAddress: ") in traced.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipes")
@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_leaves_ends_a_command_quietly(buffered: bool) -> None:
    """``hyperhive ... | head`` leaves nothing on standard error."""
    script = (
        "import sys, typer; from hyperhive import cli\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def write() -> None:\n"
        "    while True:\n"
        "        print('line')\n"
        "cli._run(typer.main.get_command(app), 'hyperhive')\n"
    )
    command = [sys.executable, *([] if buffered else ["-u"]), "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipes")
def test_a_broken_pipe_elsewhere_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that broke is not mistaken for a reader of standard output that left."""
    with Path(os.devnull).open("w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(RuntimeError) as raised:
            run_command(monkeypatch, BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert isinstance(raised.value.__cause__, BrokenPipeError)
