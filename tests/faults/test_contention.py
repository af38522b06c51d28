"""Faults 8, 9 and 11: several workers claim, deliver or end one trial at once."""

from __future__ import annotations

import multiprocessing
from functools import partial
from typing import Any

import pytest
from support.clients import at_once, claim, ended, finish, happened, only, post, raw, try_claim

from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

ROUNDS = 20


def claim_all(store: Store, worker: str) -> list[Trial]:
    """Claim until nothing is left."""
    claimed = []
    while True:
        trial = try_claim(store, worker)
        if trial is None:
            return claimed
        claimed.append(trial)


def claim_all_in_a_process(uri: str, worker: str, gate: Any, claimed: Any) -> None:
    """Claim trials in a process; put all their numbers into a queue as one list."""
    with Store(uri) as store:
        store.ping()
        gate.wait(60)
        claimed.put([trial.tid for trial in claim_all(store, worker)])


def test_08_many_claimers_never_share_a_trial(store: Store, stores: list[Store]) -> None:
    """Eight workers claim at once: each trial goes to exactly one of them, and none is left."""
    for tid in range(100):
        post(store, tid)
    shares = at_once(*[partial(claim_all, each, "w") for each in stores])
    claimed = [trial for share in shares for trial in share]
    assert sorted(trial.tid for trial in claimed) == list(range(100))
    assert len({trial.token for trial in claimed}) == 100
    assert {trial.fence for trial in claimed} == {1}
    for trial in store.trials.find("s"):
        assert (trial.status, trial.attempts) == (Status.RUNNING, 1)
    assert all(finish(store, trial) for trial in claimed)
    assert ended(store) == {"done": 100, "failed": 0}


