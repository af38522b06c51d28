"""What a command that is killed leaves running: nothing, whatever it had started."""

from __future__ import annotations

import signal

import pytest
from support.fleet import Fleet
from support.home import Home, until


@pytest.mark.long
@pytest.mark.parametrize("slots", ["1", "2"])
def test_a_killed_demo_leaves_nothing(home: Home, slots: str) -> None:
    """SIGKILL of a demo ends its worker, the worker's slots and the private server."""
    demo = home.start("demo", "--dataset", "digits", "--slots", slots)
    demo.says("searching")
    until(lambda: any("spawn_main" in line for line in home.processes().values()), "a slot")
    assert any("mongod " in line for line in home.processes().values())
    demo.signal(signal.SIGKILL)
    demo.end()
    home.is_empty()
    (log,) = home.work.glob("models/*/worker.log")
    assert "the command that started this worker has ended" in log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        pytest.param(["mongo", "start"], "MongoDB runs at", marks=pytest.mark.long),
        (["coordinator", "--dataset", "digits"], "study digits on"),
        pytest.param(["dashboard", "--port", "0"], "the dashboard is at", marks=pytest.mark.long),
    ],
    ids=["mongo start", "coordinator", "dashboard"],
)
def test_a_killed_command_leaves_no_server(home: Home, command: list[str], says: str) -> None:
    """SIGKILL of the only command that uses the private server ends that too."""
    if command[0] == "dashboard":  # it starts no server that has never run
        first = home.start("mongo", "start")
        first.says("MongoDB runs at")
        first.signal(signal.SIGTERM)
        assert first.end() == 0
        home.is_empty()
    program = home.start(*command)
    program.says(says)
    assert any("mongod " in line for line in home.processes().values())
    program.signal(signal.SIGKILL)
    program.end()
    home.is_empty()


def test_a_killed_worker_leaves_no_slot(fleet: Fleet, home: Home) -> None:
    """SIGKILL of a worker's first process ends its slots."""
    worker = fleet.worker()
    worker.says("connected to")
    assert home.slots(worker)
    worker.signal(signal.SIGKILL)
    worker.end()
    home.is_empty()
