"""Trials at which every worker here has failed: they end, and only they."""

from __future__ import annotations

from typing import Any

import pytest
from support.clients import claim, finish, here, only, post, raw

from hyperhive.store.store import Store
from hyperhive.store.trials.terms import HYPEROPT, ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

LONG_AGO = {"$subtract": ["$$NOW", 3_600_000]}


def failed_at(store: Store, *workers: str, **fields: Any) -> Trial:
    """Post a trial, and let the device of each of these workers fail at it."""
    post(store, **fields)
    for worker in workers:
        trial = store.queue.give_back(claim(store, worker), f"no memory in {worker}")
    return trial


def patience_ends(store: Store) -> None:
    """Let a long time pass for all trials, instead of waiting."""
    store.database.jobs.update_many({}, [{"$set": {"refresh_time": LONG_AGO}}])


def test_a_trial_at_which_every_worker_failed_ends_with_the_last_error(store: Store) -> None:
    """It waits for another worker first; then it fails, and says with what."""
    here(store, "w1", "w2")
    failed_at(store, "w1", "w2")
    assert store.sweep() == 0
    waiting = only(store)
    assert (waiting.status, waiting.attempts) == (Status.NEW, 0)
    assert waiting.error == {"kind": "device", "message": "no memory in w2"}
    patience_ends(store)
    assert store.sweep() == 1
    ended = only(store)
    message = "every worker here failed at it, the last with: no memory in w2"
    assert (ended.status, ended.error) == (Status.ERROR, {"kind": "device", "message": message})
    assert store.sweep() == 0


@pytest.mark.parametrize(
    ("another", "how"),
    [
        ("free or busy", {}),
        ("of an older version", {"objectives": None}),
        ("for this study only", {"study": "s"}),
        ("ordered to pause", {"paused": "by anna@studio", "order": "token"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_trial_that_another_worker_may_take_goes_on_waiting(
    store: Store, another: str, how: dict[str, Any]
) -> None:
    """However long: that worker has not failed at it yet."""
    here(store, "w1")
    here(store, "w2", **how)
    failed_at(store, "w1")
    patience_ends(store)
    assert store.sweep() == 0
    assert claim(store, "w2").error is not None


@pytest.mark.parametrize(
    "how", [{"objectives": ["another"]}, {"study": "t"}], ids=["objective", "study"]
)
def test_a_worker_that_can_never_take_a_trial_keeps_it_from_no_end(
    store: Store, how: dict[str, Any]
) -> None:
    """It lacks the objective, or works for another study only."""
    here(store, "w1")
    here(store, "w2", **how)
    failed_at(store, "w1")
    patience_ends(store)
    assert store.sweep() == 1


def test_a_worker_that_was_here_a_moment_ago_may_come_back(store: Store) -> None:
    """A worker that is started again has another id, and may try again: it gets time to start."""
    here(store, "w1", "w2")
    failed_at(store, "w1")
    store.workers.leave("w2")
    patience_ends(store)
    assert store.sweep() == 0
    store.database.workers.update_one({"_id": "w2"}, [{"$set": {"last_seen": LONG_AGO}}])
    assert store.sweep() == 1


def test_a_trial_waits_while_no_worker_is_here(store: Store) -> None:
    """Those that failed at it are gone: the next worker may be another device."""
    failed_at(store, "w1")
    patience_ends(store)
    assert store.sweep() == 0


def test_a_trial_of_a_dead_worker_that_all_others_failed_at_ends(store: Store) -> None:
    """It has an attempt left, but nobody that may take it."""
    here(store, "w1")
    failed_at(store, "w1")
    claim(store, "w2", lease=0)
    patience_ends(store)
    assert store.sweep() == 1
    assert only(store).status is Status.ERROR


def test_a_trial_that_changed_meanwhile_is_not_given_up(store: Store) -> None:
    """A worker that started took it after it was read, or its holder came back to life."""
    here(store, "w1")
    read = failed_at(store, "w1")
    held = claim(store, "w2", lease=0)
    assert not store.queue.give_up(read)
    store.queue.heartbeat(held)
    assert not store.queue.give_up(only(store))
    assert only(store).status is Status.RUNNING


def test_a_result_that_arrives_after_a_trial_was_given_up_counts(store: Store) -> None:
    """A frozen worker finished it after all: a result is valid whoever computed it."""
    here(store, "w1")
    post(store)
    frozen = claim(store, "w0", lease=0)
    store.queue.give_back(claim(store, "w1"), "no memory")
    patience_ends(store)
    assert store.sweep() == 1
    assert finish(store, frozen)
    assert (only(store).status, only(store).error) == (Status.DONE, None)


def test_a_failure_of_an_older_worker_gives_no_reason(store: Store) -> None:
    """A worker of an older version excludes itself without an error."""
    here(store, "w1")
    failed_at(store, "w1")
    store.database.jobs.update_one({}, {"$set": {"error": None}})
    patience_ends(store)
    assert store.sweep() == 1
    message = "every worker here failed at it, the last with: no reason was given"
    assert (only(store).error or {})["message"] == message


def test_hyperopts_jobs_end_too(store: Store) -> None:
    """A job of fmin that only workers without its objective are left for has nobody to wait for."""
    here(store, "w1", objectives=["lenet5", HYPEROPT])
    here(store, "w2")
    post(store, objective=HYPEROPT)
    held = store.queue.claim("w1", new_token(), [HYPEROPT])
    assert held is not None
    store.queue.give_back(held, "MemoryError")
    patience_ends(store)
    assert store.sweep() == 1
    assert raw(store)["error"]["kind"] == ErrorKind.DEVICE.value
