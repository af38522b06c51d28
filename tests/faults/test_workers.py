"""Workers that are killed, frozen, stopped or cut off, and trials that kill workers."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from typing import Any

import pytest
from support.books import check, events
from support.fleet import Fleet, abandon, draft, ended, running
from support.home import slot, until
from support.plugin.hyperhive_faults import STEPS

from hyperhive.store.store import Store
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial


def documents(store: Store, study: str = "s") -> list[dict[str, Any]]:
    return list(store.client.get_default_database().jobs.find({"exp_key": study}).sort("tid"))


def runs(fleet: Fleet, trial: Trial) -> int:
    """Return how many runs of a trial's objective were started, by any worker."""
    rate = trial.config["learning_rate"]
    return sum(event["learning_rate"] == rate for event in events(fleet.audit, "begun"))


def test_01_a_worker_killed_at_any_step_loses_nothing(fleet: Fleet) -> None:
    """Killed before its result is in the outbox, the trial runs again once the lease is over.

    Killed later, it never does: the next worker that starts on the device delivers the result.
    """
    steps = {"training", *STEPS}
    with fleet.store() as store:
        for tid in range(15):
            store.queue.post(draft("s", tid))
        for step in steps:
            fleet.worker(die_at=step)
        until(lambda: len(events(fleet.audit, "died")) == len(steps), "the last death")
        died = {event["step"]: event for event in events(fleet.audit, "died")}
        assert set(died) == steps
        for step in ("claimed", "training"):
            (held,) = held_by(store, died[step]["pid"])
            abandon(store, held, lambda held=held: claims(store, held) == held.claims + 1)
        ended(store, "s")
        check(store, "s", 15, fleet.audit, fleet.outbox)
        for step, event in died.items():
            issued = issued_since(store, event["pid"])
            if step in ("claimed", "training"):
                assert len(issued) == 2, step
            else:
                assert len(issued) <= 1, step  # none if it died while delivering for another worker


def held_by(store: Store, pid: int) -> list[Trial]:
    """Return the trials that a process holds, or held when it died."""
    running = [trial for trial in store.trials.find("s") if trial.status is Status.RUNNING]
    return [trial for trial in running if slot(trial) == pid]


def claims(store: Store, trial: Trial) -> int:
    (now,) = store.trials.find(trial.study, tids=[trial.tid])
    return now.claims


def issued_since(store: Store, pid: int) -> list[dict[str, Any]]:
    """Return the last claim of a process, if any, and the later claims of that trial."""
    histories = [
        document["issued"][number:]
        for document in documents(store)
        for number, claim in enumerate(document["issued"])
        if claim["worker"].split("-")[-2] == str(pid)
    ]
    return max(histories, key=lambda history: history[0]["at"], default=[])


def test_06_a_worker_frozen_while_another_runs_its_trial(fleet: Fleet) -> None:
    """One result counts, the other is kept as late, and both workers go on."""
    with fleet.store() as store, fleet.held_back(draft("s", 1).config):
        with fleet.held_back(draft("s", 0).config):
            first = fleet.worker(deaf="")
            store.queue.post(draft("s", 0))
            held = running(store, "s")
            until(lambda: runs(fleet, held), "its training")
            freeze(held)
        second = fleet.worker()
        abandon(store, held, lambda: store.trials.find("s")[0].is_final)
        thaw(held)
        until(lambda: store.trials.find("s")[0].late, "the late result")
        (trial,) = store.trials.find("s")
        assert (trial.status, trial.claims, trial.late) == (Status.DONE, 2, 1)
        assert runs(fleet, trial) == 2
        assert trial.owner != held.owner
        for tid in range(1, 5):  # the worker that takes the first, held back, keeps it
            store.queue.post(draft("s", tid))
        others = [2, 3, 4]
        until(lambda: all(t.is_final for t in store.trials.find("s", tids=others)), "the others")
        busy = running(store, "s", tid=1)
        owners = {trial.owner for trial in store.trials.find("s", tids=others)}
        assert owners - {busy.owner}, "both go on"
    with fleet.store() as store:
        ended(store, "s")
        check(store, "s", 5, fleet.audit, fleet.outbox)
    assert first.is_running()
    assert second.is_running()


def test_07_a_worker_frozen_while_no_other_takes_its_trial(fleet: Fleet) -> None:
    """The expired lease is renewed, and the trial runs once."""
    fleet.worker()
    with fleet.store() as store:
        with fleet.held_back(draft("s", 0).config):
            store.queue.post(draft("s", 0))
            held = running(store, "s")
            until(lambda: runs(fleet, held), "its training")
            freeze(held)
            abandon(store, held, lambda: [trial.tid for trial in store.trials.overdue()] == [0])
            thaw(held)
            until(lambda: not store.trials.overdue(), "the renewal of its lease")
        (trial,) = ended(store, "s")
        assert (trial.status, trial.claims, trial.late) == (Status.DONE, 1, 0)
        assert runs(fleet, trial) == 1
        check(store, "s", 1, fleet.audit, fleet.outbox)


