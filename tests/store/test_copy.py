"""An idle worker runs a trial a second time, parallel to its holder: the first result counts."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from support.clients import at_once, finish, happened, only, raw

from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import HYPEROPT, ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

ROUNDS = 10
COST = 20
QUICK = 0.001
"""Seconds per unit of cost of a worker that ends sooner than any holder in these tests."""


def held(store: Store, tid: int = 0, lease: float = 60.0, **fields: Any) -> Trial:
    """Post a trial of cost 20 that a slow worker holds, with one unit of it done after 10 s."""
    draft = Draft("s", tid, {}, {}, **{"objective": "lenet5", "cost": COST, **fields})
    assert store.queue.post(draft)
    trial = store.queue.claim("slow", new_token(), [draft.objective], lease=lease)
    assert trial is not None
    is_done(store, tid, 1)
    return trial


def is_done(
    store: Store, tid: int, done: int | None, seconds: float = 10.0, ago: float = 0.0
) -> None:
    """Pretend that the holder did ``done`` units in ``seconds``, and said so ``ago`` seconds ago.

    None is an objective that does not report how much is done.
    """
    reported_at = {"$subtract": ["$$NOW", round(1000 * ago)]}
    claimed_at = {"$subtract": ["$$NOW", round(1000 * (ago + seconds))]}
    changes = {
        "progress": {"epoch": 1} if done is None else {"done": done},
        "refresh_time": reported_at,
        "book_time": claimed_at,
    }
    store.client.hyperhive.jobs.update_one({"tid": tid}, [{"$set": changes}])


def try_copy(store: Store, worker: str = "fast", seconds: float = QUICK) -> Trial | None:
    return store.queue.copy(worker, new_token(), ["lenet5"], "s", seconds)


def copied(store: Store, worker: str = "fast") -> Trial:
    trial = try_copy(store, worker)
    assert trial is not None
    return trial


def lease_ends(store: Store) -> None:
    store.client.hyperhive.jobs.update_many({}, [{"$set": {"lease_until": "$$NOW"}}])


def falls_silent(store: Store) -> None:
    """Pretend that the copy of each trial was last heard of a lease ago."""
    store.client.hyperhive.jobs.update_many({}, [{"$set": {"copy.until": "$$NOW"}}])


def is_lost(store: Store, trial: Trial) -> bool:
    """Return whether every transition is refused for this Trial, and changes nothing."""
    before = raw(store, trial.tid)
    done = [
        happened(store.queue.heartbeat, trial),
        happened(store.queue.fail, trial, ErrorKind.OBJECTIVE, "too late"),
        happened(store.queue.give_back, trial),
        happened(store.queue.confirm_cancel, trial),
    ]
    return not any(done) and raw(store, trial.tid) == before


# -- what is copied ---------------------------------------------------------------------------


def test_a_copy_takes_nothing_from_the_holder(store: Store) -> None:
    """A copy has a token and an attempt of its own; the holder goes on as if it did not exist."""
    holder = held(store)
    before = raw(store)
    copy = copied(store)
    assert (copy.id, copy.owner, copy.is_copy) == (holder.id, "fast", True)
    after = raw(store)
    assert (after["attempts"], after["version"]) == (2, 2)
    assert [each["worker"] for each in after["issued"]] == ["slow", "fast"]
    kept = set(before) - {"attempts", "version", "issued", "copy", "lease_until"}
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    assert store.queue.heartbeat(holder, {"epoch": 2}).progress == {"epoch": 2}
    assert (only(store).claims, only(store).owner) == (1, "slow")


def test_one_copy_per_trial_at_a_time(store: Store) -> None:
    """While a copy runs there is no second one; of two trials the longer is copied first."""
    held(store, 0)
    held(store, 1, cost=COST + 1)
    assert [copied(store, worker).tid for worker in ("w1", "w2")] == [1, 0]
    assert try_copy(store, "w3") is None


@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        ({"lease_until": "$$NOW"}, {}),
        ({"cancel_requested": True}, {}),
        ({"excluded": ["fast"]}, {}),
        ({"max_attempts": 1}, {}),
        ({"state": int(Status.NEW)}, {}),
        ({"state": int(Status.DONE)}, {}),
        ({"cost": "$$REMOVE"}, {}),
        ({"cost": None}, {}),
        ({"cost": "$$NOW"}, {}),
        ({"cost": {"$literal": "20"}}, {}),
        ({"cost": {"$literal": [20]}}, {}),
        ({"refresh_time": "yesterday"}, {}),
        ({"progress": {"$literal": {"done": COST}}}, {}),
        ({"progress": {"$literal": {"done": COST - 1}}}, {}),
        ({"progress": {"$literal": {"epoch": 1}}}, {}),
        ({"progress": {"$literal": {"done": "1"}}}, {}),
        ({"progress": None}, {}),
        ({}, {"worker": "slow"}),
        ({}, {"study": "another"}),
        ({}, {"objectives": ["resnet"]}),
        ({}, {"objectives": [HYPEROPT]}),
    ],
)
def test_what_is_not_copied(
    store: Store, change: dict[str, Any], arguments: dict[str, Any]
) -> None:
    """A trial that this worker may not run, that ends soon, or has no estimate is not copied."""
    held(store)
    store.client.hyperhive.jobs.update_one({}, [{"$set": change}])
    asked: dict[str, Any] = {"worker": "fast", "study": "s", "objectives": ["lenet5"], **arguments}
    assert store.queue.copy(token=new_token(), seconds_per_unit=QUICK, **asked) is None


@pytest.mark.parametrize(
    ("done", "ago", "slowest"),
    # In its first unit: 19 of 100 s or more remain, and a copy must do 20 in four fifths of that
    # time. In its second: 18 of 50 s; in its tenth: 10 of 10 s; less the longer ago it said so.
    [(0, 0.0, 76.0), (1, 0.0, 36.0), (9, 0.0, 4.0), (1, 450.0, 18.0)],
)
def test_a_trial_is_copied_by_a_worker_that_ends_it_clearly_sooner(
    store: Store, done: int, ago: float, slowest: float
) -> None:
    """The holder's time is estimated from its last report; a copy must need four fifths of it."""
    held(store)
    is_done(store, 0, done, 100.0, ago)
    assert try_copy(store, seconds=1.05 * slowest) is None
    assert try_copy(store, seconds=0.9 * slowest) is not None


