"""Replies that get lost, and connections that go half-open: cases 5 and 16."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Callable

import pymongo
import pytest
from support import proxy, quick
from support.fleet import Fleet, answers, running
from support.home import until
from support.proxy import Command, Proxy

from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.search_trials import SearchTrials
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study import Study
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import OPERATION_TIMEOUT_S, Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

SPACE = {"x": {"distribution": "uniform", "low": 0, "high": 1}}
TIMEOUT_S = 0.5
LATENESS_S = 4.0
"""How late a thread of a busy machine may be: less than it takes whatever knows no time-out."""


# -- the proxy itself --------------------------------------------------------------------------


def test_the_proxy_carries_everything_and_ends_cleanly(store: Store, mongo_uri: str) -> None:
    """What goes through a proxy arrives as it was, and at its end no thread of it is left."""
    data = bytes(range(256)) * 4000  # four chunks
    with Proxy.of(mongo_uri) as between, Store(between.uri(mongo_uri)) as through:
        quick.post(through, 3)
        assert through.blobs.get(through.blobs.put(data, "x")) == data
        assert len(store.trials.find("s")) == 3
        assert between.carried["post"] == 3
        assert not between.dropped
    assert not [thread for thread in threading.enumerate() if "proxy" in thread.name]


def test_the_proxy_loses_what_it_is_told_to(store: Store, mongo_uri: str) -> None:
    """Each kind of command is known by its name; what the server did stands, and is counted."""
    trial = claim(store)
    kinds: dict[str, Callable[[Store], Any]] = {
        "claim": lambda s: s.queue.claim("w", new_token(), ["quick"]),
        "finish": lambda s: s.queue.finish(trial.id, str(trial.token), {"loss": 0.5}),
        "heartbeat": lambda s: s.queue.heartbeat(trial),
        "post": lambda s: s.queue.post(Draft("t", 0, {}, {}, objective="lenet5")),
        "upload": lambda s: s.blobs.put(b"x", "x"),
    }
    for name in ("heartbeat", "claim", "finish", "post", "upload"):
        drop: proxy.Drop = getattr(proxy, name)
        with Proxy.of(mongo_uri, drop) as between, Store(between.uri(mongo_uri)) as through:
            with pytest.raises(StoreUnavailable):
                kinds[name](through)
            through.ping()  # the rest passes, over a new connection
            assert between.dropped == {name: 3 if name == "upload" else 1}  # that is repeated


# -- 5: replies that got lost ------------------------------------------------------------------


def claim(store: Store) -> Trial:
    """Post a trial and claim it."""
    store.queue.post(Draft("s", 0, {}, {}, objective="quick"))
    trial = store.queue.claim("w", new_token(), ["quick"])
    assert trial is not None
    return trial


def test_05_a_claim_whose_reply_is_lost_is_found_by_its_token(
    store: Store, mongo_uri: str, between: Proxy
) -> None:
    """Of 10 claims that seemed to fail each is found again, and no trial was claimed twice."""
    quick.post(store, 10)
    between.drop = proxy.claim
    found = []
    for _ in range(10):
        token = new_token()
        with Store(between.uri(mongo_uri)) as through, pytest.raises(StoreUnavailable):
            through.queue.claim("w", token, ["quick"])
        found.append(store.queue.claimed(token))
    assert between.dropped == {"claim": 10}
    assert [trial and (trial.tid, trial.attempts) for trial in found] == [
        (tid, 1) for tid in range(10)
    ]


def test_05_a_finish_whose_reply_is_lost_is_safe_to_ask_again(
    store: Store, mongo_uri: str, between: Proxy
) -> None:
    """The result counts though its finish seemed to fail; delivered again it is still the one."""
    trial = claim(store)
    between.drop = proxy.every_second(proxy.finish)
    with Store(between.uri(mongo_uri)) as through:
        finish = partial(through.queue.finish, trial.id, str(trial.token), {"loss": 0.5})
        with pytest.raises(StoreUnavailable):
            finish()
        (done,) = store.trials.find("s")
        assert done.status is Status.DONE
        assert finish()
    assert store.trials.find("s") == [done]


def test_05_a_post_whose_reply_is_lost_is_safe_to_ask_again(
    store: Store, mongo_uri: str, between: Proxy
) -> None:
    """The trial is there though its post seemed to fail; posted again it is still one."""
    between.drop = proxy.every_second(proxy.post)
    with Store(between.uri(mongo_uri)) as through:
        post = partial(through.queue.post, Draft("s", 0, {}, {}, objective="lenet5"))
        with pytest.raises(StoreUnavailable):
            post()
        assert not post()
    assert len(store.trials.find("s")) == 1


def test_05_a_bulk_whose_reply_is_lost_is_completed_by_the_next(
    store: Store, mongo_uri: str, between: Proxy
) -> None:
    """What was inserted is found, what was not is a gap, which is filled: each number once."""
    study = Study(Plan("s", objective="mine", space=parse(SPACE), trials=9), None, {})
    between.drop = proxy.every_second(proxy.post)
    with Store(between.uri(mongo_uri)) as through:
        trials = SearchTrials(through, study)
        with pytest.raises(StoreUnavailable):
            trials.post(trials.suggest(6))
        # As if the server had ended in the middle of the bulk: it inserts in any order.
        store.database["jobs"].delete_many({"tid": {"$in": [1, 4]}})
        trials.look()
        drafts = trials.suggest(4)
        assert [draft.tid for draft in drafts] == [1, 4, 6, 7]
        assert trials.post(drafts)
        assert [trial.tid for trial in trials.all()] == [*range(8)]
    assert tuple(store.trials.find("s")) == trials.all()


def losing_each_claim_and_finish() -> proxy.Drop:
    """Lose the replies to each claim, to each trial's first finish, to some questions between."""
    finished: set[str] = set()
    questions = itertools.cycle([True, False, False, False])

    def drop(command: Command) -> bool:
        if proxy.finish(command):
            token = command["query"]["$and"][0]["issued.token"]
            new = token not in finished
            finished.add(token)
            return new
        if command.get("find") == "meta":
            return next(questions)
        return proxy.claim(command)

    return drop


