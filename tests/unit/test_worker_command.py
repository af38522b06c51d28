"""A program as an objective: ``hyperhive.command``."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any, Iterator

import pytest
from support.home import until

import hyperhive
from hyperhive.common.errors import ConfigError, DeviceError, UsageError
from hyperhive.worker.objectives.api import BadResult, Stopped
from hyperhive.worker.objectives.command import CommandFailed

PYTHON = sys.executable


class Trial:
    """A running trial, its reports, and the files that a program left for it."""

    seed = 5

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.left: dict[str, bytes] = {}

    @contextlib.contextmanager
    def artifact_folder(self) -> Iterator[Path]:
        """Give a folder, and keep what is in it in the end."""
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
            self.left = {path.name: path.read_bytes() for path in Path(folder).iterdir()}

    def report(self, step: float, **metrics: Any) -> None:
        """Keep a report."""
        self.reports.append({"step": step, **metrics})

    def should_stop(self) -> bool:
        """Return that it may go on."""
        return False


def run(script: str, *words: str, trial: Any = None, **config: Any) -> Any:
    """Run a script of Python as a command, with words after it."""
    line = " ".join([PYTHON, "-c", "'" + textwrap.dedent(script).replace("'", '"') + "'", *words])
    return hyperhive.command(line)(config, trial or Trial())


def prints(*lines: str) -> str:
    return "".join(f"print({json.dumps(line)})\n" for line in lines)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# -- its words -------------------------------------------------------------------------------------


def test_values_are_put_in_by_name_and_never_split() -> None:
    """Numbers and text stand as they are, anything else as JSON; no value reaches a shell."""
    found = run(
        "import json, sys; print(json.dumps({'loss': 0, 'words': sys.argv[1:]}))",
        "--lr={lr} {optimizer.kind} {layers.1} {layers} {flag} {none} '{\"a\": 1}' $HOME {{lr}}",
        lr=0.001,
        optimizer={"kind": "a b'; rm -rf ~"},
        layers=[16, 32],
        flag=True,
        none=None,
    )
    assert found["words"] == [
        "--lr=0.001",
        "a b'; rm -rf ~",
        "32",
        "[16, 32]",
        "true",
        "null",
        '{"a": 1}',
        "$HOME",
        "{0.001}",
    ]


@pytest.mark.parametrize("line", ["", "  ", "train 'open", None, 3])
def test_a_command_that_cannot_be_split_is_refused(line: Any) -> None:
    """At once, where it is written."""
    with pytest.raises(UsageError, match="the command"):
        hyperhive.command(line)


@pytest.mark.parametrize("field", ["lrr", "optimizer.momentum", "lr.x", "layers.2"])
def test_a_field_that_the_configuration_lacks_is_named(field: str) -> None:
    """No worker could run it; the sentence names what there is."""
    with pytest.raises(ConfigError) as refused:
        run("", f"{{{field}}}", lr=0.1, optimizer={"kind": "sgd"}, layers=[1, 2])
    assert str(refused.value) == (
        f"the command has {{{field}}}, which its configuration lacks: lr, optimizer, layers"
    )


@pytest.mark.parametrize(("config", "seed"), [({}, 5), ({"trial": {"seed": 8}}, 8)])
def test_a_program_may_be_given_the_trials_seed(config: dict[str, Any], seed: int) -> None:
    """By a name of its own, which a value of the configuration may have too."""
    assert hyperhive.command("echo {trial.seed}")(config, Trial()) == seed


def test_a_character_that_no_program_takes_is_refused() -> None:
    """A NUL ends a word."""
    with pytest.raises(ConfigError, match="NUL"):
        run("", "{x}", x="a\0b")


def test_a_program_may_lie_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere it is missing, which another device may not be; so it says what to do."""
    (tmp_path / "train.sh").write_text('#!/bin/sh\necho "$1"\n')
    monkeypatch.chdir(tmp_path)
    command = hyperhive.command("train.sh {lr}")
    with pytest.raises(DeviceError, match=r"train.sh may not be run: chmod \+x train.sh"):
        command({"lr": 0.5}, Trial())
    (tmp_path / "train.sh").chmod(0o755)
    assert command({"lr": 0.5}, Trial()) == 0.5
    with pytest.raises(DeviceError, match=r"there is no program tran\.sh here: install it"):
        hyperhive.command("tran.sh").require_program()


