"""Several clients act at once, each with connections of its own: every race has one outcome.

The races that are fault cases of their own are in tests/faults/test_contention.py.
"""

from __future__ import annotations

from functools import partial

from support.clients import at_once, claim, counts_of, finish, happened, only, post, try_claim

from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.updates import new_token

ROUNDS = 20


def test_a_claim_against_the_finish_of_an_expired_holder(store: Store, stores: list[Store]) -> None:
    """The old holder's result counts either way; the claim came first, or took nothing."""
    for tid in range(ROUNDS):
        post(store, tid)
        old = claim(store, "w1", lease=0)
        counted, taken = at_once(
            partial(finish, stores[0], old, 0.1), partial(try_claim, stores[1], "w2")
        )
        assert counted
        done = only(store, tid)
        assert (done.status, done.winner) == (Status.DONE, old.token)
        assert done.fence == (2 if taken is None else 3)
        if taken is not None:
            assert not happened(store.queue.heartbeat, taken)


def test_a_renewal_against_a_takeover(store: Store, stores: list[Store]) -> None:
    """Of a worker that wakes up and one that takes over, exactly one holds the trial."""
    for tid in range(ROUNDS):
        post(store, tid)
        old = claim(store, "w1", lease=0)
        _, taken = at_once(
            partial(happened, stores[0].queue.heartbeat, old),
            partial(try_claim, stores[1], "w2"),
        )
        assert happened(store.queue.heartbeat, old) == (taken is None)
        finish(store, taken or old, 0.1)


def test_a_cancel_of_a_waiting_trial_against_its_claim(store: Store, stores: list[Store]) -> None:
    """A trial claimed before its cancel is asked to end; one cancelled before is never claimed."""
    for tid in range(ROUNDS):
        post(store, tid)
        asked, taken = at_once(
            partial(stores[0].queue.cancel_all, "s"), partial(try_claim, stores[1], "w1")
        )
        assert asked == 1
        assert only(store, tid).cancel_requested
        assert (only(store, tid).status is Status.RUNNING) == (taken is not None)
        if taken is not None:
            store.queue.confirm_cancel(taken)


def test_a_sweep_against_a_finish_never_loses_the_result(store: Store, stores: list[Store]) -> None:
    """A result that arrives while its trial is given up as lost counts in every order."""
    for tid in range(ROUNDS):
        post(store, tid, max_attempts=1)
        trial = claim(store, "w1", lease=0)
        counted, _ = at_once(partial(finish, stores[0], trial, 0.1), stores[1].queue.expire)
        assert counted
        assert (only(store, tid).status, only(store, tid).error) == (Status.DONE, None)


def test_sweepers_count_each_trial_once(store: Store, stores: list[Store]) -> None:
    """Several coordinators that sweep at once end each trial once in total."""
    for tid in range(ROUNDS):
        post(store, tid, max_attempts=1)
        claim(store, "w1", lease=0)
    assert sum(at_once(*[each.queue.expire for each in stores])) == ROUNDS
    assert {trial.fence for trial in store.trials.find("s")} == {2}


def test_of_many_posts_of_one_tid_one_wins(store: Store, stores: list[Store]) -> None:
    """Two coordinators that post the same trial at once leave one trial."""
    for tid in range(ROUNDS):
        assert sum(at_once(*[partial(post, each, tid) for each in stores])) == 1
    assert counts_of(store)[Status.NEW] == ROUNDS


def test_a_data_set_published_twice_at_once_is_there_once(
    store: Store, stores: list[Store]
) -> None:
    """One publisher wins, the data is whole, and the other's upload is collected as an orphan."""
    for number in range(5):
        key = f"hash {number}"
        packed = key.encode() * 50_000
        won = at_once(
            *[partial(each.datasets.publish, key, packed, {"name": key}) for each in stores[:2]]
        )
        assert sum(won) == 1
        assert store.datasets.fetch(key) == packed
    store.collect_orphans(older_than=0)
    assert store.client.hyperhive.fs.files.count_documents({}) == 5
    assert store.client.hyperhive.datasets.count_documents({}) == 5


def test_a_study_opened_by_many_is_the_first_ones(store: Store, stores: list[Store]) -> None:
    """Coordinators that create the same study at once all get the same specification."""
    for number in range(5):
        opened = at_once(
            *[
                partial(each.studies.open, f"study {number}", {"by": by})
                for by, each in enumerate(stores)
            ]
        )
        assert len({study.spec["by"] for study in opened}) == 1


def test_a_storm_of_everything_loses_no_trial(store: Store, stores: list[Store]) -> None:
    """Workers that finish, fail, give back, vanish and deliver late leave each trial ended once."""
    for tid in range(60):
        post(store, tid, max_attempts=50)

    def work(own: Store, number: int) -> int:
        counted = 0
        while sum(counts_of(own)[s] for s in (Status.NEW, Status.RUNNING)):
            trial = own.queue.claim("w", new_token(), ["lenet5"], lease=0.02)
            if trial is None:
                continue
            fate = (trial.tid + trial.attempts + number) % 4
            if fate == 0:
                happened(own.queue.give_back, trial)
            elif fate == 1:
                continue  # vanished
            counted += finish(own, trial, float(number))
        return counted

    won = sum(at_once(*[partial(work, each, n) for n, each in enumerate(stores[:4])]))
    trials = store.trials.find("s")
    assert [trial.status for trial in trials] == [Status.DONE] * 60
    assert won == len({trial.winner for trial in trials}) == 60