def test_a_holders_own_pace_counts(store: Store) -> None:
    """The pace that the holder gave at its claim counts, for that claim only."""
    draft = Draft("s", 0, {}, {}, objective="lenet5", cost=COST)
    assert store.queue.post(draft)
    holder = store.queue.claim("slow", new_token(), ["lenet5"], pace=2.0)
    assert try_copy(store, seconds=1.7) is None
    copy = try_copy(store, seconds=1.4)  # 20 units of 2 s in four fifths of the time
    assert copy is not None
    assert holder is not None
    store.queue.give_back(holder)
    assert try_copy(store, "w3") is None
    store.queue.give_back(copy)
    assert store.queue.claim("w4", new_token(), ["lenet5"]) is not None
    assert try_copy(store, "w5") is None


# -- what becomes of it -----------------------------------------------------------------------


@pytest.mark.parametrize("first", ["slow", "fast"])
def test_the_first_result_counts(store: Store, first: str) -> None:
    """The first to deliver wins; the other finds its lease lost, and its result is late."""
    runs = {"slow": held(store), "fast": copied(store)}
    winner = runs.pop(first)
    (loser,) = runs.values()
    assert finish(store, winner, 0.1)
    assert is_lost(store, loser)
    assert not finish(store, loser, 0.2)
    done = only(store)
    assert (done.winner, done.owner, done.loss, done.late) == (winner.token, first, 0.1, 1)
    assert done.copy is None


def test_a_copy_keeps_the_trial_when_its_holder_dies(store: Store) -> None:
    """The lease belongs to the trial: a living copy extends it, and neither makes it shorter."""
    holder = held(store)
    copy = copied(store)
    before = only(store).lease_until
    assert store.queue.heartbeat(holder, {"epoch": 1}, lease=0).lease_until == before
    assert store.queue.heartbeat(copy, {"epoch": 1}, lease=0).lease_until == before
    lease_ends(store)
    beaten = store.queue.heartbeat(copy, {"epoch": 2})
    assert beaten.copy is not None
    assert (beaten.copy.progress, beaten.progress) == ({"epoch": 2}, {"epoch": 1})
    assert store.queue.claim("w3", new_token(), ["lenet5"]) is None
    assert store.queue.expire() == 0
    assert finish(store, copy)


def test_a_lease_that_a_wrong_clock_made_is_set_right_by_the_next_beat(store: Store) -> None:
    """A heartbeat stamped by a clock a year ahead does not linger once no copy runs."""
    holder = held(store)
    ahead = {"lease_until": {"$add": ["$$NOW", 365 * 86_400_000]}}
    for is_copied in (False, True):
        copy = copied(store) if is_copied else None
        store.client.hyperhive.jobs.update_one({}, [{"$set": ahead}])
        if copy is not None:
            store.queue.give_back(copy)
        beaten = store.queue.heartbeat(holder, {"done": 1}, lease=60.0)
        assert beaten.lease_until is not None
        assert beaten.refresh_time is not None
        assert (beaten.lease_until - beaten.refresh_time).total_seconds() == 60.0


