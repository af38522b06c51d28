"""A Python file as a study: its function and its variable ``space``."""

from __future__ import annotations

from pathlib import Path

import pytest

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.planning.script import is_script, read_script
from hyperhive.coordinator.planning.study_file import read_file
from hyperhive.coordinator.spaces.search_space import to_json

TRAIN = "def train(config, trial):\n    return 0\n"
SPACE = "from hyperhive import hp\nspace = {'x': hp.uniform('x', 0, 1)}\n"
X = {"distribution": "uniform", "low": 0, "high": 1}
MAIN = "if __name__ == '__main__':\n    1 / 0\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "digits.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        SPACE + TRAIN + MAIN,
        SPACE + TRAIN + "def load(path):\n    return path\n",  # a helper of one argument
        SPACE + "def loss(config):\n    return 0\n",
        f"space = {{'x': {X}}}\n" + TRAIN,  # the form of a study file
    ],
)
def test_a_file_with_a_function_and_a_space_is_a_study(tmp_path: Path, text: str) -> None:
    """The objective has the name by which workers know it; what only runs as a program does not."""
    path = write(tmp_path, text)
    fields = read_script(path)
    assert fields["objective"] in ("digits.py:train", "digits.py:loss")
    assert to_json(fields["space"]) == {"x": X}
    assert is_script(path)
    assert is_script(Path(f"{path}:train"))
    assert not is_script(tmp_path / "study.toml")


def test_one_of_several_functions_can_be_named(tmp_path: Path) -> None:
    """As ``hyperhive coordinator digits.py:other``."""
    path = write(tmp_path, SPACE + TRAIN + "def other(config, trial):\n    return 1\n")
    assert read_script(Path(f"{path}:other"))["objective"] == "digits.py:other"
    with pytest.raises(UsageError, match=r"name one of digits.py:train, digits.py:other"):
        read_script(path)
    with pytest.raises(UsageError, match=r"no such function: name one of digits.py:train"):
        read_script(Path(f"{path}:missing"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TRAIN, "it has no variable space: write one outside of functions"),
        (SPACE, r"it has no function that takes \(config, trial\) or \(config\)"),
        (SPACE + TRAIN + "1 / 0\n", "it cannot be imported here: line 5: ZeroDivisionError"),
        (TRAIN + "space = 3\n", "search space: nothing is searched"),
    ],
)
def test_a_file_that_is_no_study_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """One sentence, with the file's name."""
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=message) as refused:
        read_script(path)
    assert str(refused.value).startswith(f"study file {path}: ")


def test_a_file_must_be_there(tmp_path: Path) -> None:
    """As with any study file."""
    with pytest.raises(UsageError, match=r"nothing.py cannot be read: there is no such file"):
        read_script(tmp_path / "nothing.py")


def test_of_a_folder_the_files_are_named(tmp_path: Path) -> None:
    """The one that was published, say; a folder of images has an option of its own."""
    with pytest.raises(UsageError, match=r"is a folder: .* name a folder of images with --data"):
        read_file(tmp_path)
    path = write(tmp_path, SPACE + TRAIN)
    (tmp_path / "helper.py").touch()
    with pytest.raises(UsageError, match=rf"is a folder: .* `hyperhive coordinator {path}`$"):
        read_file(tmp_path)
