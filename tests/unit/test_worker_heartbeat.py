"""The heartbeat: what it renews, what it learns, what it survives."""

from __future__ import annotations

import datetime
import threading
import time
from typing import Any, Iterator

import pytest
from support.home import until

from hyperhive.store.errors import LoginRefused
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.worker.heartbeat import Heartbeat
from hyperhive.worker.identity import Identity

LEASE = 2.0  # seconds; a beat may be late by three quarters of it
IDENTITY = Identity("me", None, "cpu", {"python": "3"})
UNREACHABLE = "mongodb://127.0.0.1:1/?directConnection=true"


def claim(store: Store, worker: str = "me", lease: float = LEASE) -> Trial:
    trial = store.queue.claim(worker, new_token(), ["lenet5"], lease=lease)
    assert trial is not None
    return trial


def now(store: Store, trial: Trial) -> Trial:
    stored = store.trials.get(trial.id)
    assert stored is not None
    return stored


@pytest.fixture
def trial(store: Store) -> Trial:
    """Return a trial that this worker holds."""
    store.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    return claim(store)


@pytest.fixture
def heartbeat(mongo_uri: str) -> Iterator[Heartbeat]:
    """Give a running heartbeat."""
    with Heartbeat(lambda: Store(mongo_uri), IDENTITY, LEASE) as beating:
        yield beating


def test_no_other_worker_can_claim_a_held_trial(
    store: Store, trial: Trial, heartbeat: Heartbeat
) -> None:
    """While a trial is held, its lease is renewed again and again."""
    with heartbeat.holding(trial) as held:
        deadline = time.monotonic() + 1.2 * LEASE
        while time.monotonic() < deadline:
            assert store.queue.claim("other", new_token(), ["lenet5"]) is None
            time.sleep(0.05)
        assert not held.lost.is_set()
        assert not held.cancelled.is_set()
    left = now(store, trial)
    assert (left.owner, left.fence, left.status) == ("me", trial.fence, Status.RUNNING)


def test_a_trial_that_is_no_longer_held_is_not_renewed(
    store: Store, trial: Trial, heartbeat: Heartbeat
) -> None:
    """After the context the lease runs out, and another worker can claim the trial."""
    with heartbeat.holding(trial):
        pass
    until(lambda: store.queue.claim("other", new_token(), ["lenet5"]), "the lease's end")


def test_the_trial_of_an_earlier_claim_is_renewed_at_once(
    store: Store, trial: Trial, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease may be over. For a trial just claimed no beat is sent soon after another."""
    monkeypatch.setattr("hyperhive.worker.heartbeat.HELD_EVERY_S", 3600.0)
    monkeypatch.setattr("hyperhive.worker.heartbeat.PRESENCE_S", 3600.0)
    with Heartbeat(lambda: Store(mongo_uri), IDENTITY, 3600.0) as heartbeat:
        assert heartbeat.began.wait(60)
        with heartbeat.holding_again(trial):
            until(lambda: now(store, trial).lease_until != trial.lease_until, "a new lease")


def test_a_trial_that_another_took_is_lost(
    store: Store, trial: Trial, heartbeat: Heartbeat
) -> None:
    """The next beat finds the trial lost, and does not change the other worker's claim."""
    store.client.hyperhive.jobs.update_many({}, [{"$set": {"lease_until": "$$NOW"}}])
    others = claim(store, "other", lease=60.0)
    with heartbeat.holding(trial) as held:
        assert held.lost.wait(60)
    assert now(store, trial) == others


@pytest.mark.parametrize("how", ["finished", "failed"])
def test_a_trial_that_ended_is_lost(
    store: Store, trial: Trial, heartbeat: Heartbeat, how: str
) -> None:
    """A trial that has ended is lost, like one that another worker holds."""
    if how == "finished":
        store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": 0.5})
    else:
        store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, "no")
    with heartbeat.holding(trial) as held:
        assert held.lost.wait(60)


def test_a_cancel_is_seen(store: Store, trial: Trial, heartbeat: Heartbeat) -> None:
    """Within a beat a worker learns that its trial was cancelled."""
    with heartbeat.holding(trial) as held:
        store.queue.cancel_all("s")
        assert held.cancelled.wait(60)
        assert not held.lost.is_set()


def test_progress_is_stored(store: Store, trial: Trial, heartbeat: Heartbeat) -> None:
    """The last report is in the store soon."""
    with heartbeat.holding(trial) as held:
        for epoch in (1, 2):
            heartbeat.report(held, {"epoch": epoch})
        until(lambda: now(store, trial).progress == {"epoch": 2}, "progress in the store")


