"""Batches of short trials: their workers killed, frozen and stopped, and their replies lost."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter

import pytest
from support import proxy
from support.books import check, events
from support.fleet import Fleet, draft, ended
from support.home import slot, until
from support.plugin.hyperhive_faults import BATCH, BATCH_HALF
from support.proxy import Command, Proxy

from hyperhive.store.store import Store
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial


def post(store: Store, first: int, number: int) -> int:
    """Post that many swift trials; return the number of the next one."""
    for tid in range(first, first + number):
        store.queue.post(draft("s", tid, objective="swift"))
    return first + number


def runs(fleet: Fleet) -> Counter[float]:
    return Counter(event["learning_rate"] for event in events(fleet.audit, "begun"))


def abandon_all(store: Store, pids: set[int]) -> None:
    """End the leases of the trials that dead or frozen processes hold."""
    for trial in store.trials.find("s"):
        if trial.status is Status.RUNNING and slot(trial) in pids:
            its = {"_id": trial.id, "token": trial.token}
            store.database.jobs.update_one(its, [{"$set": {"lease_until": "$$NOW"}}])


def ended_without(store: Store, pids: set[int]) -> list[Trial]:
    def all_ended() -> bool:
        abandon_all(store, pids)
        return all(trial.is_final for trial in store.trials.find("s"))

    until(all_ended, "the end of all trials")
    return store.trials.find("s")


@pytest.mark.long
@pytest.mark.parametrize("step", [*BATCH, *BATCH_HALF])
def test_01_a_worker_killed_at_any_step_of_a_batch_loses_nothing(fleet: Fleet, step: str) -> None:
    """What is in the outbox is delivered by the next worker; all else runs again, at an attempt."""
    again = kill_at(fleet, step)
    assert again == 0 if step in ("batch kept", "batch finished", BATCH_HALF[1]) else again >= 2


@pytest.mark.long
def test_23_without_the_outbox_a_batch_is_lost(fleet: Fleet) -> None:
    """The test of a killed worker fails if the outbox is taken away."""
    with pytest.raises(AssertionError, match="computed again"):
        kill_at(fleet, "batch kept", without="outbox")


def kill_at(fleet: Fleet, step: str, **faults: str) -> int:
    """Have a worker killed at a step of a batch; return how many trials were claimed again.

    Raises ``AssertionError`` if a result was lost, or computed again.
    """
    with fleet.store() as store:
        trials = post(store, 0, 60)
        worker = fleet.worker(die_at=step, **faults)
        (died,) = until(lambda: events(fleet.audit, "died"), "its death")
        fleet.kill(worker)
        kept = {event["token"] for event in events(fleet.audit, "kept")}
        fleet.worker()
        found = ended_without(store, {died["pid"]})
        assert {trial.status for trial in found} == {Status.DONE}
        assert max(trial.attempts for trial in found) <= 2
        assert kept <= {trial.winner for trial in found}, "computed again"
        check(store, "s", trials, fleet.audit, fleet.outbox)
        return sum(trial.claims == 2 for trial in found)


def test_05_replies_to_batches_that_are_lost_cost_no_attempt(fleet: Fleet) -> None:
    """Each claim of a batch and each first delivery of one seems to fail; each trial runs once."""
    delivered: set[str] = set()

    def drop(command: Command) -> bool:
        if proxy.finish_batch(command):
            tokens = str(command["updates"][0]["q"])
            is_first = tokens not in delivered
            delivered.add(tokens)
            return is_first
        return proxy.claim_batch(command)

    with fleet.store() as store, Proxy.of(fleet.uri, drop) as between:
        trials = post(store, 0, 50)
        fleet.worker(uri=between.uri(fleet.uri))
        found = ended(store, "s")
        assert {(trial.status, trial.attempts, trial.late) for trial in found} == {
            (Status.DONE, 1, 0)
        }
        check(store, "s", trials, fleet.audit, fleet.outbox)
        assert between.dropped["claim batch"] >= 2
        assert between.dropped["finish batch"] >= 2
        assert set(runs(fleet).values()) == {1}


@pytest.mark.long
def test_06_a_worker_frozen_with_a_batch_while_another_runs_it(fleet: Fleet) -> None:
    """Each trial has one result that counts; what both ran is late for the one that was frozen."""
    rate = draft("s", 12).config["learning_rate"]
    with fleet.store() as store:
        frozen = fleet.worker(freeze=str(rate))
        trials = post(store, 0, 20)
        until(lambda: (fleet.audit / "freeze").exists(), "its frost")
        (pid,) = fleet.home.slots(frozen)
        fleet.worker()
        found = ended_without(store, {pid})
        assert {trial.status for trial in found} == {Status.DONE}
        os.kill(pid, signal.SIGCONT)
        until(lambda: store.trials.find("s", tids=[12])[0].late, "the late result")
        check(store, "s", trials, fleet.audit, fleet.outbox)
        assert frozen.is_running()


@pytest.mark.long
def test_12_a_trial_that_kills_its_worker_costs_others_one_attempt(fleet: Fleet) -> None:
    """In a batch it is claimed once; after that it is claimed alone, and ends by its attempts."""
    rate = draft("s", 10).config["learning_rate"]
    with fleet.store() as store:
        worker = fleet.worker(killer=str(rate))
        trials = post(store, 0, 16)
        dead: set[int] = set()

        def all_ended() -> bool:
            alive = set(fleet.home.slots(worker))
            dead.update(
                slot(trial)
                for trial in store.trials.find("s")
                if trial.status is Status.RUNNING and slot(trial) not in alive
            )
            abandon_all(store, dead)
            store.queue.expire()
            return all(trial.is_final for trial in store.trials.find("s"))

        until(all_ended, "the end of all trials")
        (killer,) = store.trials.find("s", tids=[10])
        assert (killer.status, killer.attempts) == (Status.ERROR, killer.max_attempts)
        assert (killer.error or {})["kind"] == ErrorKind.WORKER_LOST.value
        others = [trial for trial in store.trials.find("s") if trial.tid != 10]
        assert len(others) == trials - 1
        assert {trial.status for trial in others} == {Status.DONE}
        assert max(trial.attempts for trial in others) <= 2
        assert runs(fleet)[rate] == killer.max_attempts


@pytest.mark.long
def test_13_workers_stopped_with_batches_lose_nothing(fleet: Fleet) -> None:
    """At any moment: what they held is done, or given back with its attempt refunded."""
    dice = random.Random(13)
    with fleet.store() as store:
        trials = 0
        for _ in range(4):
            worker = fleet.worker()
            worker.says("connected")
            trials = post(store, trials, 150)
            until(lambda: events(fleet.audit, "kept"), "a result")
            time.sleep(dice.uniform(0.0, 0.2))
            worker.signal(signal.SIGTERM)
            assert worker.end() == 0
            found = {(trial.status, trial.attempts) for trial in store.trials.find("s")}
            assert found <= {(Status.NEW, 0), (Status.DONE, 1)}
            assert fleet.undelivered() == []
        fleet.worker()
        ended(store, "s")
        check(store, "s", trials, fleet.audit, fleet.outbox)
        assert set(runs(fleet).values()) == {1}
