"""Several clients at once, each with connections of its own: every race has one outcome."""

import contextlib
import multiprocessing
import threading
from concurrent import futures
from functools import partial
from typing import Any, Callable, Iterator, List, Optional

import pytest

from store.connection import Store
from store.errors import LeaseLost
from store.queue import new_token
from store.trial import SEARCH, Draft, Status, Trial

ROUNDS = 20


def post(store: Store, tid: int = 0, **fields: Any) -> bool:
    return store.trials.post(Draft("s", tid, {}, {}, **fields))


def claim(store: Store, worker: str, lease: float = 60.0) -> Trial:
    trial = store.trials.claim(worker, new_token(), ["lenet5"], lease=lease)
    assert trial is not None
    return trial


def try_claim(store: Store, worker: str) -> Optional[Trial]:
    return store.trials.claim(worker, new_token(), ["lenet5"])


def finish(store: Store, trial: Trial, loss: float) -> bool:
    return store.trials.finish(trial.id, str(trial.token), {"loss": loss})


def only(store: Store, tid: int) -> Trial:
    (trial,) = store.trials.find("s", tids=[tid])
    return trial


@pytest.fixture
def stores(mongo_uri: str, store: Store) -> Iterator[List[Store]]:
    """Give eight stores with open connections, on a database that was emptied."""
    with contextlib.ExitStack() as opened:
        several = [opened.enter_context(Store(mongo_uri)) for _ in range(8)]
        for each in several:
            each.ping()
        yield several


def at_once(*actions: Callable[[], Any]) -> List[Any]:
    """Run every action in a thread of its own, all let go together; return what each gave."""
    gate = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        gate.wait(30)
        return action()

    with futures.ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def happened(action: Callable[..., Any], *arguments: Any) -> bool:
    """Return whether an action went through, rather than being refused as no longer ours."""
    try:
        action(*arguments)
    except LeaseLost:
        return False
    return True


def claim_all(store: Store, worker: str) -> List[Trial]:
    """Claim until nothing is left."""
    claimed = []
    while True:
        trial = try_claim(store, worker)
        if trial is None:
            return claimed
        claimed.append(trial)


def claim_all_in_a_process(uri: str, worker: str, gate: Any, claimed: Any) -> None:
    """Put the numbers of all trials that a process claimed into a queue, as one list."""
    with Store(uri) as store:
        store.ping()
        gate.wait(60)
        claimed.put([trial.tid for trial in claim_all(store, worker)])


def test_many_claimers_never_share_a_trial(store: Store, stores: List[Store]) -> None:
    """Of trials claimed by eight workers at once each goes to exactly one, and none is left."""
    for tid in range(100):
        post(store, tid)
    shares = at_once(*[partial(claim_all, each, "w") for each in stores])
    claimed = [trial for share in shares for trial in share]
    assert sorted(trial.tid for trial in claimed) == list(range(100))
    assert len({trial.token for trial in claimed}) == 100
    assert {trial.fence for trial in claimed} == {1}
    for trial in store.trials.find("s"):
        assert (trial.status, trial.attempts) == (Status.RUNNING, 1)


def test_processes_never_share_a_trial(mongo_uri: str, store: Store) -> None:
    """The same holds for workers that are processes."""
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


def test_an_expired_lease_goes_to_one_of_those_who_want_it(
    store: Store, stores: List[Store]
) -> None:
    """Many workers that see the same abandoned trial do not all take it."""
    for tid in range(ROUNDS):
        post(store, tid)
        claim(store, "dead", lease=0)
        taken = at_once(*[partial(try_claim, each, "w") for each in stores])
        assert sum(trial is not None for trial in taken) == 1
        assert (only(store, tid).fence, only(store, tid).attempts) == (2, 2)


def test_of_two_simultaneous_finishes_one_wins(store: Store, stores: List[Store]) -> None:
    """Two workers that deliver at the same moment: one result counts, the other is kept as late."""
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
    assert store.trials.counts("s", SEARCH)[Status.DONE] == ROUNDS


def test_the_same_result_delivered_twice_at_once_counts_once(
    store: Store, stores: List[Store]
) -> None:
    """A worker and its own outbox delivering one result are both told that it counts."""
    for tid in range(ROUNDS):
        post(store, tid)
        trial = claim(store, "w1")
        assert at_once(*[partial(finish, each, trial, 0.1) for each in stores]) == [True] * 8
        done = only(store, tid)
        assert (done.status, done.late, done.fence) == (Status.DONE, 0, 2)


def test_a_claim_against_the_finish_of_an_expired_holder(store: Store, stores: List[Store]) -> None:
    """The old holder's result counts either way; a claim beside it came first, or got nothing."""
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
            assert not happened(store.trials.heartbeat, taken)


