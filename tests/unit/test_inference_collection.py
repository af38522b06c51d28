"""Collected pictures: no counted one is lost, none is there twice, and a data set reads them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.home import REPOSITORY, until

from hyperhive.common.errors import OutputError
from hyperhive.inference.collecting.collection import Added, Collection
from hyperhive.model.data.series import CORRECTED, series_of

ADDING = """
import sys
import numpy as np
from pathlib import Path
from hyperhive.inference.collecting.collection import Added, Collection

random = np.random.RandomState()
with Collection(Path(sys.argv[1])) as collection:
    while True:
        crop = random.randint(0, 256, (64, 64, 3)).astype(np.uint8)
        collection.add("ab"[random.randint(2)], crop)
        print(sum(collection.counts().values()), flush=True)
"""


def crop(seed: int, side: int = 64) -> np.ndarray:
    """Return a picture that looks like none of another seed."""
    cells = np.random.RandomState(seed).randint(0, 256, (16, 16, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(cells).resize((side, side), Image.Resampling.NEAREST))


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*"))


def test_pictures_are_written_as_they_were_seen(tmp_path: Path) -> None:
    """A small one keeps its pixels, a large one is reduced to 256; each series has its own name."""
    with Collection(tmp_path / "things") as collection:
        assert collection.add("cup", crop(1)) is Added.TAKEN
        assert collection.add("cup", crop(2)) is Added.TAKEN
        collection.begin_series()
        assert collection.add("my bowl", crop(3, side=480)) is Added.TAKEN
        collection.flush()
        assert collection.counts() == {"cup": 2, "my bowl": 1}
    first, second = pictures(tmp_path / "things")[:2]
    large = pictures(tmp_path / "things")[2]
    with Image.open(first) as one, Image.open(large) as other:
        assert (np.asarray(one) == crop(1)).all()
        assert other.size == (256, 256)
    series = [series_of(path.name) for path in (first, second, large)]
    assert None not in series
    assert series[0] == series[1] != series[2]


def test_what_looks_the_same_is_skipped(tmp_path: Path) -> None:
    """Noise and exposure show nothing new, in another series neither; another class does."""
    noise = np.random.RandomState(0).normal(0, 6, (64, 64, 3))
    same = np.clip(crop(1) * 0.98 + noise, 0, 255).astype(np.uint8)
    with Collection(tmp_path) as collection:
        answers = [collection.add("cup", each) for each in (crop(1), same, crop(2), same)]
        assert answers == [Added.TAKEN, Added.ALIKE, Added.TAKEN, Added.ALIKE]
        assert collection.add("bowl", same) is Added.TAKEN
        collection.begin_series()
        assert collection.add("cup", same) is Added.ALIKE


def test_corrections_have_a_folder_of_their_own(tmp_path: Path) -> None:
    """It is in the class's folder, and a data set trains on its pictures."""
    with Collection(tmp_path) as collection:
        collection.add("cup", crop(1), is_correction=True)
        collection.flush()
        assert collection.counts() == {"cup": 1}
        [picture] = tmp_path.glob("*/*/*")
        assert picture.parent == tmp_path / "cup" / CORRECTED
        assert collection.undo() == "cup"
    assert not picture.exists()


def test_undo_removes_the_last_one_again_and_again(tmp_path: Path) -> None:
    """Only what this run added is removed; after that the same picture is welcome."""
    with Collection(tmp_path) as collection:
        collection.add("cup", crop(0))
    with Collection(tmp_path) as collection:
        collection.add("cup", crop(1))
        collection.begin_series()
        collection.add("bowl", crop(2))
        assert [collection.undo() for _ in range(3)] == ["bowl", "cup", None]
        collection.flush()
        assert collection.counts() == {"cup": 1, "bowl": 0}
        assert [path.parent.name for path in pictures(tmp_path)] == ["cup"]
        assert collection.add("bowl", crop(2)) is Added.TAKEN


def test_folders_that_exist_are_extended(tmp_path: Path) -> None:
    """Their pictures count, and a name in other letters is the same class."""
    (tmp_path / "Cup" / "old").mkdir(parents=True)
    Image.fromarray(crop(0)).save(tmp_path / "Cup" / "old" / "1.jpg")
    (tmp_path / "Cup" / "notes.txt").write_text("no picture")
    with Collection(tmp_path) as collection:
        assert collection.counts() == {"Cup": 1}
        collection.add(" cup", crop(1))
        collection.flush()
        assert collection.counts() == {"Cup": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["Cup"]


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """It is raised by the next call; what was counted is there, and collecting goes on."""
    (tmp_path / "bowl").write_text("a file where a folder should be")
    with Collection(tmp_path) as collection:
        collection.add("cup", crop(1))
        collection.add("bowl", crop(1))
        with pytest.raises(
            OutputError, match=r"cannot write to .*; the pictures that were counted"
        ):
            collection.flush()
        collection.add("cup", crop(2))
        collection.flush()
        assert collection.counts() == {"cup": 2}


def test_a_full_queue_delays_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk hangs pictures are refused and nothing waits."""
    os.mkfifo(tmp_path / "gate")
    monkeypatch.setattr(
        "hyperhive.inference.collecting.collection.as_png",
        lambda _: (tmp_path / "gate").read_bytes(),  # waits until the gate is opened
    )
    with Collection(tmp_path / "things") as collection:
        answers = [collection.add("cup", crop(number, side=2048)) for number in range(6)]
        assert answers == 4 * [Added.TAKEN] + 2 * [Added.BUSY]
        assert collection.counts() == {}
        monkeypatch.undo()
        (tmp_path / "gate").write_bytes(b"the first picture")
        collection.flush()
        assert collection.counts() == {"cup": 4}


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_loses_no_picture_that_was_counted(tmp_path: Path, seed: int) -> None:
    """At any moment: each file of a class is whole, and there are as many as were counted."""
    command = [sys.executable, "-c", ADDING, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        until(lambda: int(process.stdout.readline()) > 3, "some pictures")  # type: ignore[union-attr]
        time.sleep(random.Random(seed).uniform(0, 0.2))
        process.kill()
        counted = [int(line) for line in process.stdout.read().splitlines() if line][-1]
    seen = [path for path in pictures(tmp_path) if not path.name.startswith(".")]
    for path in seen:
        with Image.open(path) as image:
            image.load()
    assert len(seen) >= counted
    left = [path for path in pictures(tmp_path) if path.name.startswith(".")]
    for path in left:
        os.utime(path, (0, 0))
    with Collection(tmp_path) as collection:
        assert sum(collection.counts().values()) == len(seen)
    assert not any(path.exists() for path in left)
