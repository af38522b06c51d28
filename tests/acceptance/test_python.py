"""Python's API as a person uses it: a script, a REPL, a notebook, Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.home import Home, Program

WITHOUT_GUARD = """
import hyperhive

def helper(x):
    return (x - 1) ** 2

def train(config, trial):
    trial.report(1, x=config["x"])
    return helper(config["x"])

space = {"x": {"distribution": "uniform", "low": -5, "high": 5}}
first = hyperhive.search(train, space, trials=2, workers=1)
first.close()
second = hyperhive.search(train, space, trials=2, workers=1, progress=False)
print("names differ:", first.name != second.name)
print("objective:", second.store.study(second.name).spec["objective"])
print("best:", second.best.loss == helper(second.best.config["x"]))
"""
SLOW = """
import time
import hyperhive

def train(config):
    time.sleep(0.5)
    return config["x"]

space = {"x": {"distribution": "uniform", "low": 0, "high": 1}}
hyperhive.search(train, space, trials=4, name="s", workers=1)
print("done")
"""


def script(home: Home, name: str, text: str) -> Path:
    path = home.work / name
    path.write_text(text)
    return path


def python(home: Home, *arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=str(home.work),
        env=home.environment,
        capture_output=True,
        text=True,
        timeout=300,
        **how,
    )


@pytest.mark.long
def test_a_script_needs_no_guard_and_may_search_twice(home: Home) -> None:
    """Its functions are known to the workers by value."""
    ended = python(home, str(script(home, "plain.py", WITHOUT_GUARD)))
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[-3:] == ["names differ: True", "objective: plain:train", "best: True"]
    home.is_empty()


@pytest.mark.long
def test_a_function_that_was_typed_in(home: Home) -> None:
    """A REPL has no file."""
    ended = python(
        home,
        "-i",
        "-q",
        input=WITHOUT_GUARD.replace("\n\n", "\n")
        .replace("def helper", "\ndef helper")
        .replace("def train", "\ndef train")
        .replace("space =", "\nspace ="),
    )
    assert "objective: python:train" in ended.stdout, ended.stderr
    assert "best: True" in ended.stdout
    home.is_empty()


@pytest.mark.long
def test_ctrl_c_stops_it_and_the_same_again_goes_on(home: Home) -> None:
    """It says how, once, and is KeyboardInterrupt; nothing stays running, and no trial is lost."""
    path = str(script(home, "slow.py", SLOW))

    def start(number: int) -> Program:
        log = home.work / f"{number}.log"
        return Program([sys.executable, path], log, home.work, home.environment)

    program = start(1)
    program.says("[1/4] ")
    program.signal(signal.SIGINT)
    assert program.end() == -signal.SIGINT
    said = program.said()
    assert said.count("stopped; study s stays: search with name='s' goes on with it") == 1
    assert said.rstrip().endswith("\nKeyboardInterrupt")
    home.is_empty()
    again = start(2)
    assert again.end() == 0, again.said()
    assert "resumed; " in again.said()
    assert "[4/4] " in again.said()
    home.is_empty()


@pytest.mark.long
def test_a_notebook(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions of cells are searched; the output is a line per trial, and a study shows itself."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [
        "import hyperhive\nfrom hyperhive import hp\nfactor = 2\n"
        "def times(x):\n    return factor * x",
        "def train(config, trial):\n    trial.report(1, x=config['x'])\n"
        "    return times(config['x']) ** 2",
        "study = hyperhive.search(train, {'x': hp.uniform('x', -5, 5)}, trials=3, workers=2)",
        "study",
        "study.dataframe()[['number', 'loss']]",
        "again = hyperhive.search(train, study.space, trials=2, progress=False); again.best.number",
        "study.close(); again.close()",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    for name, value in home.environment.items():
        monkeypatch.setenv(name, value)
    client = nbclient.NotebookClient(book, timeout=300, kernel_name="python3")
    client.execute(cwd=str(home.work))

    def text(cell: int) -> str:
        outputs = book.cells[cell].outputs
        return "".join(
            each.get("text") or each.get("data", {}).get("text/plain", "") for each in outputs
        )

    assert "[3/3] trial " in text(2)
    assert len(text(2).splitlines()) < 12
    assert all(each.output_type == "stream" for each in book.cells[2].outputs)
    assert "3 of 3 trials ended" in text(3)
    assert "loss" in text(4)
    assert text(5) in ("0", "1")
    assert text(6) == ""
