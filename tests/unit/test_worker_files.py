"""Files of objectives: what a worker refuses before it starts, and what it takes from a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from hyperhive.common.errors import DeviceError, ObjectiveError
from hyperhive.store.trials.draft import Goal
from hyperhive.worker.objectives.files import checked, digests, load

DIGITS = """
from dataclasses import dataclass
from os.path import join
from pathlib import Path
import hyperhive
import sibling

@dataclass
class Settings:
    x: int = 0

def train(config, trial):
    return sibling.loss(config)

def only(config):
    return Settings(3).x

def _private(config):
    return 0

def helper(model, images, labels):
    return 0

echo = hyperhive.command("echo {x}")

if __name__ == "__main__":
    raise AssertionError("a worker runs no program")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the working folder, with nothing of it left imported at the end."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refusal(*files: str) -> str:
    with pytest.raises(ObjectiveError) as refused:
        checked(files)
    return str(refused.value)


def test_public_functions_and_commands_become_objectives(folder: Path) -> None:
    """Not what a file imports, nor its private functions, nor helpers with other arguments.

    A module beside it can be imported, and what is for a program is not run.
    """
    (folder / "digits.py").write_text(DIGITS)
    (folder / "sibling.py").write_text("def loss(config):\n    return config['x'] + 1\n")
    (file,) = checked(["digits.py"])
    objectives = load(file)
    assert sorted(objectives) == ["digits.py:echo", "digits.py:only", "digits.py:train"]
    assert "digits" not in sys.modules
    context: Any = type("Context", (), {"device": "cpu"})()
    of_trial = {"tid": 0, "seed": 0, "objective": "digits.py:train", "goal": Goal()}
    context.trial = type("Trial", (), of_trial)()
    context.should_stop = context.is_pruned = lambda: False
    context.files = None
    losses = {name: each({"x": 4}, context).result["loss"] for name, each in objectives.items()}
    assert losses == {"digits.py:echo": 4, "digits.py:only": 3, "digits.py:train": 5}


def test_a_file_that_cannot_be_one_is_refused_unread(folder: Path) -> None:
    """One sentence names it and what is wrong; nothing of it runs."""
    (folder / "nested").mkdir()
    for name in ("digits.py", "nested/digits.py"):
        (folder / name).write_text("raise AssertionError('it ran')\n")
    (folder / "broken.py").write_text("def train(config):\n    return (\n")
    (folder / "notes.txt").write_text("x = 1\n")
    (folder / "zero.py").write_bytes(b"x = 1\0\n")
    assert refusal("digit.py") == f"--objectives digit.py: there is no such file in {folder}"
    assert refusal("nested") == "--objectives nested: this is a folder: name the Python file in it"
    assert refusal("notes.txt").endswith("no Python file, whose name ends with .py")
    assert refusal("broken.py").startswith("--objectives broken.py: line 2: ")
    assert "zero.py: " in refusal("zero.py")
    assert "several files are named digits.py" in refusal("digits.py", "nested/digits.py")
    assert checked(["digits.py"]) == (str(folder / "digits.py"),)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("\nimport no_such_module\n", "line 2: ModuleNotFoundError: No module named 'no_such"),
        ("def f():\n    return 1 / 0\nf()\n", "line 2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(2)\n", "line 2: SystemExit: 2"),
    ],
)
def test_an_import_that_fails_is_one_sentence(folder: Path, source: str, said: str) -> None:
    """It has the exception and the line of the file."""
    (folder / "digits.py").write_text(source)
    with pytest.raises(ObjectiveError) as refused:
        load(str(folder / "digits.py"))
    assert f"digits.py: it cannot be imported here: {said}" in str(refused.value)


def test_a_file_without_an_objective_is_refused(folder: Path) -> None:
    """A worker that has nothing of it would wait for ever."""
    (folder / "digits.py").write_text("def train():\n    return 0\n")
    with pytest.raises(ObjectiveError, match=r"no function that takes \(config, trial\) or \(con"):
        load(str(folder / "digits.py"))


def test_a_command_without_its_program_is_refused(folder: Path) -> None:
    """This device lacks it; others may have it."""
    (folder / "digits.py").write_text(
        "import hyperhive\ntrain = hyperhive.command('no-such-one')\n"
    )
    with pytest.raises(DeviceError, match="there is no program no-such-one here"):
        load(str(folder / "digits.py"))


def test_a_copy_that_differs_has_another_digest(folder: Path) -> None:
    """So others see it in the worker's record; a file that has gone has none."""
    file = folder / "digits.py"
    file.write_bytes(b"abc")
    files = [str(file), str(folder / "gone.py")]
    assert digests(files) == {"digits.py": "ba7816bf"}
    file.write_bytes(b"abd")
    assert digests(files) != {"digits.py": "ba7816bf"}
