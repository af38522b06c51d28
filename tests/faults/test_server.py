"""A mongod that is killed again and again while workers write to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fleet import Fleet, draft, ended
from support.home import until
from support.plugin import hyperhive_faults
from support.writers import WRITERS, kill_under_load

from hyperhive.store import store as store_module
from hyperhive.store.store import Store


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


def claimed(store: Store, tid: int) -> Any:
    (trial,) = store.trials.find("s", tids=[tid])
    return trial.claims
