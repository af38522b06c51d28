"""Coordinators and workers as people run them: processes that get stopped, killed, started again.

The first tests share a worker, which lives through all of them: servers come and go around it.
"""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from support.fleet import abandon
from support.home import Home, Program, parent, slot, until

from hyperhive.model.data.loading import digits
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import BASELINE, REFIT, SEARCH, Status
from hyperhive.store.trials.trial import Trial

# Read here: the tests' home hides the user's own settings from what they run.
DEVICE_PYTHON = os.environ.get("HYPERHIVE_DEVICE_PYTHON")
PATIENCE_S = float(os.environ.get("HYPERHIVE_DEVICE_PATIENCE", "120"))  # an emulator is slow
LEASE = "30"  # it does not run out on a busy machine: `abandon` ends it
TRIALS = 5

STUDY = """
name = "{name}"
trials = {trials}
startup = 3

[dataset]
name = "digits"

[space]
learning_rate = {{ distribution = "loguniform", low = 0.02, high = 0.1 }}
epochs = {{ distribution = "quniform", low = 1, high = {epochs}, step = 1 }}
momentum = {{ distribution = "uniform", low = 0.5, high = 0.9 }}
"""


def study(home: Home, name: str, trials: int, epochs: int = 2) -> str:
    """Write a study file; return its name."""
    text = STUDY.format(name=name, trials=trials, epochs=epochs)
    (home.work / (name + ".toml")).write_text(text)
    return name + ".toml"


def caught(store: Store, name: str, worker: Program) -> Trial:
    """Return a trial that a worker is in the middle of, its process halted there."""

    def catch() -> Trial | None:
        for trial in store.trials.find(name):
            if trial.status is Status.RUNNING and parent(slot(trial)) == worker.pid:
                os.kill(slot(trial), signal.SIGSTOP)
                seen = store.trials.get(trial.id)
                if seen is not None and (seen.status, seen.token) == (trial.status, trial.token):
                    return trial
                os.kill(slot(trial), signal.SIGCONT)
        return None

    found: Trial = until(catch, "a trial in the worker's hands")
    return found


def mongods(home: Home) -> list[str]:
    return [line for line in home.processes().values() if "--dbpath" in line]


@pytest.fixture(scope="module")
def worker(shared_home: Home) -> Program:
    """Return a worker that was started before there was any server."""
    worker = shared_home.start("worker", "--slots", "1", "--lease", LEASE, "--grace", "1")
    worker.says("no server runs on this machine: start `hyperhive coordinator` here")
    return worker


@pytest.mark.long
def test_a_study_survives_a_killed_worker(shared_home: Home, worker: Program) -> None:
    """A worker that is killed in the middle of a trial costs an attempt, and nothing else.

    Every trial ends DONE and is counted once, the model is tested and kept, the worker that came
    before the server did its share, status tells how things stand, and the server is stopped.
    """
    home = shared_home
    doomed = home.start("worker", "--slots", "1", "--lease", LEASE)
    doomed.says("no server runs on this machine")
    (other,) = home.slots(worker)
    os.kill(other, signal.SIGSTOP)  # else it might do all the trials before the other's first
    coordinator = home.start("coordinator", study(home, "first", TRIALS))
    with Store(until(home.server, "the server")) as store:
        lost = caught(store, "first", doomed)
        doomed.signal(signal.SIGKILL)
        os.kill(slot(lost), signal.SIGKILL)
        abandon(store, lost, store.trials.overdue)
        os.kill(other, signal.SIGCONT)
        said = home.call("status").stdout
        assert "first" in said
        assert f"of {TRIALS}" in said
    assert coordinator.end() == 0
    said = coordinator.said()
    assert "Traceback" not in said
    assert f"[{TRIALS}/{TRIALS}] trial" in said
    assert "of test images (refitted on training and validation data)" in said
    assert "models/first/report.png" in said
    assert mongods(home) == []
    assert home.card("first")["test_accuracy"] > 0.2
    assert worker.is_running()
    with embedded_server(home.mongo) as uri, Store(uri) as store:
        trials = store.trials.find("first")
        assert f"{TRIALS} of {TRIALS}" in home.call("status", "first").stdout
    assert [trial.tid for trial in trials if trial.purpose == SEARCH] == list(range(TRIALS))
    others = [trial.purpose for trial in trials if trial.purpose != SEARCH]
    assert sorted(others) == [BASELINE, BASELINE, REFIT]
    assert {trial.status for trial in trials} == {Status.DONE}
    assert {trial.late for trial in trials} == {0}
    attempts = {trial.id: trial.attempts for trial in trials}
    assert attempts.pop(lost.id) == 2
    assert set(attempts.values()) == {1}


