"""Case 14: a worker whose clock is decades wrong. Its monotonic clock is right."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Iterator

import pytest
from support import quick
from support.fleet import Fleet, draft, ended, running
from support.home import Home, until

from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

SHIM = Path(__file__).with_name("clock.c")
EPOCHS = {1970: "10", 2100: "4102444800"}
"""The time, in seconds since 1970, at which a worker's clock starts."""
LEASE = timedelta(seconds=2)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that sets a process's clock, or skip."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler, or no Linux, for the library that sets a process's clock")
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(SHIM)], check=True)
    return library


@contextlib.contextmanager
def clock(home: Home, shim: Path, year: int) -> Iterator[None]:
    """Give another year to the processes that are started meanwhile."""
    before = dict(home.environment)
    home.environment.update(LD_PRELOAD=str(shim), FAULTS_EPOCH=EPOCHS[year], TZ="UTC")
    yield
    home.environment.clear()
    home.environment.update(before)


def now() -> datetime:
    """Return the server's time: it runs on this machine."""
    return datetime.now(timezone.utc)


def lease_end(trial: Trial) -> datetime:
    assert trial.lease_until is not None
    return trial.lease_until


@pytest.mark.long
def test_14_workers_with_wrong_clocks_work_like_others(
    home: Home, shim: Path, store: Store, mongo_uri: str
) -> None:
    """They claim, renew and finish; a fresh upload is not collected, and leases end in time.

    One dies after an upload that no trial refers to yet, and the next with its clock delivers. Then
    all die while they train: others can claim the trials when the leases are over, not sooner.
    """
    fleet = Fleet(home, LEASE.total_seconds(), mongo_uri)
    workers = []
    for year in EPOCHS:
        with clock(home, shim, year):
            workers.append(fleet.worker(die_at="uploaded"))
    with held_back(fleet):
        quick.post(store, 2)
        held = [running(store, "s", tid=tid) for tid in range(2)]
        until(lambda: now() > max(map(lease_end, held)), "the end of the first leases")
        for before, after in zip(held, store.trials.find("s")):
            assert (after.status, after.token) == (Status.RUNNING, before.token)
            assert lease_end(after) - now() <= LEASE
    until(lambda: (fleet.audit / "died-uploaded").exists(), "a death after an upload")
    assert store.collect_orphans(older_than=60) == 0
    trials = ended(store, "s")
    assert {trial.status for trial in trials} == {Status.DONE}
    until(lambda: not fleet.undelivered(), "the delivery of all results")
    assert store.collect_orphans(older_than=60) == 0
    uploads = store.client.hyperhive.fs.files.find()
    # Their clocks are as wrong as they should be.
    assert {upload["uploadDate"].year for upload in uploads} == set(EPOCHS)
    assert store.collect_orphans(older_than=0) >= 1
    quick.weights_are_whole(store, trials)
    with held_back(fleet):
        quick.post(store, 2, study="t")
        for tid in range(2):
            running(store, "t", tid=tid)
        for worker in workers:
            fleet.kill(worker)
    for left in sorted(store.trials.find("t"), key=lease_end):
        until(lambda: store.queue.claim("w", new_token(), ["quick"]), "a lease that is over")
        assert lease_end(left) <= now()


@contextlib.contextmanager
def held_back(fleet: Fleet) -> Iterator[None]:
    """Let neither of a study's two trials end while the context is open."""
    first, second = (draft("s", tid).config for tid in range(2))
    with fleet.held_back(first), fleet.held_back(second):
        yield
