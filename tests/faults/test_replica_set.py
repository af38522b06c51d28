"""A study on a replica set whose primaries are killed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.books import check, check_result
from support.fleet import Fleet
from support.home import Home, until
from support.replica_set import replica_set

TRIALS = 400
EVERY_S = 15.0


@pytest.mark.long
def test_killed_primaries_lose_no_result_and_count_none_twice(home: Home, tmp_path: Path) -> None:
    """Coordinator and workers go on at each new primary, with one address all the time."""
    with replica_set(tmp_path / "members") as members:
        fleet = Fleet(home, uri=members.uri)
        # An attempt may be charged for each claim whose reply a killed primary owes.
        coordinator = fleet.coordinator("s", TRIALS, "--no-refit", attempts=20)
        workers = [fleet.worker(seconds="0.5") for _ in range(3)]
        kills = 0
        killed_at = time.monotonic()
        while coordinator.is_running():
            time.sleep(0.1)
            if time.monotonic() - killed_at >= EVERY_S:
                killed_at = time.monotonic()
                members.kill_primary()
                kills += 1
        assert coordinator.end() == 0, coordinator.said()
        assert kills >= 3
        with fleet.store() as store:
            until(lambda: not store.trials.overdue(), "the last delivery")
            books = check(store, "s", TRIALS, fleet.audit, fleet.outbox)
            check_result(store, "s")
        assert (books.done, books.failed) == (TRIALS, 0)
        for worker in workers:
            assert "Traceback" not in worker.said()
            assert "no longer this worker's" not in worker.said()
