"""A mongod that is killed again and again while workers write to it."""

from __future__ import annotations

import json
import re
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support.fleet import Fleet, draft, ended
from support.home import Home, until
from support.plugin import hyperhive_faults
from support.writers import WRITERS, kill_under_load

from hyperhive.store import store as store_module
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status


def test_02_mongod_killed_under_load_keeps_acknowledged_writes(tmp_path: Path) -> None:
    """After a restart on the same files, all acknowledged writes are there."""
    assert kill_under_load(tmp_path / "mongo", kills=1) > WRITERS * 20


@pytest.mark.long
def test_02_mongod_killed_again_and_again_keeps_acknowledged_writes(tmp_path: Path) -> None:
    """The same, four times on the same files."""
    assert kill_under_load(tmp_path / "mongo", kills=4) > 4 * WRITERS * 20


@pytest.mark.long
def test_23_without_the_journal_writes_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same test fails if writes are acknowledged before they are in the journal."""
    monkeypatch.setattr(store_module, "client_options", store_module.client_options)
    hyperhive_faults.take_away("journal")
    with pytest.raises(AssertionError, match="acknowledged and lost"):
        kill_under_load(tmp_path / "mongo", kills=4)


@pytest.mark.long
def test_a_worker_claims_again_when_the_server_is_back(own_fleet: Fleet) -> None:
    """It finds the server again by itself."""
    fleet = own_fleet
    worker = fleet.worker()
    with fleet.store() as store:
        store.queue.post(draft("s", 0))
        ended(store, "s")
        fleet.freeze_server()
        worker.says("waiting for it")
        fleet.thaw_server()
        store.queue.post(draft("s", 2))
        until(lambda: claimed(store, 2), "the claim")


@pytest.mark.long
def test_a_study_goes_on_after_the_server_was_stopped_and_started(home: Home) -> None:
    """Coordinator, worker and a second server find each other; the first server ends itself."""
    first = home.start("mongo", "start")
    first.says("MongoDB runs at")
    dashboard = home.start("dashboard", "--port", "0")
    worker = home.start("worker", "--slots", "1")
    command = (
        "coordinator",
        "--dataset",
        "digits",
        "--trials",
        "4",
        "--seed",
        "1905",
        "--no-refit",
    )
    coordinator = home.start(*command)
    coordinator.says("[1/4] trial")
    uri = home.server()
    assert home.call("mongo", "stop").stdout == "stopped\n"
    assert first.end() == 0
    assert "MongoDB was stopped by another command" in first.said()
    coordinator.says("`hyperhive mongo start` starts it again")
    worker.says("has stopped; waiting for it")
    second = home.start("mongo", "start")
    second.says(first.said().splitlines()[0])  # the same address
    assert home.server() == uri
    assert coordinator.end() == 0
    assert "[4/4] trial" in coordinator.said()
    assert {(trial.status, trial.attempts) for trial in home.trials("digits")} == {(Status.DONE, 1)}
    page = re.search(r"at (http\S+)", dashboard.said())
    assert page
    with urllib.request.urlopen(page.group(1) + "fleet.json", timeout=30) as answer:
        assert json.loads(answer.read())["problem"] is None
    for program in (worker, dashboard, second):
        program.signal(signal.SIGTERM)
        assert program.end() == 0
    home.is_empty()


def claimed(store: Store, tid: int) -> Any:
    (trial,) = store.trials.find("s", tids=[tid])
    return trial.claims
