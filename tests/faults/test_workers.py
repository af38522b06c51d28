"""Workers that are killed, frozen, poisoned, stopped and cut off, on trials posted by the test."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from typing import Any, Iterator

import pytest
from support.books import check, events
from support.fleet import Fleet, draft, ended, running
from support.home import Home, slot, until
from support.plugin.hyperhive_faults import STEPS

from hyperhive.store.store import Store
from hyperhive.store.trial import ErrorKind, Status, Trial

LEASE_S = 2.0


def documents(store: Store, study: str = "s") -> list[dict[str, Any]]:
    return list(store.client.get_default_database().jobs.find({"exp_key": study}).sort("tid"))


def begun(fleet: Fleet, trial: Trial) -> int:
    """Return how often a trial's objective was begun, by any worker."""
    rate = trial.config["learning_rate"]
    return sum(event["learning_rate"] == rate for event in events(fleet.audit, "begun"))


def test_01_a_worker_killed_at_any_step_loses_nothing(home: Home) -> None:
    """Before its result is kept, the trial is run again, within the lease and five seconds.

    After that it never is: whoever starts next on the device delivers the result.
    """
    fleet = Fleet(home, lease=15.0)  # longer than it takes a slot to be started again
    with fleet.store() as store:
        for tid in range(15):
            store.queue.post(draft("s", tid))
        for step in ("training", *STEPS):
            fleet.worker(die_at=step)
        ended(store, "s")
        died = {event["step"]: event for event in events(fleet.audit, "died")}
        assert set(died) == {"training", *STEPS}
        check(store, "s", 15, fleet.audit, fleet.outbox)
        for step, event in died.items():
            issued = issued_since(store, event["pid"])
            if step in ("claimed", "training"):
                assert len(issued) == 2, step
                assert issued[1]["at"].timestamp() - event["at"] < 15.0 + 5.0
            else:
                assert len(issued) <= 1, step  # none: it died over what another had left


def issued_since(store: Store, pid: int) -> list[dict[str, Any]]:
    """Return the last claim of a process, if any, and those that came after it on the trial."""
    histories = [
        document["issued"][number:]
        for document in documents(store)
        for number, claim in enumerate(document["issued"])
        if claim["worker"].split("-")[-2] == str(pid)
    ]
    return max(histories, key=lambda history: history[0]["at"], default=[])


@pytest.fixture
def alone(home: Home) -> Fleet:
    """Return a fleet with short leases."""
    return Fleet(home, lease=LEASE_S)


def test_06_a_worker_frozen_while_another_runs_its_trial(alone: Fleet) -> None:
    """One result counts, the other is kept as late, and both workers go on."""
    fleet = alone
    first = fleet.worker(seconds="1", deaf="")
    with fleet.store() as store:
        store.queue.post(draft("s", 0))
        held = running(store, "s")
        with frozen(held):
            second = fleet.worker(seconds="1")
            time.sleep(3 * LEASE_S)
            until(lambda: store.trials.find("s")[0].is_final, "another's result")
        until(lambda: store.trials.find("s")[0].late, "the late result")
        (trial,) = store.trials.find("s")
        assert (trial.status, trial.claims, trial.late) == (Status.DONE, 2, 1)
        assert begun(fleet, trial) == 2
        assert trial.owner != held.owner
        for tid in range(1, 5):
            store.queue.post(draft("s", tid))
        owners = {trial.owner for trial in ended(store, "s") if trial.tid > 0}
        assert len(owners) == 2, "both go on"
        check(store, "s", 5, fleet.audit, fleet.outbox)
    assert first.is_running()
    assert second.is_running()


def test_07_a_worker_frozen_while_nobody_takes_its_trial(alone: Fleet) -> None:
    """The lease that ran out is renewed, and the trial is run once."""
    fleet = alone
    fleet.worker(seconds="1")
    with fleet.store() as store:
        store.queue.post(draft("s", 0))
        with frozen(running(store, "s")):
            time.sleep(3 * LEASE_S)
            assert [trial.tid for trial in store.trials.overdue()] == [0]
        (trial,) = ended(store, "s")
        assert (trial.status, trial.claims, trial.late) == (Status.DONE, 1, 0)
        assert begun(fleet, trial) == 1
        check(store, "s", 1, fleet.audit, fleet.outbox)


