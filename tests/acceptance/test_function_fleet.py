"""A function of one's own on several machines.

Coordinator and workers have homes and folders of their own, and a copy of the file in each.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Iterator

import pytest
from support.fleet import ended
from support.home import REPOSITORY, Home, Program, until

from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

BOTH = """
import pathlib
import time

from hyperhive import hp

def train(config, trial):
    while not pathlib.Path({go!r}).exists():
        time.sleep(0.05)
    return {{"loss": (config["x"] - 1) ** 2}}

space = {{"x": hp.uniform("x", -5, 5)}}
"""


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[list[Home]]:
    """Give the homes of two devices."""
    homes = [Home(tmp_path / name) for name in ("macbook", "nano")]
    yield homes
    for each in homes:
        each.close()


def workers(devices: list[Home], file: Path, uri: str) -> list[Program]:
    """Copy a file to each device, and start a worker there that has its functions."""
    for device in devices:
        shutil.copy(file, device.work)
    command = ("worker", "--objectives", file.name, "--slots", "1", "--device", "cpu")
    return [device.start(*command, HYPERHIVE_MONGO=uri) for device in devices]


def searched(store: Store, study: str, count: int) -> list[Trial]:
    trials = ended(store, study)
    assert [trial.status for trial in trials] == [Status.DONE] * count
    assert {trial.objective for trial in trials} == {f"{study}.py:train"}
    return trials


def test_both_devices_search_a_function(
    home: Home, devices: list[Home], mongo_uri: str, store: Store, tmp_path: Path
) -> None:
    """Before a device has the file, status says which file the trials wait for."""
    where, go = {"HYPERHIVE_MONGO": mongo_uri}, tmp_path / "go"
    file = home.work / "parabola.py"
    file.write_text(BOTH.format(go=str(go)))
    coordinator = home.start("coordinator", "parabola.py", "--trials", "6", **where)
    until(lambda: store.trials.find("parabola"), "the first trial")
    assert "`hyperhive worker --objectives parabola.py`" in home.call("status", **where).stdout
    workers(devices, file, mongo_uri)
    until(lambda: len(holders(store, "parabola")) == 2, "a trial in the hands of each device")
    go.touch()
    assert coordinator.end() == 0, coordinator.said()
    best = min(searched(store, "parabola", 6), key=lambda trial: float(str(trial.loss)))
    assert "[6/6] trial " in coordinator.said()
    said = home.call("best", "parabola", **where).stdout
    assert f"state    ended, 6 trials\nbest     trial {best.tid}: loss " in said
    assert "model" not in said


def holders(store: Store, study: str) -> set[str | None]:
    trials = store.trials.find(study)
    return {trial.owner for trial in trials if trial.status is Status.RUNNING}


@pytest.mark.long
def test_the_example_is_searched_by_two_devices(
    home: Home, devices: list[Home], mongo_uri: str, store: Store
) -> None:
    """Nothing in examples/digits.py has to change for that."""
    where, file = {"HYPERHIVE_MONGO": mongo_uri}, REPOSITORY / "examples" / "digits.py"
    shutil.copy(file, home.work)
    programs = workers(devices, file, mongo_uri)
    until(lambda: len(store.workers.present()) == 2, "both devices")
    coordinator = home.start("coordinator", "digits.py", "--trials", "6", **where)
    assert coordinator.end() == 0, coordinator.said()
    searched(store, "digits", 6)
    assert "best" in home.call("best", "digits", **where).stdout
    for program in programs:
        assert "objectives: digits.py:train, " in program.said()
