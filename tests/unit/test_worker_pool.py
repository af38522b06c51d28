"""The pool of slots, in a process of its own with real signals: restarts, stops, ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest
from support.home import until

REPOSITORY = Path(__file__).resolve().parents[2]

# A program that runs a pool; each slot writes its process id into a file of the folder.
PROGRAM = """
import logging, os, signal, sys, time
from pathlib import Path
from hyperhive.worker.pool import EXPECTED_ERROR, Pool

def works(folder, slot):
    (Path(folder) / "{}-{}".format(slot, os.getpid())).touch()
    time.sleep(60)

def is_stubborn(folder, slot):
    def heard(*_):
        (Path(folder) / "heard-{}".format(time.monotonic())).touch()

    signal.signal(signal.SIGTERM, heard)
    works(folder, slot)

def fails_at_the_end(folder, slot):
    if slot == 1:
        is_stubborn(folder, slot)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    works(folder, slot)

def cannot(folder, slot):
    if slot == 2:
        sys.exit(EXPECTED_ERROR)
    works(folder, slot)

if __name__ == "__main__":
    target, folder, slots, level = sys.argv[1:]
    logging.basicConfig(format="%(message)s", level=level)
    sys.exit(0 if Pool(globals()[target], (folder,), int(slots)).run() else 1)
"""


class Program:
    """A running pool."""

    def __init__(self, folder: Path, target: str, slots: int, level: str) -> None:
        self._folder = folder
        script = folder.parent / "program.py"
        script.write_text(PROGRAM)
        folder.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, str(script), target, str(folder), str(slots), level],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def slots(self, number: int = 0) -> list[int]:
        """Return the process ids of all slots that were ever started, or of one slot."""
        begins = f"{number}-" if number else "[0-9]-"
        return [int(path.name.split("-")[1]) for path in self._folder.glob(begins + "*")]

    def heard(self) -> int:
        """Return how many signals reached a slot that ignores them."""
        return len(list(self._folder.glob("heard-*")))

    def end(self, seconds: float = 60.0) -> tuple[int, str]:
        """Wait for the pool's end; return its exit code and its log."""
        _, log = self.process.communicate(timeout=seconds)
        return self.process.returncode, log


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a pool; at the end, kill what is left of it."""
    programs: list[Program] = []

    def start(target: str, slots: int, level: str = "WARNING") -> Program:
        programs.append(Program(tmp_path / "slots", target, slots, level))
        return programs[-1]

    yield start
    for program in programs:
        for pid in [program.process.pid, *program.slots()]:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        program.process.communicate()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_slot_that_dies_is_restarted(start: Start) -> None:
    """The log names the signal that killed a slot; a new one replaces it, the other goes on."""
    pool = start("works", 2)
    until(lambda: len(pool.slots()) == 2, "two slots")
    (first,), (second,) = pool.slots(1), pool.slots(2)
    os.kill(first, signal.SIGKILL)
    until(lambda: len(pool.slots(1)) == 2, "a new slot")
    assert pool.slots(2) == [second]
    pool.process.send_signal(signal.SIGTERM)
    code, log = pool.end()
    assert code == 0
    assert "slot 1 ended (killed by SIGKILL); a new one starts in 1 s" in log
    assert not any(is_alive(pid) for pid in pool.slots())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_pool_stops_when_it_is_asked_to(start: Start, number: int) -> None:
    """One signal to the parent ends all slots and the parent, with success."""
    pool = start("works", 2)
    until(lambda: len(pool.slots()) == 2, "two slots")
    pool.process.send_signal(number)
    assert pool.end() == (0, "")
    assert not any(is_alive(pid) for pid in pool.slots())


def test_the_third_signal_kills(start: Start) -> None:
    """A slot that ignores signals survives two of them; the third kills it."""
    pool = start("is_stubborn", 1)
    until(pool.slots, "a slot")
    for times in (1, 2):
        pool.process.send_signal(signal.SIGTERM)
        until(lambda times=times: pool.heard() == times, "the signal in the slot")
        assert is_alive(pool.slots()[0])
    pool.process.send_signal(signal.SIGTERM)
    code, log = pool.end()
    assert code == 1  # nobody knows what the slot had not delivered
    assert "slot 1 did not end in good order (killed by SIGKILL)" in log
    assert not is_alive(pool.slots()[0])


def test_a_slot_that_fails_while_it_stops_fails_the_pool(start: Start) -> None:
    """The pool names the slot and how it ended; the other slot is not hurried by it."""
    pool = start("fails_at_the_end", 2)
    until(lambda: len(pool.slots()) == 2, "two slots")
    pool.process.send_signal(signal.SIGTERM)
    until(lambda: not is_alive(pool.slots(2)[0]), "the end of a slot")
    assert pool.heard() == 1
    pool.process.send_signal(signal.SIGTERM)
    until(lambda: pool.heard() == 2, "the second signal in the other slot")
    pool.process.send_signal(signal.SIGTERM)
    code, log = pool.end()
    assert code == 1
    assert "slot 2 did not end in good order (exit code 7)" in log


def test_the_log_says_what_each_signal_does(start: Start) -> None:
    """The user is told at once, and told what another signal would do."""
    pool = start("is_stubborn", 1, "INFO")
    until(pool.slots, "a slot")
    words = ["else gives it back; a second signal", "a third signal kills", "killing slots"]
    for word in words:
        pool.process.send_signal(signal.SIGINT)
        assert pool.process.stderr is not None
        assert word in pool.process.stderr.readline()
    pool.end()


def test_an_expected_error_ends_the_pool(start: Start) -> None:
    """After an expected error a slot is not restarted: the others are stopped, the pool fails."""
    pool = start("cannot", 2)
    assert pool.end()[0] == 1
    assert pool.slots(2) == []
    assert not any(is_alive(pid) for pid in pool.slots())


# A slot's process, with an object that Python's own clean-up would destroy, as it does PyTorch's.
SLOT = """
import atexit, sys
from hyperhive.worker.slots import QuickExit
class Large:
    def __del__(self):
        print("destroyed")
ending = QuickExit()
large = Large()
atexit.register(print, "an objective's own handler")
{}
"""


@pytest.mark.parametrize(
    ("last", "code"), [("ending.code = 0", 0), ("ending.code = 3", 3), ("raise OSError", 1)]
)
def test_a_slot_ends_without_pythons_clean_up(last: str, code: int) -> None:
    """Its exit code is the right one, and the exit handlers of objectives are called."""
    ended = subprocess.run(
        [sys.executable, "-c", SLOT.format(last)],
        cwd=str(REPOSITORY),
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (code, "an objective's own handler\n")
    assert ("OSError" in ended.stderr) == (code == 1)