def test_progress_does_not_flood_the_store(store: Store, trial: Trial, mongo_uri: str) -> None:
    """A thousand quick reports cost one beat or two, not a thousand."""
    counted = Counting(mongo_uri)
    heartbeat = Heartbeat(lambda: counted.store, IDENTITY, 60.0)
    with heartbeat, heartbeat.holding(trial) as held:
        for epoch in range(1000):
            heartbeat.report(held, {"epoch": epoch})
        until(lambda: now(store, trial).progress, "progress in the store")
    assert counted.heartbeats <= 4


class Counting:
    """A real store that counts the heartbeats which go through it."""

    def __init__(self, uri: str) -> None:
        self.store = Store(uri)
        self.heartbeats = 0
        beat = self.store.queue.heartbeat

        def counting(*args: Any, **kwargs: Any) -> Trial:
            self.heartbeats += 1
            return beat(*args, **kwargs)

        self.store.queue.heartbeat = counting  # type: ignore[method-assign]


def test_a_worker_is_present_while_it_beats(store: Store, trial: Trial, mongo_uri: str) -> None:
    """A worker's record has its device and its trial; it disappears when the worker ends."""
    with Heartbeat(lambda: Store(mongo_uri), IDENTITY, LEASE) as heartbeat:
        until(lambda: store.workers.present(), "the worker's record")
        with heartbeat.holding(trial):
            until(lambda: store.workers.present()[0].trial == "s/0", "the trial in the record")
        until(lambda: store.workers.present()[0].trial is None, "no trial in the record")
        (record,) = store.workers.present()
        assert (record.id, record.device, record.versions) == ("me", "cpu", {"python": "3"})
    assert store.workers.present() == []


def test_a_server_that_is_away_stops_nothing(store: Store, trial: Trial) -> None:
    """Beats that cannot reach the server neither raise nor lose the trial."""
    heartbeat = Heartbeat(lambda: Store(UNREACHABLE, timeout=0.1), IDENTITY, 0.2)
    with heartbeat, heartbeat.holding(trial) as held:
        assert not held.lost.wait(1.0)
        heartbeat.raise_failure()
    assert now(store, trial).status is Status.RUNNING


def test_a_lease_that_ended_while_the_server_was_away_is_renewed(
    store: Store, trial: Trial, heartbeat: Heartbeat
) -> None:
    """No other worker took the trial, so it is still this worker's, without a second run."""
    past = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)
    store.client.hyperhive.jobs.update_many({}, {"$set": {"lease_until": past}})
    with heartbeat.holding(trial) as held:
        until(lambda: now(store, trial).lease_until != past, "a new lease")
        assert not held.lost.is_set()
    assert now(store, trial).fence == trial.fence


def test_a_refused_login_reaches_the_worker(trial: Trial, mongo_uri: str) -> None:
    """If the server refuses the heartbeat, the trial is lost, and the worker can raise why."""
    login, _, host = mongo_uri.rpartition("@")
    wrong = "{}:wrong@{}".format(login.rpartition(":")[0], host)
    with Heartbeat(lambda: Store(wrong), IDENTITY, LEASE) as heartbeat:
        with heartbeat.holding(trial) as held:
            assert held.lost.wait(60)
        with pytest.raises(LoginRefused):
            heartbeat.raise_failure()


def test_an_unexpected_error_reaches_the_worker(trial: Trial) -> None:
    """Any error that ends the heartbeat can be raised by the worker, and the trial is lost."""
    is_held = threading.Event()

    def connect() -> Store:
        is_held.wait(60)
        raise ZeroDivisionError

    with Heartbeat(connect, IDENTITY, LEASE) as heartbeat:
        with heartbeat.holding(trial) as held:
            is_held.set()
            assert held.lost.wait(60)
        with pytest.raises(ZeroDivisionError):
            heartbeat.raise_failure()


def test_a_trial_held_after_the_heartbeat_died_is_lost(trial: Trial) -> None:
    """A trial that was claimed at the moment of the heartbeat's end is not run without one."""

    def connect() -> Store:
        raise ZeroDivisionError

    with Heartbeat(connect, IDENTITY, LEASE) as heartbeat:
        until(lambda: heartbeat.failure is not None, "the heartbeat's end")
        with heartbeat.holding(trial) as held:
            assert held.lost.wait(60)


def test_progress_is_stored_literally(store: Store, trial: Trial) -> None:
    """Progress that looks like an expression of MongoDB is stored as it is."""
    heartbeat = Heartbeat(lambda: store, IDENTITY, LEASE)
    progress: dict[str, Any] = {"note": "$$NOW", "$set": 1}
    with heartbeat.holding(trial) as held:
        heartbeat.report(held, progress)
        heartbeat.beat(store)
    assert now(store, trial).progress == progress
