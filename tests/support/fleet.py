"""A fleet on quick trials: a server, coordinators and workers to be killed, frozen and cut off."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trial import SEARCH, Draft, Status, Trial
from support.home import Home, Program, until

PLUGIN = Path(__file__).resolve().parent / "plugin"
STUDY = """
name = "{name}"
trials = {trials}
algorithm = "{algorithm}"
objective = "quick"
startup = 3
max_attempts = {attempts}

[dataset]
name = "digits"
"""


class Fleet:
    """The processes of one study's life, in a home of their own.

    The server is ``hyperhive mongo start``, which brings its mongod back when that is killed.

    Args:
        home: where they live.
        lease: of each trial, in seconds.
    """

    def __init__(self, home: Home, lease: float = 2.0) -> None:
        self.home = home
        self._lease = lease
        self.audit = home.work.parent / "audit"
        self.audit.mkdir()
        self.outbox = home.mongo.parent / "outbox"
        path = "{}{}{}".format(home.environment["PYTHONPATH"], os.pathsep, PLUGIN)
        home.environment.update(PYTHONPATH=path, HYPERHIVE_FAULTS_AUDIT=str(self.audit))
        self._server = home.start("mongo", "start")
        self.uri: str = until(home.server, "the server")
        self.way = self.uri
        """The URI that its processes use; a proxy may be in between."""

    def store(self) -> Store:
        """Return a store on the fleet's server, with its indexes."""
        store = Store(self.uri)
        store.ensure_indexes()
        return store

    def mongod(self) -> int:
        """Return the process id of the mongod that runs, or ran last."""
        return int((self.home.mongo / "data" / "mongod.lock").read_text())

    def coordinator(
        self, name: str, trials: int, *arguments: str, algorithm: str = "random", attempts: int = 3
    ) -> Program:
        """Start a coordinator, or start it again."""
        text = STUDY.format(name=name, trials=trials, algorithm=algorithm, attempts=attempts)
        file = self.home.work / (name + ".toml")
        file.write_text(text)
        return self.home.start("coordinator", str(file), *arguments, HYPERHIVE_MONGO=self.way)

    def worker(self, *arguments: str, uri: str | None = None, **faults: str) -> Program:
        """Start a worker of one slot; ``seconds="1"`` sets ``HYPERHIVE_FAULTS_SECONDS``, ..."""
        variables = {"HYPERHIVE_FAULTS_" + name.upper(): value for name, value in faults.items()}
        command = ["worker", "--slots", "1", "--device", "cpu", "--lease", str(self._lease)]
        command += ["--grace", "1"]
        variables["HYPERHIVE_MONGO"] = uri or self.way
        return self.home.start(*command, *arguments, **variables)

    def freeze_server(self) -> None:
        """Kill mongod, and keep it from coming back."""
        self._server.signal(signal.SIGSTOP)
        os.kill(self.mongod(), signal.SIGKILL)

    def undelivered(self) -> list[Path]:
        """Return the results that still wait on the workers' disk."""
        return list(self.outbox.glob("*/*.bson"))

    def thaw_server(self) -> None:
        """Let mongod come back, and wait until it answers."""
        self._server.signal(signal.SIGCONT)
        with Store(self.uri) as store:
            until(lambda: answers(store), "the server")

    def kill(self, worker: Program) -> None:
        """Kill a worker and its slots at once, as a power cut does."""
        worker.signal(signal.SIGSTOP)  # it must not start another slot meanwhile
        for pid in self.home.slots(worker):
            os.kill(pid, signal.SIGKILL)
        worker.signal(signal.SIGKILL)
        worker.end()


def draft(study: str, tid: int, objective: str = "quick", epochs: int = 1, **how: Any) -> Draft:
    """Return a trial as a coordinator would post it, its learning rate telling it from others."""
    config = {"learning_rate": round(0.001 * (tid + 1), 6), "momentum": 0.5, "epochs": epochs}
    return Draft(study, tid, config, {}, objective=objective, cost=epochs, **how)


def running(store: Store, study: str, purpose: str = SEARCH, tid: int = 0) -> Trial:
    """Wait until a worker holds a trial; return it."""

    def held() -> Trial | None:
        trials = store.trials.find(study, purpose, [tid])
        return next((trial for trial in trials if trial.status is Status.RUNNING), None)

    trial: Trial = until(held, f"a worker that holds {study}/{purpose}/{tid}")
    return trial


def ended(store: Store, study: str, seconds: float = 60.0) -> list[Trial]:
    """Wait until all trials of a study are final; return them."""

    def all_ended() -> list[Trial] | None:
        trials = store.trials.find(study)
        return trials if trials and all(trial.is_final for trial in trials) else None

    trials: list[Trial] = until(all_ended, "the end of all trials of " + study, seconds)
    return trials


def answers(store: Store) -> bool:
    """Whether the server answers now."""
    try:
        store.ping()
    except StoreUnavailable:
        return False
    return True
