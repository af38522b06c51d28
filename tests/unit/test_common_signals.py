"""How a worker is asked to stop, and how its process ends."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hyperhive.common.signals import StopRequest

FOREVER = float("inf")


def asked(times: int) -> StopRequest:
    stop = StopRequest()
    for _ in range(times):
        stop.ask()
    return stop


@pytest.mark.parametrize(
    ("times", "ends_in", "grace", "gives_back"),
    [
        (0, FOREVER, 0.0, False),
        (1, 5.0, 10.0, False),
        (1, 20.0, 10.0, True),
        (1, 5.0, 0.0, True),
        (1, FOREVER, 10.0, True),
        (2, 0.0, 10.0, True),
        (3, 5.0, 10.0, True),
    ],
)
def test_work_that_ends_within_the_grace_is_finished(
    times: int, ends_in: float, grace: float, gives_back: bool
) -> None:
    """Asked once, only work that takes longer than the grace ends; asked twice, all does."""
    assert asked(times).ends(time.monotonic() + ends_in, grace) is gives_back


def test_the_grace_begins_with_the_first_request() -> None:
    """Work that was to end within the grace and is late is given back after all."""
    stop = asked(1)
    assert not stop.ends(time.monotonic() + 0.05, 0.1)
    time.sleep(0.12)
    assert stop.ends(time.monotonic() + 0.05, 0.1)


def test_a_request_wakes_whoever_waits() -> None:
    """The event is set by the first request, and not before."""
    assert not asked(0).asked.is_set()
    assert asked(1).asked.wait(0)


def test_a_signal_in_the_middle_of_a_wait_is_no_deadlock() -> None:
    """A handler may interrupt whoever holds the event's lock, and so must not wait for that."""
    stop = StopRequest()
    handler = threading.Thread(target=stop.on_signal, daemon=True)
    with stop.asked._cond:  # type: ignore[attr-defined]
        handler.start()
        handler.join(60)
        assert not handler.is_alive()
    assert stop.asked.wait(60)


# A slot's process, with an object that Python would take apart at its end, as it does PyTorch.
SLOT = """
import atexit, sys
from hyperhive.worker.cli import _end_quickly
class Large:
    def __del__(self):
        print("taken apart")
code = _end_quickly()
kept = Large()
atexit.register(print, "an objective's own handler")
{}
"""


@pytest.mark.parametrize(
    ("last", "code"), [("code[0] = 0", 0), ("code[0] = 3", 3), ("raise OSError", 1)]
)
def test_a_slot_ends_without_being_taken_apart(last: str, code: int) -> None:
    """Its exit code is told, and what objectives registered for the end is called."""
    ended = subprocess.run(
        [sys.executable, "-c", SLOT.format(last)],
        cwd=str(Path(__file__).resolve().parents[2]),
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (code, "an objective's own handler\n")
    assert ("OSError" in ended.stderr) == (code == 1)