def test_a_trial_whose_holder_and_copy_died_is_taken_over(store: Store) -> None:
    """Both attempts were charged; the copy is void, and only its result would still be accepted."""
    held(store)
    copy = copied(store)
    lease_ends(store)
    third = store.queue.claim("w3", new_token(), ["lenet5"])
    assert third is not None
    assert third.attempts == 3
    assert is_lost(store, copy)
    lease_ends(store)
    assert store.queue.expire() == 1
    assert only(store).error == {
        "kind": "worker_lost",
        "message": "its workers vanished without a result",
    }
    assert finish(store, copy)
    assert only(store).owner == "fast"


@pytest.mark.parametrize("exclude", [False, True])
def test_a_copy_that_is_given_back_leaves_the_holder_alone(store: Store, exclude: bool) -> None:
    """Its attempt is refunded, and another worker may start a copy, but not the same one again."""
    holder = held(store)
    copy = copied(store)
    store.queue.give_back(copy, "no memory" if exclude else None)
    assert is_lost(store, copy)
    left = store.queue.heartbeat(holder, {"epoch": 1})
    assert (left.status, left.owner, left.attempts) == (Status.RUNNING, "slow", 1)
    assert left.excluded == (("fast",) if exclude else ())
    is_done(store, 0, 1)
    assert try_copy(store) is None
    assert try_copy(store, "w3") is not None


@pytest.mark.parametrize("how", ["given back", "device failed", "objective failed"])
def test_a_holder_that_gives_up_hands_the_trial_to_the_copy(store: Store, how: str) -> None:
    """The copy's worker holds the trial from then on, under the token that it has."""
    holder = held(store, max_attempts=2)
    copy = copied(store)
    store.queue.heartbeat(copy, {"epoch": 7})
    if how == "objective failed":
        store.queue.fail(holder, ErrorKind.OBJECTIVE, "no")
    else:
        store.queue.give_back(holder, "no memory" if how == "device failed" else None)
    assert is_lost(store, holder)
    now = store.queue.heartbeat(copy, {"epoch": 8})
    assert (now.owner, now.token, now.fence) == ("fast", copy.token, copy.fence)
    assert (now.status, now.copy, now.progress) == (Status.RUNNING, None, {"epoch": 8})
    assert now.attempts == (2 if how == "objective failed" else 1)
    assert now.excluded == (("slow",) if how == "device failed" else ())
    assert finish(store, copy)


def test_copies_that_fail_cost_nothing_and_end(store: Store) -> None:
    """The holder goes on, even if a copy fails with ``BAD_PAYLOAD``; each worker tries once."""
    holder = held(store, max_attempts=2)
    for worker, kind in (("w1", ErrorKind.OBJECTIVE), ("w2", ErrorKind.BAD_PAYLOAD)):
        store.queue.fail(copied(store, worker), kind, "no")
        assert only(store).attempts == 1
        assert try_copy(store, worker) is None
    left = store.queue.heartbeat(holder)
    assert (left.error, left.excluded) == (None, ())
    lease_ends(store)
    assert store.queue.expire() == 0
    assert store.queue.claim("w1", new_token(), ["lenet5"]) is not None


def test_a_copy_that_is_silent_for_a_lease_gives_way_to_another(store: Store) -> None:
    """No other copy starts while it is heard of; a silent one may come back until one does."""
    holder = held(store)
    silent = copied(store)
    falls_silent(store)
    store.queue.heartbeat(silent, {"epoch": 1})
    assert try_copy(store, "w3") is None
    falls_silent(store)
    copy = copied(store, "w3")
    assert is_lost(store, silent)
    store.queue.heartbeat(copy, {"epoch": 2})
    store.queue.give_back(holder)
    assert (only(store).owner, only(store).attempts) == ("w3", 2)
    assert finish(store, silent)
    assert is_lost(store, copy)


def test_a_trial_is_not_handed_to_a_copy_that_is_silent(store: Store) -> None:
    """The trial waits for any worker, and the copy is void."""
    holder = held(store)
    copy = copied(store)
    falls_silent(store)
    assert store.queue.give_back(holder).status is Status.NEW
    assert is_lost(store, copy)


def test_a_configuration_that_nobody_can_run_ends_with_its_copy(store: Store) -> None:
    """If the holder says that no worker can run it, the trial has ended for both."""
    holder = held(store)
    copy = copied(store)
    store.queue.fail(holder, ErrorKind.BAD_PAYLOAD, "no")
    assert only(store).status is Status.ERROR
    assert is_lost(store, copy)


