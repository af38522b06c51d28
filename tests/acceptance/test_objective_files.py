"""Functions of a user's file, by the commands that a person types."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import pytest
from support.fleet import ended, running
from support.home import Home, until

from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status

DIGITS = """
import hyperhive
import sibling

def train(config, trial):
    print("training with", config["x"])
    trial.report(1, accuracy=0.5)
    return {"loss": sibling.loss(config), "accuracy": 0.5}

waits = hyperhive.command("./waits.sh {pid}")
"""
WAITS = """#!/bin/sh
echo $$ > "$1.new"
mv "$1.new" "$1"
exec sleep 600
"""


def post(store: Store, objective: str, **config: object) -> None:
    store.queue.post(Draft("s", 0, config, {}, objective=objective))


@pytest.fixture
def folder(home: Home) -> Path:
    """Give the user's folder with the file, and what the file needs."""
    (home.work / "digits.py").write_text(DIGITS)
    (home.work / "sibling.py").write_text("def loss(config):\n    return config['x'] / 4\n")
    (home.work / "waits.sh").write_text(WAITS)
    (home.work / "waits.sh").chmod(0o755)
    return home.work


def test_a_worker_runs_the_functions_of_a_file(
    home: Home, folder: Path, mongo_uri: str, store: Store
) -> None:
    """What the function prints is seen; the worker says which objectives it has."""
    post(store, "digits.py:train", x=1)
    command = ("worker", "--objectives", "digits.py", "--slots", "1", "--device", "cpu")
    worker = home.start(*command, HYPERHIVE_MONGO=mongo_uri)
    (trial,) = ended(store, "s")
    assert (trial.status, trial.loss, trial.result["accuracy"]) == (Status.DONE, 0.25, 0.5)
    assert trial.result["history"] == [{"step": 1, "accuracy": 0.5}]
    assert "objectives: digits.py:train, digits.py:waits, " in worker.said()
    assert "training with 1\n" in worker.said()
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0


def test_a_worker_says_which_copy_it_has_and_what_it_lacks(
    home: Home, folder: Path, mongo_uri: str, store: Store
) -> None:
    """Each slot reports the copy of the file; one slot says what trials wait for."""
    post(store, "boost.py:train")
    command = ("worker", "--objectives", "digits.py", "--slots", "2", "--device", "cpu")
    worker = home.start(*command, HYPERHIVE_MONGO=mongo_uri)
    until(lambda: len(store.workers.present()) == 2, "both slots")
    digest = hashlib.sha256(DIGITS.encode()).hexdigest()[:8]
    assert {each.versions["digits.py"] for each in store.workers.present()} == {digest}
    worker.says("1 trial of study s waits for boost.py:train, which this worker does not have")
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert worker.said().count("boost.py:train") == 1


def test_a_stopped_worker_ends_the_program_and_gives_its_trial_back(
    home: Home, folder: Path, mongo_uri: str, store: Store
) -> None:
    """The program runs for minutes; nobody waits for it."""
    pid = folder / "pid"
    post(store, "digits.py:waits", pid=str(pid))
    command = ("worker", "--objectives", "digits.py", "--slots", "1", "--device", "cpu")
    worker = home.start(*command, "--grace", "0", HYPERHIVE_MONGO=mongo_uri)
    until(pid.exists, "the program's start")
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert [trial.status for trial in store.trials.find("s")] == [Status.NEW]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "--objectives digits.py: there is no such file in "),
        ("def train(:\n", "--objectives digits.py: line 1: "),
        (
            "import no_such_module\n",
            "line 1: ModuleNotFoundError: No module named 'no_such",
        ),
    ],
)
def test_a_file_that_fails_here_ends_only_this_worker(
    home: Home, mongo_uri: str, store: Store, source: str | None, said: str
) -> None:
    """One sentence, an exit code, and the trial waits for a worker that can import the file."""
    if source is not None:
        (home.work / "digits.py").write_text(source)
    post(store, "digits.py:train", x=1)
    command = ("worker", "--objectives", "digits.py", "--slots", "2", "--device", "cpu")
    done = home.run(*command, HYPERHIVE_MONGO=mongo_uri)
    assert done.returncode == 1
    assert done.stderr.count(said) == 1
    assert "Traceback" not in done.stderr
    (trial,) = store.trials.find("s")
    assert (trial.status, trial.attempts, trial.claims) == (Status.NEW, 0, 0)


def test_a_killed_worker_takes_its_program_with_it(
    home: Home, folder: Path, mongo_uri: str, store: Store
) -> None:
    """As after a power cut that leaves the machine on: nothing may go on training unseen."""
    pid = folder / "pid"
    post(store, "digits.py:waits", pid=str(pid))
    command = ("worker", "--objectives", "digits.py", "--slots", "1", "--device", "cpu")
    worker = home.start(*command, HYPERHIVE_MONGO=mongo_uri)
    until(pid.exists, "the program's start")
    running(store, "s")
    slots = home.slots(worker)
    worker.signal(signal.SIGKILL)
    for slot in slots:
        os.kill(slot, signal.SIGKILL)
    home.is_empty()


def test_a_worker_needs_no_pytorch_for_a_function(
    home: Home, folder: Path, mongo_uri: str, store: Store
) -> None:
    """It lacks LeNet-5 then; a worker that has nothing else to run says what to install."""
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    home.environment["PYTHONPATH"] += os.pathsep + str(folder)
    where = {"HYPERHIVE_MONGO": mongo_uri}
    refused = home.run("worker", "--slots", "1", **where)
    assert refused.returncode == 1
    assert refused.stderr.endswith("error: this needs torch: pip install 'hyperhive[torch]'\n")
    post(store, "digits.py:train", x=1)
    worker = home.start("worker", "--objectives", "digits.py", "--slots", "1", **where)
    (trial,) = ended(store, "s")
    assert trial.loss == 0.25
    (record,) = store.workers.present()
    assert record.objectives == {"digits.py:train", "digits.py:waits"}
    assert set(record.versions) == {"python", "digits.py"}
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