@contextlib.contextmanager
def frozen(trial: Trial) -> Iterator[None]:
    """Freeze the process that holds a trial, as a laptop's sleep does."""
    os.kill(slot(trial), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(slot(trial), signal.SIGCONT)


def test_12_a_poison_trial_ends_after_its_attempts(alone: Fleet) -> None:
    """A trial that kills whoever begins it is begun max_attempts times; the others are done."""
    fleet = alone
    worker = fleet.worker()
    with fleet.store() as store:
        store.queue.post(draft("s", 0, objective="poison", max_attempts=2))
        store.queue.post(draft("s", 1))
        (poison,) = store.trials.find("s", tids=[0])
        until(lambda: begun(fleet, poison) == 2, "the last attempt")
        until(store.queue.expire, "the end of its lease")
        ended(store, "s")
        lost, other = store.trials.find("s")
        assert (lost.status, lost.attempts, begun(fleet, lost)) == (Status.ERROR, 2, 2)
        assert (lost.error or {})["kind"] == ErrorKind.WORKER_LOST.value
        assert other.status is Status.DONE
    assert "slot 1 ended (killed by SIGKILL); a new one starts in 1 s" in worker.said()


def test_13_workers_stopped_at_random_lose_nothing(alone: Fleet) -> None:
    """Each leaves within its grace; what it had in hand is done, or given back with its attempt."""
    fleet = alone
    dice = random.Random(13)
    with fleet.store() as store:
        for tid in range(30):
            store.queue.post(draft("s", tid, max_attempts=1))
        workers = [fleet.worker(seconds="0.3") for _ in range(3)]
        for worker in workers:
            worker.says("connected to")
            time.sleep(dice.uniform(0.0, 2.0))
            worker.signal(signal.SIGTERM)
            told = time.monotonic()
            assert worker.end() == 0
            assert time.monotonic() - told < 1.0 + 5.0  # the grace, and the time to end processes
        assert all(t.status in (Status.NEW, Status.DONE) for t in store.trials.find("s"))
        assert fleet.undelivered() == []
        fleet.worker(seconds="0.01")
        assert {trial.status for trial in ended(store, "s")} == {Status.DONE}
        check(store, "s", 30, fleet.audit, fleet.outbox)


def deliver_after_an_outage(fleet: Fleet, **faults: str) -> None:
    """Finish a trial while the server is away, lose the worker too, and start one elsewhere.

    Raises ``AssertionError`` if the result was lost, or computed again.
    """
    worker = fleet.worker(seconds="3", **faults)
    with fleet.store() as store:
        store.queue.post(draft("s", 0))
        trial = running(store, "s")
    until(lambda: begun(fleet, trial), "its training")
    fleet.freeze_server()
    until(lambda: events(fleet.audit, "kept"), "the result")
    time.sleep(LEASE_S)
    fleet.kill(worker)
    fleet.thaw_server()
    begun_before = begun(fleet, trial)
    fleet.worker("--study", "another", **faults)
    fleet.worker(**faults)
    with fleet.store() as store:
        (trial,) = ended(store, "s")
        assert begun(fleet, trial) == begun_before == 1, "computed again"
        check(store, "s", 1, fleet.audit, fleet.outbox)


def test_15_an_outage_longer_than_the_lease(alone: Fleet) -> None:
    """Training goes on without the server; the next worker's start delivers, for whatever study."""
    deliver_after_an_outage(alone)


def test_23_without_the_outbox_a_result_is_lost(alone: Fleet) -> None:
    """The test of an outage notices that the outbox was taken away."""
    with pytest.raises(AssertionError, match="computed again"):
        deliver_after_an_outage(alone, without="outbox")
