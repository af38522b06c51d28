"""Workers that a program gives its own function to, on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from support.fleet import ended
from support.home import Home, until

from hyperhive.common.errors import ObjectiveError
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.worker.local import WorkersFailed, local_workers

SCRIPT = """
import sys
from pathlib import Path
from hyperhive.worker.local import local_workers

OFFSET = 0.25
folder = Path(sys.argv[2])

def train(config, trial):
    print("printed", config["x"])
    print("warned", config["x"], file=sys.stderr)
    while config["waits"] and not (folder / "go").exists():
        trial.report(len(trial.history))
    if config["deaf"]:
        (folder / "deaf").touch()
        import time
        time.sleep(600)
    return config["x"] + OFFSET

with local_workers(train, "train", sys.argv[1], 2, study="s") as workers:
    print("begun", flush=True)
    sys.stdin.readline()
    workers.raise_if_failed()
print("left")
"""


def post(store: Store, count: int, waits: bool = False, deaf: bool = False) -> None:
    for tid in range(count):
        config = {"x": tid, "waits": waits, "deaf": deaf}
        store.queue.post(Draft("s", tid, config, {}, objective="train"))


class Script:
    """The script in a home: a program with a function of its own."""

    def __init__(self, home: Home, uri: str) -> None:
        (home.work / "script.py").write_text(SCRIPT)
        self._out = (home.work / "out").open("wb")
        self._home = home
        self.process = subprocess.Popen(
            [sys.executable, "script.py", uri, str(home.work)],
            cwd=str(home.work),
            env=home.environment,
            stdin=subprocess.PIPE,
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )

    def said(self) -> str:
        """Return what it has said."""
        return (self._home.work / "out").read_text()

    def end(self) -> int:
        """Let it leave the context; return its exit code."""
        self.process.communicate(b"\n")
        self._out.close()
        return self.process.returncode


@pytest.fixture
def script(home: Home, mongo_uri: str, store: Store) -> Any:
    """Give the script, which has started."""
    script = Script(home, mongo_uri)
    yield script
    script.process.kill()
    script.process.wait()


def test_a_function_of_a_program_runs_in_its_workers(
    home: Home, script: Script, store: Store
) -> None:
    """With all that it needs of the program, which is not run again; what it prints is seen."""
    post(store, 3)
    trials = ended(store, "s")
    assert [trial.loss for trial in trials] == [0.25, 1.25, 2.25]
    assert script.end() == 0
    said = script.said().splitlines()
    assert sorted(said) == sorted(
        ["begun", "left", *(f"{word} {tid}" for word in ("printed", "warned") for tid in range(3))]
    )
    assert said[-1] == "left"
    home.is_empty()
    assert not list((home.work.parent / "data" / "hyperhive" / "logs").iterdir())


def test_trials_are_given_back_when_the_context_is_left(
    home: Home, script: Script, store: Store
) -> None:
    """At the function's next report, and with the attempt refunded."""
    post(store, 2, waits=True)
    until(lambda: all(trial.progress for trial in store.trials.find("s")), "both workers' reports")
    assert script.end() == 0
    trials = store.trials.find("s")
    assert [(trial.status, trial.attempts) for trial in trials] == [(Status.NEW, 0)] * 2
    home.is_empty()


@pytest.mark.long
def test_a_function_that_asks_for_nothing_is_killed(
    home: Home, script: Script, store: Store
) -> None:
    """Its program is not held up for longer than some seconds."""
    post(store, 1, deaf=True)
    until((home.work / "deaf").exists, "the function's start")
    assert script.end() == 0
    home.is_empty()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["waits", "deaf"])
def test_the_workers_end_with_a_program_that_is_killed(
    home: Home, script: Script, store: Store, kind: str
) -> None:
    """No orphan goes on training, whether its function asks or not."""
    post(store, 1, **{kind: True})
    until(lambda: store.trials.find("s")[0].status is Status.RUNNING, "the function's start")
    script.process.send_signal(signal.SIGKILL)
    script.process.wait()
    home.is_empty()


def test_why_the_workers_ended_is_told(store: Store, mongo_uri: str) -> None:
    """A function that cannot be loaded there is no search's fault; the sentence is the worker's."""

    class Unloadable:
        def __reduce__(self) -> Any:
            return divmod, (1, 0)

        def __call__(self, config: Any) -> float:
            return 0.0

    with local_workers(Unloadable(), "train", mongo_uri, 1) as workers:
        until(lambda: not workers.is_running(), "the end of the workers")
        with pytest.raises(WorkersFailed) as failed:
            workers.raise_if_failed()
    assert str(failed.value) == (
        "this machine's workers ended: objective train cannot be loaded in its worker: "
        f"ZeroDivisionError: integer division or modulo by zero (their log: {workers.log})"
    )


def test_the_log_has_the_traceback_of_the_function(store: Store, mongo_uri: str) -> None:
    """Line by line; the trial's error has the place."""

    def train(config: Any) -> Any:
        return config["y"]

    store.queue.post(Draft("s", 0, {"x": 1}, {}, objective="train", max_attempts=1))
    with local_workers(train, "train", mongo_uri, 1) as workers:
        until(lambda: store.trials.find("s")[0].status is Status.ERROR, "the trial's end")
    line = train.__code__.co_firstlineno + 1
    said = f"KeyError: 'y' (test_local_workers.py, line {line}, in train)"
    assert (store.trials.find("s")[0].error or {})["message"] == said
    lines = workers.log.read_text().splitlines()
    assert lines[0].endswith(f"slot 1  s, trial 0: failed: {said}")
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[2].endswith(f'test_local_workers.py", line {line}, in train')
    assert lines[-1] == "    KeyError: 'y'"


def test_a_function_that_cannot_be_given_is_refused() -> None:
    """Before a worker is started; the sentence names the object that is in the way."""
    lock = threading.Lock()

    def train(config: Any) -> float:
        with lock:
            return 0.0

    for function, said in (
        (train, "objective train cannot be given to its workers, because of lock (TypeError: "),
        (lambda: 0, "objective train must be a function that takes (config, trial) or (config)"),
        (3, "objective train must be a function that takes (config, trial) or (config), and 3 is"),
    ):
        given: Any = function
        with pytest.raises(ObjectiveError) as refused, local_workers(given, "train", "", 1):
            pass
        assert str(refused.value).startswith(said)
