"""Whatever is killed while things are taught: no picture is lost, and it goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from PIL import Image
from support.home import until

from benchmarks._bursts import Random, write

pytest.importorskip("pty", reason="no pseudo-terminals: keys cannot be pressed")
from support.taught import LONG_S, AtTerminal, Taught
from support.things import BALL, Shown

OPTIONS = ("--no-show", "--trials", "10")
"""So many trials that the study lasts until the last of these is killed."""
VICTIMS = ("spawn_main", "mongod ", "folder_learning.process")
"""What is in the command line of a worker, of the private server, and of what learns."""


@pytest.fixture
def camera() -> Iterator[Shown]:
    with Shown() as camera:
        yield camera


def offspring(pid: int) -> dict[int, str]:
    """Return the command line of each process that a process has started, by its id."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], stdout=subprocess.PIPE, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.decode(errors="replace").splitlines()]
    found = {pid: ""}
    for child, parent, *arguments in 2 * rows:
        if int(parent) in found:
            found[int(child)] = "".join(arguments)
    del found[pid]
    return found


def is_running(pid: int) -> bool:
    """Return whether a process has not ended; one that nobody has waited for has."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE)
    return state.stdout.strip()[:1] not in (b"", b"Z")


def kill_one(pid: int, what: str) -> None:
    """Kill a process that a run has started, once there is one with this in its command line."""

    def victims() -> list[int]:
        return [each for each, command in offspring(pid).items() if what in command]

    [victim, *_] = until(victims, f"a process with {what!r}", LONG_S)
    os.kill(victim, signal.SIGKILL)


def pictures(things: Path) -> set[Path]:
    """Return all pictures of the class folders, each of which can be read."""
    found = set(things.glob("*/*.png"))
    for path in found:
        with Image.open(path) as image:
            image.load()
    return found


@pytest.mark.timeout(6 * LONG_S)
def test_all_of_it_is_killed(tmp_path: Path, camera: Shown) -> None:
    """First predict-cam while pictures are taken, then each of the others while it learns."""
    taught = Taught(tmp_path, camera, *OPTIONS)
    try:
        hands = AtTerminal(taught.person)
        hands.name(BALL)
        taught.take(hands, "1", BALL, 4)
        counted = pictures(taught.things)
        hands.hold("1")
        taught.person.process.kill()
        taught.person.ends()
        assert counted <= pictures(taught.things)
        write(tmp_path / "more", 4, 5, Random(0))
        (tmp_path / "more" / BALL).rename(taught.things / "box")
        (tmp_path / "more" / "star").rename(taught.things / "star")
        taught = Taught(tmp_path, camera, *OPTIONS)
        hands = AtTerminal(taught.person)
        before = pictures(taught.things)
        assert counted < before
        for victim in VICTIMS:
            until(lambda: "trial" in taught.progress, f"a study: {taught.progress}", LONG_S)
            kill_one(taught.person.process.pid, victim)
            assert "is learned" not in taught.progress
        until(lambda: "trial" in taught.progress, f"a study: {taught.progress}", LONG_S)
        started = list(offspring(taught.person.process.pid))
        taught.person.process.kill()
        taught.person.ends()
        until(lambda: not any(map(is_running, started)), "the end of all processes", LONG_S)
        taught = Taught(tmp_path, camera, *OPTIONS)
        until(lambda: "is learned" in taught.progress, f"a model: {taught.progress}", LONG_S)
        assert "version 1 " in taught.progress
        assert pictures(taught.things) == before
        AtTerminal(taught.person).hold("q")
        assert taught.person.ends() == 0
    finally:
        taught.end()