def freeze(trial: Trial) -> None:
    """Freeze the process that holds a trial, as a laptop's sleep does."""
    os.kill(slot(trial), signal.SIGSTOP)


def thaw(trial: Trial) -> None:
    """Let a frozen process go on."""
    os.kill(slot(trial), signal.SIGCONT)


def test_12_a_poison_trial_ends_after_its_attempts(fleet: Fleet) -> None:
    """A trial that kills its workers is started max_attempts times; the others are done."""
    worker = fleet.worker()
    with fleet.store() as store:
        store.queue.post(draft("s", 0, objective="poison", max_attempts=2))
        store.queue.post(draft("s", 1))
        (poison,) = store.trials.find("s", tids=[0])
        until(lambda: runs(fleet, poison) == 1, "the first attempt")
        abandon(store, running(store, "s"), lambda: claims(store, poison) == 2)
        until(lambda: runs(fleet, poison) == 2, "the last attempt")
        abandon(store, running(store, "s"), store.queue.expire)
        ended(store, "s")
        lost, other = store.trials.find("s")
        assert (lost.status, lost.attempts, runs(fleet, lost)) == (Status.ERROR, 2, 2)
        assert (lost.error or {})["kind"] == ErrorKind.WORKER_LOST.value
        assert other.status is Status.DONE
    assert "slot 1 ended (killed by SIGKILL); a new one starts in 1 s" in worker.said()


@pytest.mark.long
def test_13_workers_stopped_at_random_lose_nothing(fleet: Fleet) -> None:
    """Each ends within its grace; its trial is done, or given back with its attempt refunded.

    The last one holds a trial that does not end.
    """
    dice = random.Random(13)
    with fleet.store() as store:
        for tid in range(30):
            store.queue.post(draft("s", tid, max_attempts=1))
        workers = [fleet.worker(seconds="0.1") for _ in range(3)]
        for worker in workers[:2]:
            worker.says("learning rate")
            time.sleep(dice.uniform(0.0, 0.3))
            worker.signal(signal.SIGTERM)
            assert worker.end() == 0
        (last,) = fleet.home.slots(workers[2])
        with contextlib.ExitStack() as held_back:
            for tid in range(30):
                held_back.enter_context(fleet.held_back(draft("s", tid).config))
            until(lambda: held_by(store, last), "a trial in its hand")
            workers[2].signal(signal.SIGTERM)
            assert workers[2].end() == 0
        assert "given back" in workers[2].said()
        assert all(t.status in (Status.NEW, Status.DONE) for t in store.trials.find("s"))
        assert fleet.undelivered() == []
        fleet.worker()
        assert {trial.status for trial in ended(store, "s")} == {Status.DONE}
        check(store, "s", 30, fleet.audit, fleet.outbox)


def deliver_after_an_outage(fleet: Fleet, **faults: str) -> None:
    """Finish a trial while the server is away, kill the worker, and start other workers.

    Raises ``AssertionError`` if the result was lost, or computed again.
    """
    worker = fleet.worker(**faults)
    with fleet.held_back(draft("s", 0).config):
        with fleet.store() as store:
            store.queue.post(draft("s", 0))
            trial = running(store, "s")
        until(lambda: runs(fleet, trial), "its training")
        fleet.freeze_server()
    until(lambda: events(fleet.audit, "kept"), "the result")
    fleet.kill(worker)
    fleet.thaw_server()
    with fleet.store() as store:
        abandon(store, trial, store.trials.overdue)
    runs_before = runs(fleet, trial)
    fleet.worker("--study", "another", **faults)
    until(lambda: not fleet.undelivered(), "the delivery")
    fleet.worker(**faults)
    with fleet.store() as store:
        (trial,) = ended(store, "s")
        assert runs(fleet, trial) == runs_before == 1, "computed again"
        check(store, "s", 1, fleet.audit, fleet.outbox)


@pytest.mark.long
def test_15_an_outage_longer_than_the_lease(own_fleet: Fleet) -> None:
    """Training goes on without the server; the next worker delivers, whatever its study."""
    deliver_after_an_outage(own_fleet)


@pytest.mark.long
def test_23_without_the_outbox_a_result_is_lost(own_fleet: Fleet) -> None:
    """The test of an outage fails if the outbox is taken away."""
    with pytest.raises(AssertionError, match="computed again"):
        deliver_after_an_outage(own_fleet, without="outbox")
