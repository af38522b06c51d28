"""A worker and a coordinator that have nothing to do, for an hour, at high speed."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from hyperhive.common.signals import StopRequest
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.search import Interrupted, Search, Snapshot
from hyperhive.coordinator.searching import pace, sweep
from hyperhive.coordinator.study import Study
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.store import Store
from hyperhive.store.workers import PRESENCE_S
from hyperhive.worker.heartbeat import Heartbeat
from hyperhive.worker.identity import Identity
from hyperhive.worker.loop import Worker
from hyperhive.worker.objectives.registry import registered
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.settings import WorkerSettings

_IDENTITY = Identity("idle", None, "cpu", {})


@dataclass(frozen=True)
class Growth:
    """What grew: this process's memory and the database, in bytes; documents, in number."""

    memory: int
    data: int
    documents: int
    operations: int


def worker(uri: str, outbox: Path, seconds: float) -> Growth:
    """Look for an order and claim twice a second, as an idle worker comes to do, and beat."""
    with Store(uri) as store:
        settings = WorkerSettings(uri, device="cpu")
        idle = Worker(settings, _IDENTITY, registered(), Outbox("idle", outbox), StopRequest())
        heartbeat = Heartbeat(lambda: store, _IDENTITY, settings.lease, lambda: 0)
        beat_every = PRESENCE_S / 4

        def live(seconds: float) -> int:
            claims, beats = int(2 * seconds), int(seconds / beat_every)
            for number in range(claims):
                idle._orders.read(store)
                assert not idle.run_next(store, heartbeat)
                if number * beats % claims < beats:
                    heartbeat.beat(store)
            return 2 * claims + beats

        return _growth(store, live, seconds)


def coordinator_alone(uri: str, seconds: float) -> Growth:
    """Poll and sweep as often as a coordinator does whose trials nobody takes."""
    study = Study(Plan("idle", DatasetRequest("digits")), "hash", {})
    faster = 1000.0
    usual = (pace.LONGEST_S, sweep.SWEEP_EVERY_S, sweep.COLLECT_EVERY_S)
    polls_a_second = 1 / pace.LONGEST_S
    pace.LONGEST_S, sweep.SWEEP_EVERY_S, sweep.COLLECT_EVERY_S = (s / faster for s in usual)
    try:
        with Store(uri) as store:
            store.ensure_indexes()
            store.studies.open(study.name, study.spec())

            def live(seconds: float) -> int:
                stop = threading.Event()
                polls = [0]

                def watch(_: Snapshot) -> None:
                    polls[0] += 1
                    if polls[0] >= seconds * polls_a_second:
                        stop.set()

                try:
                    Search(store, study, watch, stop).run()
                except Interrupted:
                    return polls[0]
                raise AssertionError("an idle search ended")

            return _growth(store, live, seconds)
    finally:
        pace.LONGEST_S, sweep.SWEEP_EVERY_S, sweep.COLLECT_EVERY_S = usual


def _growth(store: Store, live: Callable[[float], int], seconds: float) -> Growth:
    live(seconds / 10)  # connections, indexes, the first documents
    before, memory = _database(store), _memory()
    operations = live(seconds)
    after = _database(store)
    return Growth(
        _memory() - memory,
        int(after["dataSize"] - before["dataSize"]),
        int(after["objects"] - before["objects"]),
        operations,
    )


def _database(store: Store) -> dict[str, int]:
    said: dict[str, int] = store.client.get_default_database().command("dbStats")
    return said


def _memory() -> int:
    """Return the resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
