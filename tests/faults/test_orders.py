"""Orders to pause, on real workers that are killed, cut off and ordered about at random.

A paused device holds nothing: once the command says that it is paused, no trial is its.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.books import check
from support.clients import here as here_now
from support.fleet import Fleet, abandon, draft, ended, running
from support.home import Program, until
from support.proxy import Command, Proxy

from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.ordering import OrderCommand, withdraw
from hyperhive.store.orders import Wish, in_force
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import host_of, new_worker_id

DEVICE = str(host_of(new_worker_id()))
"""This machine, on which all of these workers are."""


def order(store: Store, wish: Wish = Wish.PAUSE, name: str = DEVICE) -> list[str]:
    """Give an order and wait until it is obeyed; return what was said."""
    said = list(OrderCommand(store, name).order(wish, threading.Event()))
    if wish is Wish.PAUSE and said[-1].startswith("`hyperhive worker resume"):
        assert held(store, name) == []
    return said


def held(store: Store, name: str) -> list[str]:
    """Return the trials that workers of this name hold, second copies too."""
    running = [trial for trial in store.trials.find("s") if trial.status is Status.RUNNING]
    owners = [(trial.label, str(trial.owner)) for trial in running]
    owners += [(trial.label, trial.copy.worker) for trial in running if trial.copy]
    return [label for label, owner in owners if name in (owner, host_of(owner))]


def here(store: Store, count: int) -> list[str]:
    """Wait until exactly so many workers are here; return their ids."""

    def are_here() -> list[str]:
        ids = [worker.id for worker in store.workers.present() if worker.order is not None]
        return ids if len(ids) == count else []

    found: list[str] = until(are_here, f"{count} workers")
    return found


def post(store: Store, *tids: int) -> None:
    for tid in tids:
        store.queue.post(draft("s", tid, max_attempts=2))


def one(store: Store, tid: int = 0) -> Trial:
    (trial,) = store.trials.find("s", tids=[tid])
    return trial


def stop(*workers: Program) -> None:
    for worker in workers:
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0, worker.said()
        assert "Traceback" not in worker.said()


def test_29_a_paused_worker_that_is_killed_and_started_again_takes_nothing(fleet: Fleet) -> None:
    """The order is for the device: for the slot that replaces a killed one, and the next worker."""
    worker = fleet.worker()
    with fleet.store() as store:
        with fleet.held_back(draft("s", 0).config):
            post(store, 0)
            running(store, "s")
            here(store, 1)
            assert any(line.endswith("paused, trial 0 of s handed back") for line in order(store))
        (first,) = here(store, 1)
        fleet.kill(worker)
        store.workers.leave(first)  # sooner than after 45 s
        again = fleet.worker()
        (second,) = here(store, 1)
        until(lambda: store.workers.present()[0].order, "its pause")
        assert second != first
        assert (one(store).status, one(store).attempts, one(store).claims) == (Status.NEW, 0, 1)
        withdraw(store, DEVICE)
        assert [trial.attempts for trial in ended(store, "s")] == [1]
        check(store, "s", 1, fleet.audit, fleet.outbox)
    stop(again)


@pytest.mark.long
def test_29_a_worker_killed_with_a_trial_that_it_was_to_hand_back(fleet: Fleet) -> None:
    """It holds the trial as any dead worker does, until the lease is over; the order stays."""
    worker = fleet.worker(deaf="")
    with fleet.store() as store:
        with fleet.held_back(draft("s", 0).config):
            post(store, 0)
            trial = running(store, "s")
            here(store, 1)
            giver = OrderCommand(store, DEVICE).order(Wish.PAUSE, threading.Event())
            assert next(giver).startswith("waiting for")
            until(lambda: store.workers.present()[0].paused, "the order read")
            fleet.kill(worker)
        store.workers.leave(str(trial.owner))
        assert next(giver) == f"{trial.owner}: gone; if it comes back it obeys"
        again = fleet.worker()
        until(lambda: any(each.order for each in store.workers.present()), "the next one's pause")
        withdraw(store, DEVICE)
        abandon(store, trial, lambda: one(store).claims == 2)
        assert [each.attempts for each in ended(store, "s")] == [2]
        check(store, "s", 1, fleet.audit, fleet.outbox)
    stop(again)


@pytest.mark.long
def test_29_a_lost_reply_to_an_order_leaves_it_in_force(fleet: Fleet) -> None:
    """The command fails; said again, the order is the same, and the worker obeys one of the two."""

    def of_orders(command: Command) -> bool:
        return next(iter(command.items())) in [("update", "orders"), ("delete", "orders")]

    worker = fleet.worker()
    with fleet.store() as store, Proxy.of(fleet.uri) as proxy, Store(proxy.uri(fleet.uri)) as far:
        (name,) = here(store, 1)
        proxy.drop = of_orders
        with pytest.raises(StoreUnavailable):
            order(far)
        until(lambda: store.workers.present()[0].paused, "the pause")
        proxy.drop = lambda _: False
        assert f"{name}: paused" in order(far)
        proxy.drop = of_orders
        with pytest.raises(StoreUnavailable):
            withdraw(far, DEVICE)
        proxy.drop = lambda _: False
        assert withdraw(far, DEVICE) == f"{DEVICE} was not paused"
        post(store, 0)
        ended(store, "s")
        check(store, "s", 1, fleet.audit, fleet.outbox)
    stop(worker)


def test_29_a_server_that_goes_away_while_the_command_waits(store: Store, mongo_uri: str) -> None:
    """The command fails, and says that the order is in place."""
    here_now(store, "nano-12-abcdef", order="")
    with Proxy.of(mongo_uri) as proxy, Store(proxy.uri(mongo_uri), timeout=1.0) as far:
        giver = OrderCommand(far, "nano").order(Wish.PAUSE, threading.Event())
        assert next(giver).startswith("waiting for nano-12-abcdef")
        proxy.drop = lambda _: True
        with pytest.raises(StoreUnavailable, match="the order for nano is in place"):
            next(giver)
    assert store.orders.of("nano-12-abcdef") is not None


@pytest.mark.long
def test_29_an_order_outlives_the_server_and_the_coordinator(own_fleet: Fleet) -> None:
    """Both are killed while the worker is paused: it stays so, and resumed it ends the study."""
    fleet = own_fleet
    worker = fleet.worker()
    with fleet.store() as store:
        here(store, 1)
        order(store)
        coordinator = fleet.coordinator("s", 3)
        until(lambda: store.trials.find("s"), "the first trial")
        coordinator.signal(signal.SIGKILL)
        coordinator.end()
        fleet.freeze_server()
        worker.says("waiting for it")
        fleet.thaw_server()
        until(lambda: worker.said().count("paused, by ") == 2, "the pause after the outage")
        coordinator = fleet.coordinator("s", 3)
        coordinator.says("hyperhive worker resume")
        assert all(trial.claims == 0 for trial in store.trials.find("s"))
        withdraw(store, DEVICE)
        assert coordinator.end() == 0, coordinator.said()
        books = check(store, "s", 3, fleet.audit, fleet.outbox)
        assert books.done == books.trials
    stop(worker)


@pytest.mark.long
def test_29_orders_at_random_lose_no_trial_and_no_attempt(fleet: Fleet) -> None:
    """Two coordinators pause, drain and resume two workers and their device; the books agree."""
    workers = [fleet.worker(seconds="5") for _ in range(2)]
    with fleet.store() as store, Store(fleet.uri) as other:
        names = [DEVICE, *here(store, 2)]
        post(store, *range(12))

        def storm(of: Store, seed: int) -> int:
            dice, paused = random.Random(seed), 0
            while not all(trial.is_final for trial in of.trials.find("s")):
                if dice.random() < 0.7:
                    giver = OrderCommand(of, dice.choice(names))
                    list(giver.order(dice.choice(list(Wish)), threading.Event()))
                    paused += paused_ones_that_hold_nothing(of)
                withdraw(of, DEVICE)
                time.sleep(6 * dice.random())
            return paused

        with ThreadPoolExecutor(2) as pool:
            paused = sum(pool.map(storm, (store, other), (5, 6)))
        assert paused > 0
        store.orders.withdraw(DEVICE)
        trials = ended(store, "s")
        assert [(trial.status, trial.attempts) for trial in trials] == [(Status.DONE, 1)] * 12
        assert max(trial.claims for trial in trials) > 1, "some were handed back"
        check(store, "s", 12, fleet.audit, fleet.outbox)
    stop(*workers)


def paused_ones_that_hold_nothing(store: Store) -> int:
    """Count the workers that were paused for as long as this looked; fail if one holds a trial."""
    before = store.orders.all()
    said = {w.id: w.order for w in store.workers.present() if w.trial is None}
    holding = {worker: held(store, worker) for worker in said}
    after = store.orders.all()
    paused = []
    for worker, token in said.items():
        its = in_force(before, worker)
        if its and its.wish is Wish.PAUSE and its.token == token and its == in_force(after, worker):
            paused.append(worker)
    assert [holding[worker] for worker in paused] == [[]] * len(paused)
    return len(paused)