def test_05_a_worker_whose_replies_are_lost_does_each_trial_once(fleet: Fleet) -> None:
    """Each of 10 claims and 10 finishes seems to fail, and yet no trial is claimed or run twice.

    The answer to what is asked behind a claim, which store this is, is lost at times too: that does
    not make the worker forget the claim.
    """
    with fleet.store() as store, Proxy.of(fleet.uri, losing_each_claim_and_finish()) as between:
        quick.post(store, 10, attempts=1)
        worker = fleet.worker(uri=between.uri(fleet.uri))
        quick.all_done_once(store)
        until(lambda: not fleet.undelivered(), "the delivery of all results")
        assert (between.dropped["claim"] >= 10, between.dropped["finish"]) == (True, 10)
        assert between.dropped["find"] >= 3
        issued = store.client.hyperhive.jobs.find({}, {"issued": 1})
        assert {len(document["issued"]) for document in issued} == {1}
        assert worker.is_running()
        store.collect_orphans(0)  # a result that was delivered twice was uploaded twice
        assert store.client.hyperhive.fs.files.count_documents({}) == 10


@pytest.mark.long
def test_05_a_coordinator_whose_replies_are_lost_posts_each_trial_once(fleet: Fleet) -> None:
    """A trial whose post seemed to fail is posted again, and there is one of it."""
    drop = proxy.every_second(proxy.post)
    with fleet.store() as store, Proxy.of(fleet.uri, drop) as between:
        fleet.worker()
        coordinator = fleet.coordinator("s", 10, "--mongo", between.uri(fleet.uri), "--no-refit")
        assert coordinator.end() != 1, coordinator.said()
        trials = [(trial.purpose, trial.tid) for trial in quick.all_done_once(store)]
        assert sorted(trials) == [(SEARCH, tid) for tid in range(10)]
        assert between.dropped["post"] >= 5


# -- 16: half-open connections -----------------------------------------------------------------