# -- what it finds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["0.25"], 0.25),
        (
            ["loading", '{"loss": 0.5, "accuracy": 0.75}', "", "done"],
            {"loss": 0.5, "accuracy": 0.75},
        ),
        (["1", "2"], 2),
        (["0.5", "nan"], math.nan),
        (["0.5", "[1]", "null", "true"], 0.5),
    ],
)
def test_its_last_line_that_is_a_result_counts(
    lines: list[str], found: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Anything else it prints is for people, and passed on to them."""
    assert run(prints(*lines)) == pytest.approx(found, nan_ok=True)
    for_people = [line for line in lines if (line.isalpha() and line != "nan") or line == "[1]"]
    assert capfd.readouterr().out.split() == for_people


def test_an_object_with_a_step_is_a_report_at_once(tmp_path: Path) -> None:
    """The program that waits for the report to arrive goes on."""
    arrived = tmp_path / "arrived"

    class Waiting(Trial):
        def report(self, step: float, **metrics: Any) -> None:
            super().report(step, **metrics)
            arrived.touch()

    trial = Waiting()
    script = f"""
        import os, time
        print('{{"step": 1, "accuracy": 0.5}}', flush=True)
        while not os.path.exists("{arrived}"):
            time.sleep(0.01)
        print('{{"loss": 0.5}}')
    """
    assert run(script.replace("'{", '"""{').replace("}'", '}"""'), trial=trial) == {"loss": 0.5}
    assert trial.reports == [{"step": 1, "accuracy": 0.5}]


def test_what_a_program_leaves_is_kept() -> None:
    """In the folder that a variable names, beside all other variables."""
    trial = Trial()
    leaves = """
        import os, pathlib
        folder = pathlib.Path(os.environ["HYPERHIVE_ARTIFACTS"])
        (folder / "path.txt").write_text(os.environ["PATH"])
        print(1)
    """
    for _ in range(2):
        assert run(leaves, trial=trial) == 1
        assert trial.left == {"path.txt": os.environ["PATH"].encode()}


def test_a_program_without_a_result_is_refused() -> None:
    """It says what the last line must be."""
    with pytest.raises(BadResult, match="printed no result: its last line must be its loss, or"):
        run(prints("all is well"))


def test_a_program_that_fails_is_quoted(capfd: pytest.CaptureFixture[str]) -> None:
    """The last lines of its standard error are in the sentence; all of it is in the log."""
    script = """
        import sys
        print(0.5)
        for number in range(9):
            print("line", number, file=sys.stderr)
        sys.exit(3)
    """
    with pytest.raises(CommandFailed) as failed:
        run(script)
    assert "ended with exit code 3: line 4; line 5; line 6; line 7; line 8" in str(failed.value)
    assert "line 0\nline 1\n" in capfd.readouterr().err
    with pytest.raises(CommandFailed, match="was killed by SIGKILL"):
        run("import os; os.kill(os.getpid(), 9)")


def test_what_a_program_leaves_running_is_ended(tmp_path: Path) -> None:
    """It has the program's standard output, and nobody waits for that."""
    pid = tmp_path / "pid"
    script = f"""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open("{pid}", "w").write(str(child.pid))
        print(0.5)
    """
    assert run(script) == 0.5
    until(lambda: is_gone(int(pid.read_text())), "the end of what the program started")


# -- its end ---------------------------------------------------------------------------------------

DEAF = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open("{pids}.new", "w").write("%d %d" % (os.getpid(), child.pid))
    os.rename("{pids}.new", "{pids}")
    time.sleep(600)
"""


def test_a_program_that_has_to_end_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First it is asked, then killed."""
    monkeypatch.setattr("hyperhive.worker.objectives.command._END_S", 0.2)
    pids = tmp_path / "pids"

    class Ending(Trial):
        def should_stop(self) -> bool:
            return pids.exists()

    with pytest.raises(Stopped):
        run(DEAF.format(pids=pids), trial=Ending())
    for pid in pids.read_text().split():
        until(lambda pid=pid: is_gone(int(pid)), "the end of the program")


def test_without_a_folder_a_program_runs_all_the_same() -> None:
    """A disk that is full does not keep a program from running that leaves no file."""
    trial = Trial()
    asks = 'import os; print(int("HYPERHIVE_ARTIFACTS" in os.environ))'
    assert run(asks, trial=trial) == 1
    trial.artifact_folder = contextlib.nullcontext  # type: ignore[method-assign]
    assert run(asks, trial=trial) == 0


@pytest.mark.parametrize("kills_at_once", [False, True])
def test_a_program_dies_with_its_worker(tmp_path: Path, kills_at_once: bool) -> None:
    """Even if the worker is killed by the first thing that the program does; with its children."""
    alive, script = tmp_path / "alive", tmp_path / "program"
    os.mkfifo(alive)  # has an end when nobody has it open
    kills = "kill -KILL $PPID" if kills_at_once else ":"
    script.write_text(
        f"#!/bin/sh\nexec 3>{alive}\n{kills}\ntrap '' TERM\nsleep 600 &\necho >&3\nsleep 600\n"
    )
    script.chmod(0o755)
    worker = subprocess.Popen(
        [
            PYTHON,
            "-c",
            "import contextlib, hyperhive, sys, types\n"
            "left = lambda: contextlib.nullcontext('')\n"
            "trial = types.SimpleNamespace(should_stop=lambda: False, artifact_folder=left)\n"
            "hyperhive.command(sys.argv[1])({}, trial)",
            str(script),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    with alive.open() as held:
        if not kills_at_once:
            held.readline()
            worker.kill()
        assert worker.wait() == -signal.SIGKILL
        held.read()
