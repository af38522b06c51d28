"""A study with a teacher whose coordinator is killed: the same teacher goes on."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from PIL import Image
from support.fleet import Fleet
from support.home import Home, Program, until

from hyperhive.store.store import Store
from hyperhive.store.trials.terms import REFIT, SEARCH, TEACHER, Status

STUDY = """
name = "s"
trials = 3
teacher = true

[dataset]
name = "folder"
data = "images"

[space]
learning_rate = { distribution = "loguniform", low = 0.02, high = 0.1 }
epochs = 1
momentum = 0.9
"""


def make_images(home: Home) -> None:
    """Make a folder of dark and of light images."""
    random = np.random.RandomState(0)
    for split, count in (("train", 20), ("test", 6)):
        for number in range(2 * count):
            folder = home.work / "images" / split / ("light" if number % 2 else "dark")
            folder.mkdir(parents=True, exist_ok=True)
            pixels = random.randint(0, 60, (28, 28, 3)) + 120 * (number % 2)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")


@pytest.mark.long
def test_a_killed_coordinator_goes_on_with_the_same_teacher(fleet: Fleet, store: Store) -> None:
    """It is killed before the teacher is trained, and while the search learns from it."""
    make_images(fleet.home)
    (fleet.home.work / "s.toml").write_text(STUDY)

    def coordinator() -> Program:
        return fleet.home.start("coordinator", "s.toml", HYPERHIVE_MONGO=fleet.uri)

    first = coordinator()
    until(lambda: store.trials.find("s", TEACHER), "the teacher's trial")
    first.signal(signal.SIGKILL)
    first.end()
    worker = fleet.worker()
    second = coordinator()
    until(lambda: store.trials.find("s", SEARCH), "the search")
    second.signal(signal.SIGKILL)
    second.end()
    third = coordinator()
    assert third.end() == 0, third.said() + worker.said()
    (teacher,) = store.trials.find("s", TEACHER)
    assert (teacher.status, teacher.attempts) == (Status.DONE, 1)
    assert teacher.artifact is not None
    learners = [*store.trials.find("s", SEARCH), *store.trials.find("s", REFIT)]
    assert [trial.config["teacher"] for trial in learners] == [teacher.artifact["sha256"]] * 4
    assert fleet.home.card("s")["config"]["teacher"] == teacher.artifact["sha256"]
    shown = fleet.home.call("status", HYPERHIVE_MONGO=fleet.uri).stdout
    for said in (third.said(), shown):
        assert " parameters, " in said
    assert "Traceback" not in worker.said() + second.said() + third.said()