@pytest.mark.long
def test_a_study_survives_its_coordinator(shared_home: Home, worker: Program) -> None:
    """Ctrl-C, then kill -9: each time the study goes on where it was, and none is run twice.

    The server goes with the first coordinator, outlives the second and goes with the third; the
    worker loses it in the middle of its work and finds it again on another port.
    """
    home = shared_home
    command = ["coordinator", study(home, "second", 10, epochs=40)]
    first = home.start(*command)
    first.says("[2/10]")
    first.signal(signal.SIGINT)
    assert first.end() == 1
    assert first.said().endswith("stopped; start the same study again and it goes on from here\n")
    assert mongods(home) == []
    second = home.start(*command)
    second.says("resumed; ")
    second.says("/10] trial")
    second.signal(signal.SIGKILL)
    assert second.end() == -signal.SIGKILL
    assert len(mongods(home)) == 1
    third = home.start(*command)
    assert third.end() == 0
    assert "[10/10]" in third.said()
    assert "Traceback" not in "".join(each.said() for each in (first, second, third, worker))
    assert mongods(home) == []
    trials = home.trials("second")
    assert [trial.tid for trial in trials if trial.purpose == SEARCH] == list(range(10))
    assert {(trial.status, trial.attempts, trial.late) for trial in trials} == {(Status.DONE, 1, 0)}


def test_an_idle_worker_leaves_when_told(shared_home: Home, worker: Program) -> None:
    """After all of that the worker ends in good order at the first SIGTERM, with nothing left."""
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    shared_home.is_empty()
    assert list((shared_home.mongo.parent / "outbox").rglob("*.bson")) == []


@pytest.mark.long
def test_a_worker_gives_its_trial_back_at_sigterm(home: Home, store: Store, mongo_uri: str) -> None:
    """A trial that cannot end within the grace is handed back, unharmed, and the worker exits 0."""
    data = digits()
    store.datasets.publish(data.content_hash, data.pack(), data.card())
    config = {"dataset": data.content_hash, "learning_rate": 0.05, "epochs": 900, "momentum": 0.5}
    store.queue.post(Draft("long", 0, config, {}, max_attempts=1, objective="lenet5"))
    worker = home.start("worker", "--slots", "1", "--grace", "1", HYPERHIVE_MONGO=mongo_uri)
    until(lambda: store.trials.find("long")[0].progress, "the first epoch")
    (begun,) = store.trials.find("long")
    assert (begun.status, begun.attempts) == (Status.RUNNING, 1)
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    (back,) = store.trials.find("long")
    assert (back.status, back.attempts, back.owner) == (Status.NEW, 0, None)
    assert back.excluded == ()
    assert store.workers.present() == []
    assert "long, trial 0: given back" in worker.said()
    home.is_empty()


@pytest.fixture(scope="module")
def device_python() -> str:
    """Return the interpreter of an old device, with its own torch and PyMongo."""
    if DEVICE_PYTHON is None:
        pytest.skip("HYPERHIVE_DEVICE_PYTHON names no interpreter that has torch and PyMongo")
    return DEVICE_PYTHON


def test_an_old_python_joins_the_fleet(home: Home, device_python: str) -> None:
    """A worker on another Python and another torch does a study whose coordinator runs on this."""
    version = subprocess.run(
        [device_python, "-c", "import platform; print(platform.python_version())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    worker = home.start("worker", "--slots", "1", python=device_python)
    coordinator = home.start("coordinator", study(home, "old", 3))
    assert coordinator.end(PATIENCE_S) == 0
    trained_on = home.card("old")["trained_on"]
    assert isinstance(trained_on, dict)
    assert trained_on["python"] == version
    trials = home.trials("old")
    assert {(trial.status, trial.attempts) for trial in trials} == {(Status.DONE, 1)}
    assert {trial.result["trained_on"]["python"] for trial in trials} == {version}
    worker.signal(signal.SIGTERM)
    assert worker.end(PATIENCE_S) == 0
    assert "Traceback" not in worker.said() + coordinator.said()
