"""A worker under test: its loop runs in this process, with objectives of the test's own."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any, Iterator, Mapping

from hyperhive.common.signals import StopRequest
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import SEARCH
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.heartbeat import Heartbeat
from hyperhive.worker.identity import Identity
from hyperhive.worker.loop import Worker
from hyperhive.worker.objectives.api import Context, Objective, Outcome
from hyperhive.worker.objectives.lacking import Lacking
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.pausing import PausePolicy
from hyperhive.worker.settings import WorkerSettings
from hyperhive.worker.signed.published import Published

LEASE = 2.0  # seconds; a beat may be late by three quarters of it
IDENTITY = Identity("me", "s", "cpu", {})
FOUND = Outcome({"status": "ok", "loss": 0.25}, b"weights")


class Bench:
    """A worker with a real heartbeat, outbox and store, and an objective of the test's.

    Args:
        objective: what the worker runs under the name ``lenet5``.
        grace: seconds that a stopping worker may take to finish.
        policy: when the worker must pause.
        first_come: as in ``WorkerSettings``.
        lease: in seconds.
        lacking: says what the worker lacks.
        keys: whose published objectives it runs too.
    """

    def __init__(
        self,
        uri: str,
        folder: Path,
        objective: Objective,
        grace: float = 0.0,
        policy: PausePolicy | None = None,
        first_come: bool = False,
        lease: float = LEASE,
        lacking: Lacking | None = None,
        keys: tuple[str, ...] = (),
    ) -> None:
        self.stop = StopRequest()
        self.uri: str | None = uri
        self._opened = contextlib.ExitStack()
        self.store = self._opened.enter_context(Store(uri, timeout=2.0))
        self.outbox = Outbox("me", folder)
        self._heartbeat = Heartbeat(lambda: Store(uri, timeout=2.0), IDENTITY, lease)
        self.objectives: dict[str, Objective] = {"lenet5": objective}
        published = Published(keys, self.objectives) if keys else None
        self.worker = Worker(
            WorkerSettings(uri, "s", "cpu", lease=lease, grace=grace, first_come=first_come),
            IDENTITY,
            self.objectives,
            self.outbox,
            self.stop,
            policy,
            find_server=lambda: self.uri,
            lacking=lacking,
            published=published,
        )

    def __enter__(self) -> Bench:
        self._opened.enter_context(self.outbox)
        self._opened.enter_context(self._heartbeat)
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def run_one(self) -> bool:
        """Let the worker do one trial."""
        return self.worker.run_next(self.store, self._heartbeat)


def post(store: Store, tid: int = 0, **fields: Any) -> None:
    fields = {"objective": "lenet5", "cost": tid + 1, **fields}
    store.queue.post(Draft("s", tid, {"epochs": tid + 1}, {}, **fields))


def the_trial(store: Store, tid: int = 0) -> Trial:
    (trial,) = store.trials.find("s", SEARCH, [tid])
    return trial


def succeeds(config: Mapping[str, Any], context: Context) -> Outcome:
    return FOUND


def runs(bench: Bench, errors: list[BaseException]) -> threading.Thread:
    def run() -> None:
        try:
            bench.worker.run()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@contextlib.contextmanager
def living(
    uri: str | None, folder: Path, objective: Objective, **options: Any
) -> Iterator[tuple[Bench, list[BaseException]]]:
    """Run a worker's whole life in a thread; at the end stop it and wait for it."""
    errors: list[BaseException] = []
    bench = Bench(uri or "mongodb://127.0.0.1:1/", folder, objective, **options)
    bench.uri = uri
    thread = runs(bench, errors)
    try:
        yield bench, errors
    finally:
        bench.stop.ask()
        thread.join(60)
        bench.store.close()
        assert not thread.is_alive()
