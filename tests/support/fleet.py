"""A fleet on quick trials: a server, coordinators and workers to be killed, frozen and cut off."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial
from support.books import undelivered
from support.home import Home, Program, until
from support.proxy import Command, Drop, Proxy

PLUGIN = Path(__file__).resolve().parent / "plugin"
STUDY = """
name = "{name}"
trials = {trials}
algorithm = "{algorithm}"
objective = "{objective}"
pruner = "{pruner}"
startup = 3
max_attempts = {attempts}

[dataset]
name = "digits"

[space]
learning_rate = {{ distribution = "loguniform", low = 0.001, high = 0.1 }}
epochs = {{ distribution = "quniform", low = 2, high = 30, step = 1 }}
momentum = {{ distribution = "uniform", low = 0.0, high = 0.95 }}
"""


class Fleet:
    """The processes of one study's life, in a home of their own.

    A server of their own is ``hyperhive mongo start``, which starts its mongod again when that is
    killed.

    Args:
        home: where they live.
        lease: of each trial, in seconds. The usual one does not run out on a busy machine:
            ``abandon`` ends it.
        uri: of a server that they share with other tests; None for one of their own.
    """

    def __init__(self, home: Home, lease: float = 30.0, uri: str | None = None) -> None:
        self.home = home
        self._lease = lease
        self.audit = home.work.parent / "audit"
        self.audit.mkdir()
        self.outbox = home.mongo.parent / "outbox"
        path = "{}{}{}".format(home.environment["PYTHONPATH"], os.pathsep, PLUGIN)
        home.environment.update(PYTHONPATH=path, HYPERHIVE_FAULTS_AUDIT=str(self.audit))
        if uri is None:
            self._server = home.start("mongo", "start")
            uri = str(until(home.server, "the server"))
        self.uri = uri
        self.way = uri
        """The URI that its processes use; a proxy may be in between."""

    def store(self) -> Store:
        """Return a store on the fleet's server, with its indexes."""
        store = Store(self.uri)
        store.ensure_indexes()
        return store

    def mongod(self) -> int:
        """Return the process id of the mongod that runs, or ran last."""
        return int((self.home.mongo / "data" / "mongod.lock").read_text())

    def coordinator(self, name: str, trials: int, *arguments: str, **plan: Any) -> Program:
        """Start a coordinator, or start it again."""
        file = self.file(name, trials, **plan)
        return self.home.start("coordinator", file, *arguments, HYPERHIVE_MONGO=self.way)

    def search(
        self, name: str, trials: int, *arguments: str, **plan: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a coordinator to its end in the test's process: it has imported PyTorch already."""
        file = self.file(name, trials, **plan)
        return self.home.call("coordinator", file, *arguments, HYPERHIVE_MONGO=self.way)

    def file(self, name: str, trials: int, **plan: Any) -> str:
        """Write a study file; return its path."""
        usual = {"algorithm": "random", "attempts": 3, "objective": "quick", "pruner": "none"}
        text = STUDY.format(name=name, trials=trials, **{**usual, **plan})
        file = self.home.work / (name + ".toml")
        file.write_text(text)
        return str(file)

    def worker(self, *arguments: str, uri: str | None = None, **faults: str) -> Program:
        """Start a worker of one slot; ``seconds="1"`` sets ``HYPERHIVE_FAULTS_SECONDS``, ..."""
        variables = {"HYPERHIVE_FAULTS_" + name.upper(): value for name, value in faults.items()}
        command = ["worker", "--slots", "1", "--device", "cpu", "--lease", str(self._lease)]
        command += ["--grace", "1"]
        variables["HYPERHIVE_MONGO"] = uri or self.way
        return self.home.start(*command, *arguments, **variables)

    @contextlib.contextmanager
    def held_back(self, config: Mapping[str, Any]) -> Iterator[None]:
        """Let no run of a quick trial end while the context is open."""
        hold = self.audit / "hold-{}".format(config["learning_rate"])
        hold.touch()
        try:
            yield
        finally:
            hold.unlink()

    def freeze_server(self) -> None:
        """Kill mongod, and keep it from coming back."""
        self._server.signal(signal.SIGSTOP)
        os.kill(self.mongod(), signal.SIGKILL)

    def undelivered(self) -> list[Path]:
        """Return the results that still wait on the workers' disk."""
        return undelivered(self.outbox)

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


def abandon(store: Store, held: Trial, until_it: Callable[[], Any]) -> None:
    """End the lease of a trial whose holder is dead or frozen; wait until something has followed.

    The lease is ended again and again: the holder's last beat may arrive after the first time.
    """
    its = {"_id": held.id, "token": held.token}

    def follows() -> Any:
        store.database.jobs.update_one(its, [{"$set": {"lease_until": "$$NOW"}}])
        return until_it()

    until(follows, f"what follows the end of the lease of {held.label}")


def answers(store: Store) -> bool:
    """Whether the server answers now."""
    try:
        store.ping()
    except StoreUnavailable:
        return False
    return True


def die_after(fleet: Fleet, between: Proxy, command: Drop, *arguments: str) -> None:
    """Start a worker that is killed when the server has executed a command, before the reply."""
    slots: list[int] = []

    def kill(answered: Command) -> bool:
        if command(answered):
            slots.extend(fleet.home.slots(worker))
            worker.signal(signal.SIGSTOP)  # it must not start another slot
            for pid in slots:
                os.kill(pid, signal.SIGKILL)
        return bool(slots)

    between.drop = kill
    worker = fleet.worker(*arguments, uri=between.uri(fleet.uri))
    until(lambda: slots, "the end of a worker")
    fleet.kill(worker)