def every_operation(store: Store, trial: Trial, ref: BlobRef) -> dict[str, Callable[[], Any]]:
    """Return all that can be asked of a store, but for what has GridFS's time."""
    queue, trials, blobs, workers = store.queue, store.trials, store.blobs, store.workers
    return {
        "ping": store.ping,
        "indexes": store.ensure_indexes,
        "orphans": store.collect_orphans,
        "post": partial(queue.post, Draft("s", 1, {}, {}, objective="lenet5")),
        "claim": partial(queue.claim, "w", new_token(), ["quick"]),
        "claimed": partial(queue.claimed, "token"),
        "heartbeat": partial(queue.heartbeat, trial),
        "finish": partial(queue.finish, trial.id, str(trial.token), {}),
        "give back": partial(queue.give_back, trial),
        "expire": queue.expire,
        "cancel": partial(queue.cancel_all, "s"),
        "get": partial(trials.get, trial.id),
        "find": partial(trials.find, "s"),
        "refers": partial(trials.referred_to, [ref.file_id]),
        "open": partial(store.studies.open, "s", {}),
        "studies": store.studies.all,
        "report": partial(workers.report, "w", None, "cpu", {}, None),
        "present": workers.present,
        "leave": partial(workers.leave, "w"),
        "upload": partial(blobs.put, b"x", "x"),
        "delete": partial(blobs.delete, ref.file_id),
        "uploads": partial(blobs.uploads_older_than, 0),
    }


@pytest.mark.parametrize("warm", [True, False], ids=["on its connection", "on a new connection"])
def test_16_every_operation_ends_within_the_time_out(
    store: Store, mongo_uri: str, between: Proxy, warm: bool
) -> None:
    """On a connection that goes half-open an operation takes the time-out; two, on one to be made.

    The second is for finding the server: a time-out of more than two seconds counts as two there.
    """
    trial, ref = claim(store), store.blobs.put(b"x", "x")
    silent = threading.Event()
    ready = threading.Semaphore(0)

    def seconds(name: str) -> float:
        with Store(between.uri(mongo_uri), timeout=TIMEOUT_S) as through:
            if warm:
                until(lambda: answers(through), "a connection")
            operation = every_operation(through, trial, ref)[name]
            ready.release()
            silent.wait()
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable):
                operation()
            return time.monotonic() - begun

    names = list(every_operation(store, trial, ref))
    with ThreadPoolExecutor(len(names)) as pool:
        taken = [pool.submit(seconds, name) for name in names]
        try:
            assert all(ready.acquire(timeout=60.0) for _ in names)
            with between.silent():
                silent.set()
                took = {name: future.result() for name, future in zip(names, taken)}
        finally:
            silent.set()  # whatever failed, nobody waits on
    bound = (1 if warm else 2) * TIMEOUT_S + LATENESS_S
    assert bound < OPERATION_TIMEOUT_S
    assert {name: s for name, s in took.items() if s > bound} == {}


def test_16_a_transfer_ends_within_its_time(
    store: Store, mongo_uri: str, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that stop coming or going in the middle are given up when their time is over.

    The time itself is cut to a second here; it is half a minute and more (``transfer_time``).
    """
    monkeypatch.setattr("hyperhive.store.blobs.transfer_time", lambda _: pymongo.timeout(1.0))
    ref = store.blobs.put(b"x", "x")

    def goes_silent(command: Command) -> bool:
        if proxy.upload(command) or command.get("find") == "fs.chunks":
            between.go_silent()
        return False

    between.drop = goes_silent
    for ask in (lambda s: s.blobs.get(ref), lambda s: s.blobs.put(bytes(600_000), "y")):
        with Store(between.uri(mongo_uri), timeout=10.0) as through:
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable):
                ask(through)
            took = time.monotonic() - begun
            between.resume()
            assert took < 1.0 + LATENESS_S


@pytest.mark.long
def test_16_a_worker_goes_on_through_a_half_open_connection(fleet: Fleet) -> None:
    """A trial in hand is trained on and delivered, whatever times out meanwhile; none runs twice.

    A worker that is asked to stop meanwhile ends: after its grace for the trial, one operation's
    time-out to give the trial back, one of the heartbeat's, whose last beat may begin when that
    ends, and what PyMongo takes.
    """
    with fleet.store() as store, Proxy.of(fleet.uri) as between:
        workers = [fleet.worker(uri=between.uri(fleet.uri), seconds="2") for _ in range(2)]
        for worker in workers:
            worker.says("connected")
        quick.post(store, 2)
        for tid in range(2):
            running(store, "s", tid=tid)
        stays, leaves = workers
        for worker in workers:
            worker.says("learning rate")  # it has heard that the trial is its own
        with between.silent():
            leaves.signal(signal.SIGTERM)
            stays.says("work goes on without it")
            assert leaves.end() == 0
            stays.says("waiting for it")
            assert [trial.status for trial in store.trials.find("s")] == [Status.RUNNING] * 2
        quick.all_done_once(store)
        until(lambda: not fleet.undelivered(), "the delivery of all results")