@pytest.mark.parametrize("by", ["holder", "copy"])
def test_a_cancel_ends_both(store: Store, by: str) -> None:
    """Both see the request, either confirms it, and the other finds its lease lost."""
    runs = {"holder": held(store), "copy": copied(store)}
    store.queue.cancel_all("s")
    assert all(store.queue.heartbeat(each).cancel_requested for each in runs.values())
    store.queue.confirm_cancel(runs.pop(by))
    assert only(store).status is Status.ERROR
    assert all(is_lost(store, each) for each in runs.values())


def test_a_copy_whose_reply_was_lost_is_found_by_its_token(store: Store) -> None:
    """``claimed`` returns it as a copy, or as the claim that it became, or None once it is void."""
    holder = held(store)
    copy = copied(store)
    assert store.queue.claimed(str(copy.token)) == copy
    store.queue.give_back(holder)
    now = store.queue.claimed(str(copy.token))
    assert now is not None
    assert (now.is_copy, now.fence) == (False, copy.fence)
    store.queue.give_back(now)
    assert store.queue.claimed(str(copy.token)) is None


def test_a_trial_of_before_there_were_copies_can_be_copied(store: Store) -> None:
    """A document without the field ``copy``, posted by an older hyperhive, works like any other."""
    holder = held(store)
    store.client.hyperhive.jobs.update_one({}, {"$unset": {"copy": ""}})
    assert store.queue.heartbeat(holder, {"epoch": 1}).copy is None
    is_done(store, 0, 1)
    copy = copied(store)
    store.queue.give_back(holder)
    assert store.queue.heartbeat(copy).owner == "fast"


def test_the_claim_of_an_older_worker_voids_a_copy(store: Store) -> None:
    """It raises the fence without knowing about copies; the field that it leaves does no harm."""
    held(store)
    copy = copied(store)
    token = new_token()
    issued = {"$concatArrays": ["$issued", [{"token": token, "worker": "old", "at": "$$NOW"}]]}
    fence = {"$add": ["$fence", 1]}
    taken = {"fence": fence, "token": token, "owner": "old", "issued": issued}
    store.client.hyperhive.jobs.update_one({}, [{"$set": taken}])
    assert is_lost(store, copy)
    assert only(store).copy is None
    old = store.queue.claimed(token)
    assert old is not None
    assert store.queue.give_back(old).status is Status.NEW


# -- races ------------------------------------------------------------------------------------


def test_of_many_workers_one_starts_the_copy(store: Store, stores: list[Store]) -> None:
    """Eight idle workers and one slow trial make one copy."""
    for tid in range(ROUNDS):
        held(store, tid)
        found = at_once(*[partial(try_copy, s, f"w{n}") for n, s in enumerate(stores)])
        (copy,) = [each for each in found if each is not None]
        assert only(store, tid).attempts == 2
        assert finish(store, copy)


def test_a_copy_against_the_holders_finish(store: Store, stores: list[Store]) -> None:
    """The result counts; a copy started at that moment is void, or did not start."""
    for tid in range(ROUNDS):
        holder = held(store, tid)
        counted, copy = at_once(partial(finish, stores[0], holder), partial(try_copy, stores[1]))
        assert counted
        assert copy is None or is_lost(store, copy)


def test_holder_and_copy_give_back_at_once(store: Store, stores: list[Store]) -> None:
    """In either order the trial waits again, with every attempt refunded."""
    for tid in range(ROUNDS):
        runs = [held(store, tid), copied(store)]
        at_once(*[partial(s.queue.give_back, run) for s, run in zip(stores, runs)])
        left = only(store, tid)
        assert (left.status, left.attempts, left.token) == (Status.NEW, 0, None)
        store.queue.cancel_all("s")


def test_a_copys_heartbeat_is_never_refused_while_the_trial_becomes_its_own(
    store: Store, stores: list[Store]
) -> None:
    """It makes no difference to the copy's worker whether the holder has given up yet."""
    for tid in range(ROUNDS):
        holder, copy = held(store, tid), copied(store)
        at_once(
            partial(stores[0].queue.give_back, holder),
            partial(stores[1].queue.heartbeat, copy),
        )
        assert only(store, tid).owner == "fast"
        assert finish(store, copy)


def test_results_of_both_at_once_make_one_winner(store: Store, stores: list[Store]) -> None:
    """One counts, the other is late, in every order."""
    for tid in range(ROUNDS):
        runs = [held(store, tid), copied(store)]
        counted = at_once(*[partial(finish, s, run) for s, run in zip(stores, runs)])
        assert sorted(counted) == [False, True]
        done = only(store, tid)
        assert (done.winner, done.late) == (runs[counted.index(True)].token, 1)


def test_a_result_for_a_copy_that_never_was_is_refused(store: Store) -> None:
    """A token that was never issued delivers nothing, even while a copy runs."""
    holder = held(store)
    copied(store)
    with pytest.raises(LeaseLost):
        store.queue.finish(holder.id, new_token(), {"loss": 0.0})