def test_08_processes_never_share_a_trial(mongo_uri: str, store: Store) -> None:
    """The same holds if the workers are processes."""
    for tid in range(60):
        post(store, tid)
    context = multiprocessing.get_context("spawn")
    shares: Any = context.Queue()
    gate = context.Barrier(3)
    workers = [
        context.Process(target=claim_all_in_a_process, args=(mongo_uri, "w", gate, shares))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    claimed = [tid for _ in workers for tid in shares.get(timeout=60)]
    for worker in workers:
        worker.join(60)
    assert sorted(claimed) == list(range(60))
    assert [worker.exitcode for worker in workers] == [0, 0, 0]


def test_08_an_expired_lease_goes_to_one_claimer(store: Store, stores: list[Store]) -> None:
    """Of many workers that see the same abandoned trial, one takes it."""
    for tid in range(ROUNDS):
        post(store, tid)
        claim(store, "dead", lease=0)
        taken = at_once(*[partial(try_claim, each, "w") for each in stores])
        (trial,) = [trial for trial in taken if trial is not None]
        assert (only(store, tid).token, only(store, tid).attempts) == (trial.token, 2)
        assert finish(store, trial)
    assert ended(store) == {"done": ROUNDS, "failed": 0}


def test_09_of_two_simultaneous_finishes_one_wins(store: Store, stores: list[Store]) -> None:
    """Of two results delivered at the same moment one counts, and the other is kept as late."""
    for tid in range(ROUNDS):
        post(store, tid)
        first = claim(store, "w1", lease=0)
        second = claim(store, "w2")
        counted = at_once(
            partial(finish, stores[0], first, 0.1), partial(finish, stores[1], second, 0.2)
        )
        assert sorted(counted) == [False, True]
        winner, loss = (first, 0.1) if counted[0] else (second, 0.2)
        done = only(store, tid)
        assert (done.winner, done.loss, done.late) == (winner.token, loss, 1)
    assert ended(store) == {"done": ROUNDS, "failed": 0}


def test_09_the_same_result_delivered_twice_at_once_counts_once(
    store: Store, stores: list[Store]
) -> None:
    """A worker and its own outbox that deliver one result both learn that it counts."""
    for tid in range(ROUNDS):
        post(store, tid)
        trial = claim(store, "w1")
        assert at_once(*[partial(finish, each, trial, 0.1) for each in stores]) == [True] * 8
        done = only(store, tid)
        assert (done.status, done.late, done.fence) == (Status.DONE, 0, 2)
    assert ended(store) == {"done": ROUNDS, "failed": 0}


def test_11_a_result_before_its_cancel_stays(store: Store) -> None:
    """A trial that is DONE can neither be asked to end nor be confirmed as cancelled."""
    post(store)
    trial = claim(store)
    assert finish(store, trial)
    before = raw(store)
    assert store.queue.cancel_all("s") == 0
    with pytest.raises(LeaseLost):
        store.queue.confirm_cancel(trial)
    assert raw(store) == before
    assert ended(store) == {"done": 1, "failed": 0}


def test_11_a_result_after_its_cancel_is_late(store: Store) -> None:
    """A trial whose cancel was confirmed stays cancelled; its result is kept as late."""
    post(store)
    trial = claim(store)
    store.queue.cancel_all("s")
    store.queue.confirm_cancel(trial)
    assert not finish(store, trial)
    cancelled = only(store)
    assert cancelled.error == {"kind": "cancelled", "message": "cancelled"}
    assert (cancelled.winner, cancelled.loss, cancelled.late) == (None, None, 1)
    assert ended(store) == {"done": 0, "failed": 1}


def test_11_a_result_between_request_and_confirmation_counts(store: Store) -> None:
    """A cancel that is not confirmed yet does not discard a result."""
    post(store)
    trial = claim(store, lease=0)
    store.queue.cancel_all("s")
    assert finish(store, trial)
    with pytest.raises(LeaseLost):
        store.queue.confirm_cancel(trial)
    assert store.queue.expire() == 0
    assert ended(store) == {"done": 1, "failed": 0}


def test_11_an_asked_cancel_against_a_finish(store: Store, stores: list[Store]) -> None:
    """A running trial's result counts before and after the request."""
    for tid in range(ROUNDS):
        post(store, tid)
        trial = claim(store)
        counted, cancelled = at_once(
            partial(finish, stores[0], trial), partial(stores[1].queue.cancel_all, "s")
        )
        assert counted
        done = only(store, tid)
        assert (done.status, done.winner, done.late) == (Status.DONE, trial.token, 0)
        assert done.cancel_requested == (cancelled == 1)
    assert store.queue.expire() == 0
    assert ended(store) == {"done": ROUNDS, "failed": 0}


def test_11_a_cancel_of_a_waiting_trial_against_a_finish(store: Store, stores: list[Store]) -> None:
    """A trial that was handed back is ended by the cancel or by a result, not by both."""
    for tid in range(ROUNDS):
        post(store, tid)
        trial = claim(store)
        store.queue.give_back(trial)
        counted, cancelled = at_once(
            partial(finish, stores[0], trial), partial(stores[1].queue.cancel_all, "s")
        )
        assert counted == (cancelled == 0)
        assert_one_outcome(only(store, tid), trial, counted)
    assert sum(ended(store).values()) == ROUNDS


def test_11_a_confirmed_cancel_against_a_finish(store: Store, stores: list[Store]) -> None:
    """Either the result counts or the cancel is confirmed: never both, never neither."""
    for tid in range(ROUNDS):
        post(store, tid)
        trial = claim(store)
        store.queue.cancel_all("s")
        counted, confirmed = at_once(
            partial(finish, stores[0], trial),
            partial(happened, stores[1].queue.confirm_cancel, trial),
        )
        assert counted != confirmed
        assert_one_outcome(only(store, tid), trial, counted)
    assert sum(ended(store).values()) == ROUNDS


def test_11_a_swept_cancel_against_a_finish(store: Store, stores: list[Store]) -> None:
    """The same holds if a sweep confirms the cancel for a worker that seemed dead."""
    for tid in range(ROUNDS):
        post(store, tid)
        trial = claim(store, lease=0)
        store.queue.cancel_all("s")
        counted, swept = at_once(partial(finish, stores[0], trial), stores[1].queue.expire)
        assert counted == (swept == 0)
        assert_one_outcome(only(store, tid), trial, counted)
    assert sum(ended(store).values()) == ROUNDS


def assert_one_outcome(ended: Trial, trial: Trial, counted: bool) -> None:
    """Check that a trial is DONE by its result, or is cancelled and has its result as late."""
    if counted:
        assert (ended.status, ended.winner, ended.late) == (Status.DONE, trial.token, 0)
        assert (ended.error, ended.loss) == (None, 0.25)
    else:
        assert (ended.status, ended.winner, ended.late) == (Status.ERROR, None, 1)
        assert ended.error == {"kind": "cancelled", "message": "cancelled"}
