"""``hyperhive study cancel`` and ``delete`` on a running study."""

from __future__ import annotations

import signal

import pytest
from support.fleet import Fleet, running
from support.home import Home, until

from hyperhive.store.trials.terms import ErrorKind, Status


@pytest.mark.long
def test_a_live_study_is_cancelled(home: Home, fleet: Fleet) -> None:
    """Its coordinator says so and ends; its worker stops its trial and goes on."""
    worker = fleet.worker(seconds="60")
    coordinator = fleet.coordinator("s", 5)
    with fleet.store() as store:
        running(store, "s")
        until(lambda: len(store.trials.find("s")) == 2, "the trial that waits behind it")
        done = home.call("study", "cancel", "s", HYPERHIVE_MONGO=fleet.uri)
        assert (done.returncode, done.stdout) == (0, "study s cancelled, 2 trials with it\n")
        assert coordinator.end() == 1
        assert coordinator.said().endswith("error: study s was cancelled\n")
        worker.says("s, trial 0: cancelled")
        # The coordinator may have posted a trial meanwhile: it takes it back, its worker confirms.
        until(
            lambda: all(trial.is_final for trial in store.trials.find("s")),
            "the end of every trial",
        )
        trials = store.trials.find("s")
        assert {trial.status for trial in trials} == {Status.ERROR}
        assert {(trial.error or {})["kind"] for trial in trials} == {ErrorKind.CANCELLED.value}
    again = fleet.search("s", 5)
    assert again.returncode == 1
    assert "study s was cancelled: choose another name" in again.stderr
    assert "s (cancelled)" in home.call("status", HYPERHIVE_MONGO=fleet.uri).stdout
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0


@pytest.mark.long
def test_a_live_study_is_deleted(home: Home, fleet: Fleet) -> None:
    """Nothing of it stays in the store or in an outbox; without confirmation nothing happens."""
    worker = fleet.worker(seconds="0.5")
    coordinator = fleet.coordinator("s", 50)
    with fleet.store() as store:
        until(lambda: any(t.status is Status.DONE for t in store.trials.find("s")), "a result")
        refused = home.call("study", "delete", "s", HYPERHIVE_MONGO=fleet.uri)
        assert refused.returncode == 1
        assert store.studies.get("s") is not None
        done = home.call("study", "delete", "s", "--yes", HYPERHIVE_MONGO=fleet.uri)
        assert (done.returncode, done.stdout) == (0, "study s deleted\n")
        assert coordinator.end() == 1
        assert coordinator.said().endswith("error: study s was deleted\n")
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
        assert store.trials.find("s") == []
        assert fleet.undelivered() == []
        store.collect_orphans(0)
        files = store.client.get_default_database().fs.files
        assert files.count_documents({}) == 1  # the data set stays
    unknown = home.call("study", "delete", "s", "--yes", HYPERHIVE_MONGO=fleet.uri)
    assert unknown.returncode == 1
    assert "there is no study 's'" in unknown.stderr


@pytest.mark.long
def test_a_coordinator_without_workers_ends_after_its_timeout(home: Home, fleet: Fleet) -> None:
    """It says what it waits for, and after its timeout what to do; nothing is lost."""
    ended = fleet.search("s", 3, "--timeout", "1")
    assert ended.returncode == 1
    assert "s: no worker yet: run `hyperhive worker`" in ended.stdout
    assert "start a worker and the same study again, and it goes on" in ended.stderr
    fleet.worker()
    assert fleet.search("s", 3, "--timeout", "60").returncode == 0