def test_a_renewal_against_a_takeover(store: Store, stores: List[Store]) -> None:
    """Of a sleeper that wakes and a worker that takes over, exactly one holds the trial."""
    for tid in range(ROUNDS):
        post(store, tid)
        old = claim(store, "w1", lease=0)
        _, taken = at_once(
            partial(happened, stores[0].trials.heartbeat, old),
            partial(try_claim, stores[1], "w2"),
        )
        assert happened(store.trials.heartbeat, old) == (taken is None)
        finish(store, taken or old, 0.1)


def test_a_cancel_against_a_finish_has_one_outcome(store: Store, stores: List[Store]) -> None:
    """Either the result counts or the cancel is confirmed: never both, never neither."""
    for tid in range(ROUNDS):
        post(store, tid)
        trial = claim(store, "w1")
        store.trials.cancel("s", SEARCH, tid)
        counted, confirmed = at_once(
            partial(finish, stores[0], trial, 0.1),
            partial(happened, stores[1].trials.confirm_cancel, trial),
        )
        assert counted != confirmed
        ended = only(store, tid)
        assert (ended.status, ended.late) == ((Status.DONE, 0) if counted else (Status.ERROR, 1))


def test_a_cancel_of_a_waiting_trial_against_its_claim(store: Store, stores: List[Store]) -> None:
    """A trial claimed before its cancel is asked to end; one cancelled before is never claimed."""
    for tid in range(ROUNDS):
        post(store, tid)
        cancelled, taken = at_once(
            partial(stores[0].trials.cancel, "s", SEARCH, tid),
            partial(try_claim, stores[1], "w1"),
        )
        assert cancelled is not None
        assert (cancelled.status is Status.RUNNING) == (taken is not None)
        assert only(store, tid).cancel_requested
        if taken is not None:
            store.trials.confirm_cancel(taken)


def test_a_sweep_against_a_finish_never_loses_the_result(store: Store, stores: List[Store]) -> None:
    """A result that arrives while its worker is given up as lost counts in every order."""
    for tid in range(ROUNDS):
        post(store, tid, max_attempts=1)
        trial = claim(store, "w1", lease=0)
        counted, _ = at_once(partial(finish, stores[0], trial, 0.1), stores[1].trials.expire)
        assert counted
        assert (only(store, tid).status, only(store, tid).error) == (Status.DONE, None)


def test_sweepers_count_each_trial_once(store: Store, stores: List[Store]) -> None:
    """Several coordinators that sweep at once end each trial once, between them."""
    for tid in range(ROUNDS):
        post(store, tid, max_attempts=1)
        claim(store, "w1", lease=0)
    assert sum(at_once(*[each.trials.expire for each in stores])) == ROUNDS
    assert {trial.fence for trial in store.trials.find("s")} == {2}


def test_of_many_posts_of_one_tid_one_wins(store: Store, stores: List[Store]) -> None:
    """Two coordinators that post the same trial at once leave one trial."""
    for tid in range(ROUNDS):
        assert sum(at_once(*[partial(post, each, tid) for each in stores])) == 1
    assert store.trials.counts("s", SEARCH)[Status.NEW] == ROUNDS


def test_a_data_set_published_twice_at_once_is_there_once(
    store: Store, stores: List[Store]
) -> None:
    """One publisher wins, the data are whole, and the other's upload is collected as an orphan."""
    for number in range(5):
        key = "hash {}".format(number)
        packed = key.encode() * 50_000
        won = at_once(
            *[partial(each.datasets.publish, key, packed, {"name": key}) for each in stores[:2]]
        )
        assert sum(won) == 1
        assert store.datasets.fetch(key) == packed
    store.collect_orphans(older_than=0)
    assert store.client.hyperhive.fs.files.count_documents({}) == 5
    assert len(store.datasets.cards()) == 5


def test_a_study_opened_by_many_is_the_first_ones(store: Store, stores: List[Store]) -> None:
    """Coordinators that create the same study at once all get the same specification."""
    for number in range(5):
        opened = at_once(
            *[
                partial(each.studies.open, "study {}".format(number), {"by": by})
                for by, each in enumerate(stores)
            ]
        )
        assert len({study.spec["by"] for study in opened}) == 1


def test_a_storm_of_everything_loses_no_trial(store: Store, stores: List[Store]) -> None:
    """Workers that finish, fail, give back, vanish and deliver late leave each trial ended once."""
    for tid in range(60):
        post(store, tid, max_attempts=50)

    def work(own: Store, number: int) -> int:
        counted = 0
        while sum(own.trials.counts("s", SEARCH)[s] for s in (Status.NEW, Status.RUNNING)):
            trial = own.trials.claim("w", new_token(), ["lenet5"], lease=0.02)
            if trial is None:
                continue
            fate = (trial.tid + trial.attempts + number) % 4
            if fate == 0:
                happened(own.trials.give_back, trial)
            elif fate == 1:
                continue  # vanished
            counted += finish(own, trial, float(number))
        return counted

    won = sum(at_once(*[partial(work, each, n) for n, each in enumerate(stores[:4])]))
    trials = store.trials.find("s")
    assert [trial.status for trial in trials] == [Status.DONE] * 60
    assert won == len({trial.winner for trial in trials}) == 60
