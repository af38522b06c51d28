"""A worker whose clock is decades off: case 14. Its monotonic clock is right, as on any device."""

import contextlib
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Iterator

import pytest
import quick
from fleet import Fleet, running
from home import Home, until

from store.queue import new_token
from store.trial import Status, Trial

SHIM = Path(__file__).with_name("clock.c")
EPOCHS = {1970: "10", 2100: "4102444800"}
"""Seconds since 1970 at which a worker's clock starts."""
LEASE = timedelta(seconds=2)
"""Of the fleet's workers."""


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
    """Have what is started meanwhile live in another year."""
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


@pytest.mark.parametrize("year", [1970, 2100])
def test_14_a_worker_with_a_wrong_clock_works_as_any_other(
    fleet: Fleet, home: Home, shim: Path, year: int
) -> None:
    """It claims, renews and finishes; its fresh upload is kept, and what it held is freed in time.

    It dies with an upload that nothing refers to yet, and the next with its clock delivers. Then it
    dies while it trains: its trial is for others once the lease is over, neither sooner nor later.
    """
    with fleet.store() as store:
        with clock(home, shim, year):
            worker = fleet.worker(seconds="3", die_at="uploaded")
        worker.says("connected")
        quick.post(store, 1)
        held = running(store, "s")
        until(lambda: now() > lease_end(held), "the end of the first lease")
        (renewed,) = store.trials.find("s")
        assert (renewed.status, renewed.token) == (Status.RUNNING, held.token)
        assert lease_end(renewed) - now() <= LEASE
        files = store.client.hyperhive.fs.files
        upload = until(files.find_one, "an upload")
        assert upload["uploadDate"].year == year  # its clock is as wrong as it should be
        assert store.collect_orphans(older_than=60) == 0
        quick.all_done_once(store)
        assert store.collect_orphans(older_than=60) == 0
        assert files.count_documents({}) == 2
        assert store.collect_orphans(older_than=0) == 1
        quick.post(store, 1, study="t")
        running(store, "t")
        fleet.kill(worker)
        (left,) = store.trials.find("t")
        until(lambda: store.trials.claim("other", new_token(), ["quick"]), "a lease that is over")
        assert lease_end(left) <= now() < lease_end(left) + timedelta(seconds=1)
