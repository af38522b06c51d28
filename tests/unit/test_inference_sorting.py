"""``predict-cam --label``: a person's keys move kept pictures into class folders."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import numpy as np
import pytest
from PIL import Image
from support.home import REPOSITORY

from hyperhive.common.errors import UsageError
from hyperhive.inference.collecting.kept import ANSWERS
from hyperhive.inference.collecting.name_field import BACKSPACE, ENTER, ESCAPE
from hyperhive.inference.collecting.sorting import Sorting

pytest.importorskip("pty", reason="no pseudo-terminals: keys cannot be pressed")
from support.person import COMMAND, Person

NAMES = [f"20261130-06450{number}-a1b{number}_000.png" for number in range(6)]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return a folder of six kept pictures with their answers."""
    folder = tmp_path / "kept"
    folder.mkdir()
    lines = []
    for number, name in enumerate(NAMES):
        pixels = np.full((64, 64, 3), 40 * number, np.uint8)
        Image.fromarray(pixels).save(folder / name)
        top = [{"label": "mug", "probability": 0.4}, {"label": "bowl", "probability": 0.35}]
        line = {"picture": name, "source": "camera 0", "label": "unknown", "top3": top}
        lines.append(json.dumps(line) + "\n")
    (folder / ANSWERS).write_text("".join(lines))
    return folder


def tree(folder: Path) -> dict[str, list[int]]:
    """Return the numbers of the pictures in each class folder."""
    found: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*/*.png")):
        found.setdefault(path.parent.name, []).append(NAMES.index(path.name))
    return found


def left(folder: Path) -> list[int]:
    return [NAMES.index(path.name) for path in sorted(folder.glob("*.png"))]


def press(sorting: Sorting, keys: str) -> None:
    for key in keys:
        assert sorting.press(key)


@pytest.fixture
def person(kept: Path) -> Iterator[Person]:
    person = Person("--label", "kept", "--into", "things", folder=kept.parent)
    yield person
    if person.process.poll() is None:
        person.process.kill()
        person.process.wait()


def test_one_key_each_in_a_terminal(kept: Path, person: Person) -> None:
    """The picture, its answer and the classes are shown; keys label, skip, discard and undo."""
    things = kept.parent / "things"
    person.sees("\u2580")
    person.sees(f"{NAMES[0]} (1 of 6), of camera 0")
    person.sees("unknown (mug 40 %, bowl 35 %)")
    person.sees("1 bowl   2 mug")
    person.types("2")
    person.sees("(2 of 6)")
    assert tree(things) == {"mug": [0]}
    person.types("nTea pöt\x7f\x7ft\n")
    person.sees("class: Tea pöt_")
    person.sees("(3 of 6)")
    person.sees("3 Tea pt")
    person.types(" ")
    person.sees("(4 of 6)")
    person.types("x")
    person.sees("discarded")
    assert left(kept) == [2, 4, 5]
    person.types("\x7f")
    person.sees("undone: it was discarded")
    assert left(kept) == [2, 3, 4, 5]
    person.types("x\x1b[A11")
    person.sees("that was the last one")
    person.types("\x7f")
    person.sees("(6 of 6)")
    person.types("q")
    person.sees(
        "3 pictures labelled (1 Tea pt, 1 bowl, 1 mug), 1 discarded, 1 skipped; 2 pictures left"
    )
    assert person.ends() == 0
    assert tree(things) == {"Tea pt": [1], "bowl": [4], "mug": [0]}
    assert left(kept) == [2, 5]
    assert not list(kept.glob(".*/*.png"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_goes_on_after_any_end(kept: Path, person: Person, number: signal.Signals) -> None:
    """Each picture is in one of both folders, and the next run begins with the first that waits."""
    things = kept.parent / "things"
    person.sees("(1 of 6)")
    person.types("11")
    person.sees("(2 of 6)")
    person.process.send_signal(number)
    assert person.ends() == (-number if number == signal.SIGKILL else 128 + number)
    done = tree(things)["bowl"]
    assert done in ([0], [0, 1])
    assert done + left(kept) == list(range(6))
    again = Person("--label", "kept", "--into", "things", folder=kept.parent)
    again.sees(f"{NAMES[len(done)]} (1 of {6 - len(done)})")
    again.types("2" * (6 - len(done)))
    again.sees("that was the last one")
    again.types("q")
    assert again.ends() == 0
    assert tree(things) == {"bowl": done, "mug": list(range(len(done), 6))}


def test_without_a_terminal_it_is_one_sentence(kept: Path) -> None:
    """A pipe has no keys; nothing is moved."""
    ended = subprocess.run(
        [*COMMAND, "--label", str(kept), "--into", str(kept.parent / "things"), "--show"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "DISPLAY": "", "WAYLAND_DISPLAY": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    said = ended.stderr.splitlines()
    assert said[-1].startswith("error: --label asks for keys, and this is no terminal")
    assert "no window, --show is ignored" in said[0]
    assert left(kept) == list(range(6))


def test_names_are_typed_and_refused_in_a_sentence(kept: Path, tmp_path: Path) -> None:
    """Escape and an empty name change nothing; an existing class in other letters is meant."""
    (tmp_path / "things" / "Cup").mkdir(parents=True)
    sorting = Sorting(kept, tmp_path / "things")
    assert sorting.names == ["Cup", "bowl", "mug"]
    press(sorting, "nfoo" + ESCAPE + "n" + BACKSPACE[0] + "n \n" + "na/b" + ENTER[1])
    assert "no class can be called a/b" in sorting.message
    assert left(kept) == list(range(6))
    press(sorting, "ncup\n4")
    assert sorting.message == "4 is no key here"
    assert tree(tmp_path / "things") == {"Cup": [0]}
    assert not sorting.press("q")


def test_what_others_did_in_the_meantime_does_no_harm(kept: Path, tmp_path: Path) -> None:
    """A picture that is gone is passed over; one that has the name of another replaces nothing."""
    things = tmp_path / "things"
    (things / "mug").mkdir(parents=True)
    (things / "mug" / NAMES[1]).write_bytes(b"another picture")
    sorting = Sorting(kept, things)
    (kept / NAMES[0]).unlink()
    press(sorting, "1")
    assert sorting.message == f"{kept / NAMES[0]} is gone"
    press(sorting, "1")
    assert (things / "mug" / NAMES[1]).read_bytes() == b"another picture"
    assert (things / "mug" / NAMES[1]).with_name(NAMES[1][:-4] + "-2.png").exists()
    press(sorting, BACKSPACE[1])
    assert left(kept) == [1, 2, 3, 4, 5]
    press(sorting, BACKSPACE[1])
    assert sorting.message == "there is nothing to undo"


def test_a_move_to_another_disk_that_was_killed_is_finished(kept: Path, tmp_path: Path) -> None:
    """A picture that is in both folders has its label."""
    (tmp_path / "things" / "mug").mkdir(parents=True)
    (tmp_path / "things" / "mug" / NAMES[0]).write_bytes((kept / NAMES[0]).read_bytes())
    assert Sorting(kept, tmp_path / "things").place == "1 of 5"
    assert left(kept) == [1, 2, 3, 4, 5]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    """The sentence says what makes it."""
    with pytest.raises(UsageError, match=r"there is no folder .*kept: predict-cam --keep unknown"):
        Sorting(tmp_path / "kept", tmp_path / "things")
