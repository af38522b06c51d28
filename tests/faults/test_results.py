"""Faults 10, 12 and 19: results that come late, that never come, and that are no numbers."""

from __future__ import annotations

import math
import pickle
import threading
from functools import partial
from typing import Any, Callable

import pytest
from support.clients import at_once, claim, ended, finish, only, post, raw, try_claim

from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import ranking
from hyperhive.coordinator.search import Search, Snapshot
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.suggest import Suggester
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.errors import LeaseLost, Unstorable
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

# -- fault 10: a late finish in each state ----------------------------------------------------


def held(store: Store, worker: str = "w1", lease: float = 60.0, max_attempts: int = 3) -> Trial:
    """Post a trial and claim it."""
    assert post(store, max_attempts=max_attempts)
    return claim(store, worker, lease)


def _given_back(store: Store) -> Trial:
    late = held(store)
    store.queue.give_back(late)
    return late


def _given_back_with_a_cancel_asked(store: Store) -> Trial:
    late = held(store)
    store.queue.cancel_all("s")
    store.queue.give_back(late)
    return late


def _failed_under_another(store: Store) -> Trial:
    late = held(store, lease=0)
    store.queue.fail(claim(store, "w2"), ErrorKind.OBJECTIVE, "no")
    return late


def _taken_by_nobody(store: Store) -> Trial:
    return held(store, lease=0, max_attempts=1)


def _running_under_another(store: Store) -> Trial:
    late = held(store, lease=0)
    claim(store, "w2")
    return late


def _running_under_another_with_a_cancel_asked(store: Store) -> Trial:
    late = _running_under_another(store)
    store.queue.cancel_all("s")
    return late


def _worker_lost(store: Store) -> Trial:
    late = held(store, lease=0, max_attempts=1)
    assert store.queue.expire() == 1
    return late


STILL_OPEN = {
    "NEW, given back": (_given_back, Status.NEW),
    "NEW, given back, cancel asked": (_given_back_with_a_cancel_asked, Status.NEW),
    "NEW, failed under another": (_failed_under_another, Status.NEW),
    "RUNNING, taken by nobody": (_taken_by_nobody, Status.RUNNING),
    "RUNNING under another": (_running_under_another, Status.RUNNING),
    "RUNNING under another, cancel asked": (
        _running_under_another_with_a_cancel_asked,
        Status.RUNNING,
    ),
    "ERROR worker_lost": (_worker_lost, Status.ERROR),
}


@pytest.mark.parametrize("state", STILL_OPEN)
def test_10_a_late_result_counts_while_there_is_no_other(store: Store, state: str) -> None:
    """In each state that allows it a late result ends the trial, and the holder loses its lease.

    The winner is the worker that delivered, not the one that held the trial.
    """
    arrange, status = STILL_OPEN[state]
    late = arrange(store)
    before = raw(store)
    holder = only(store)
    assert before["state"] == status
    assert finish(store, late)
    after = raw(store)
    assert (after["state"], after["winner"], after["owner"]) == (Status.DONE, late.token, "w1")
    assert (after["result"], after["error"], after["lease_until"]) == ({"loss": 0.25}, None, None)
    assert (after["fence"], after["version"]) == (before["fence"] + 1, before["version"] + 1)
    assert (after["late"], after["attempts"]) == ([], before["attempts"])
    for step in (store.queue.heartbeat, store.queue.give_back, store.queue.confirm_cancel):
        for each in (late, holder):
            with pytest.raises(LeaseLost):
                step(each)
    assert finish(store, late)
    assert store.queue.expire() == 0
    assert try_claim(store, "w3") is None
    assert raw(store) == after
    assert ended(store) == {"done": 1, "failed": 0}


def _done_by_another(store: Store) -> Trial:
    late = held(store, lease=0)
    assert finish(store, claim(store, "w2"), loss=0.5)
    return late


def _cancelled(store: Store) -> Trial:
    late = held(store)
    store.queue.cancel_all("s")
    store.queue.confirm_cancel(late)
    return late


def _cancelled_while_it_waited(store: Store) -> Trial:
    late = _given_back(store)
    store.queue.cancel_all("s")
    return late


def _cancelled_by_the_sweep(store: Store) -> Trial:
    late = held(store, lease=0)
    store.queue.cancel_all("s")
    assert store.queue.expire() == 1
    return late


def _failed_for_good(store: Store) -> Trial:
    late = held(store, lease=0, max_attempts=2)
    store.queue.fail(claim(store, "w2"), ErrorKind.OBJECTIVE, "no")
    return late


def _refused(store: Store) -> Trial:
    late = held(store, lease=0)
    store.queue.fail(claim(store, "w2"), ErrorKind.BAD_PAYLOAD, "no")
    return late


CLOSED = {
    "DONE by another": (_done_by_another, None),
    "ERROR cancelled": (_cancelled, "cancelled"),
    "ERROR cancelled while it waited": (_cancelled_while_it_waited, "cancelled"),
    "ERROR cancelled by the sweep": (_cancelled_by_the_sweep, "cancelled"),
    "ERROR objective": (_failed_for_good, "objective"),
    "ERROR bad_payload": (_refused, "bad_payload"),
}


@pytest.mark.parametrize("state", CLOSED)
def test_10_a_late_result_is_kept_and_not_counted(store: Store, state: str) -> None:
    """In each state that is final it is kept under ``late``, once, and changes nothing else."""
    arrange, error = CLOSED[state]
    late = arrange(store)
    before = raw(store)
    assert (before["error"] and before["error"]["kind"]) == error
    assert not finish(store, late, loss=0.1)
    after = raw(store)
    assert [(each["token"], each["result"]) for each in after["late"]] == [
        (late.token, {"loss": 0.1})
    ]
    assert after["version"] == before["version"] + 1
    assert {key for key in after if after[key] != before[key]} == {"late", "version"}
    assert not finish(store, late, loss=0.2)
    assert raw(store) == after
    done = 1 if error is None else 0
    assert ended(store) == {"done": done, "failed": 1 - done}


def test_10_every_late_result_is_kept(store: Store) -> None:
    """Two late workers leave one entry each."""
    first = held(store, "w1", lease=0)
    second = claim(store, "w2", lease=0)
    assert finish(store, claim(store, "w3"))
    assert not finish(store, first)
    assert not finish(store, second)
    assert only(store).late == 2
    assert {late["token"] for late in raw(store)["late"]} == {first.token, second.token}


# -- fault 12: the poison trial ---------------------------------------------------------------


@pytest.mark.parametrize("max_attempts", [1, 2, 5])
def test_12_a_trial_that_kills_its_workers_ends(
    store: Store, stores: list[Store], max_attempts: int
) -> None:
    """It is claimed ``max_attempts`` times, however many workers ask, and is ended by a sweep.

    A sweep before its last worker is lost does not end it.
    """
    post(store, max_attempts=max_attempts)
    claims = 0
    while True:
        claimed = at_once(
            *[partial(each.queue.claim, "w", new_token(), ["lenet5"], lease=0.0) for each in stores]
        )
        if not any(claimed):
            break
        claims += sum(trial is not None for trial in claimed)
        if claims < max_attempts:
            assert store.queue.expire() == 0
    assert claims == len(raw(store)["issued"]) == max_attempts
    assert sum(at_once(*[each.queue.expire for each in stores])) == 1
    lost = only(store)
    assert lost.error == {
        "kind": "worker_lost",
        "message": "its workers vanished without a result",
    }
    assert lost.attempts == max_attempts
    assert try_claim(store) is None
    assert ended(store) == {"done": 0, "failed": 1}


@pytest.mark.parametrize("max_attempts", [1, 2, 5])
def test_12_a_trial_whose_objective_always_fails_ends(store: Store, max_attempts: int) -> None:
    """It is claimed ``max_attempts`` times, and the last failure ends it without a sweep."""
    post(store, max_attempts=max_attempts)
    for attempt in range(1, max_attempts + 1):
        trial = claim(store)
        assert trial.attempts == attempt
        store.queue.fail(trial, ErrorKind.OBJECTIVE, "no")
        end_back_off(store)
    assert try_claim(store) is None
    assert only(store).error == {"kind": "objective", "message": "no"}
    assert store.queue.expire() == 0
    assert ended(store) == {"done": 0, "failed": 1}


def test_12_vanishing_failing_and_giving_back_are_charged_together(store: Store) -> None:
    """A worker that vanishes or fails costs an attempt; one that gives the trial back does not."""
    post(store, max_attempts=2)
    claim(store, "w1", lease=0)
    store.queue.give_back(claim(store, "w2"), device_error="no memory")
    store.queue.fail(claim(store, "w3"), ErrorKind.OBJECTIVE, "no")
    end_back_off(store)
    assert try_claim(store, "w4") is None
    assert only(store).attempts == 2
    assert ended(store) == {"done": 0, "failed": 1}


def end_back_off(store: Store) -> None:
    """End the back-off of a failed trial, instead of waiting."""
    store.client.hyperhive.jobs.update_one({}, {"$set": {"not_before": None}})


# -- fault 19: losses that are no ordinary numbers --------------------------------------------

LOSSES = [math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 2**63 - 1]


@pytest.mark.parametrize("loss", LOSSES)
def test_19_any_loss_is_kept_as_it_is(store: Store, loss: float) -> None:
    """NaN, infinite and huge losses are stored and read back, also in late results."""
    late = held(store, lease=0)
    assert finish(store, claim(store, "w2"), loss)
    assert not finish(store, late, loss)
    done = only(store)
    assert done.loss == pytest.approx(loss, rel=0, abs=0, nan_ok=True)
    assert raw(store)["late"][0]["result"]["loss"] == pytest.approx(loss, rel=0, abs=0, nan_ok=True)
    assert ended(store) == {"done": 1, "failed": 0}


def test_19_a_loss_that_the_store_cannot_hold_changes_nothing(store: Store) -> None:
    """An integer of more than 64 bits is refused before anything is sent to the server."""
    trial = held(store)
    before = raw(store)
    with pytest.raises(Unstorable):
        store.queue.finish(trial.id, str(trial.token), {"loss": 2**64})
    assert raw(store) == before
    assert finish(store, trial)


def study(trials: int) -> Study:
    return Study(Plan("s", DatasetRequest("digits"), trials=trials, startup=1), "hash", {})


def searched(store: Store, of: Study, loss_of: Callable[[Trial], Any]) -> list[Trial]:
    """Run a search with one worker that works whenever the search polls; return its trials."""

    def work(snapshot: Snapshot) -> None:
        trial = try_claim(store)
        if trial is not None:
            result = {"status": "ok", "loss": loss_of(trial)}
            assert store.queue.finish(trial.id, str(trial.token), result)

    store.studies.open(of.name, of.spec())
    return Search(store, of, work, threading.Event()).run()


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, "low", None])
def test_19_a_result_without_a_usable_loss_neither_wins_nor_teaches(
    store: Store, loss: object
) -> None:
    """The trial counts, but is not ranked, and suggestions treat it as pending."""
    of = study(5)
    trials = searched(store, of, lambda trial: loss if trial.tid == 0 else 0.25 + trial.tid / 8)
    assert [trial.status for trial in trials] == [Status.DONE] * 5
    assert [trial.tid for trial in ranking(trials)] == [1, 2, 3, 4]
    suggester = Suggester("tpe", of.plan.space, of.plan.seed, of.plan.startup)
    for trial in trials[1:]:
        before = trials[: trial.tid]
        known = [None if t.tid in (0, trial.tid - 1) else t.loss for t in before]
        seen = [Observation(t.tid, t.vals, found) for t, found in zip(before, known)]
        assert trial.vals == suggester.suggest(trial.tid, Known(of.plan.space, seen))
    assert ended(store) == {"done": 5, "failed": 0}


# -- fault 19: documents that are not ours ----------------------------------------------------


def test_19_unknown_fields_of_a_trial_stay_as_they_are(store: Store) -> None:
    """Fields that a later hyperhive wrote, for example, outlive all transitions."""
    unknown = {"colour": "$config", "deep": {"$$NOW": [1, {"$token": None}]}, "when": math.inf}
    post(store)
    store.client.hyperhive.jobs.update_one({}, {"$set": {"unknown": unknown}})
    store.queue.give_back(claim(store))
    store.queue.fail(claim(store), ErrorKind.OBJECTIVE, "no")
    end_back_off(store)
    trial = claim(store)
    store.queue.heartbeat(trial, {"epoch": 1})
    store.queue.cancel_all("s")
    assert finish(store, trial)
    assert raw(store)["unknown"] == unknown
    assert ended(store) == {"done": 1, "failed": 0}


class Bomb:
    """Ends the test's process when it is unpickled."""

    def __reduce__(self) -> Any:
        return exit, (99,)


def foreign(tid: int, state: int, **fields: Any) -> dict[str, Any]:
    """Return a document as hyperopt's MongoTrials writes it, under the study's key."""
    document = {
        "tid": tid,
        "exp_key": "s",
        "state": state,
        "spec": None,
        "result": {"status": "ok", "loss": -1.0} if state == Status.DONE else {"status": "new"},
        "misc": {
            "tid": tid,
            "cmd": ["domain_attachment", "FMinIter_Domain"],
            "workdir": None,
            "idxs": {"learning_rate": [tid], "unused": []},
            "vals": {"learning_rate": [0.1], "unused": []},
            "bandit": pickle.dumps(Bomb()),
        },
        "owner": ["host:1"] if state else None,
        "version": 0,
        "book_time": None,
        "refresh_time": None,
    }
    return {**document, **fields}


FOREIGN = [
    # In each of hyperopt's states, including its own "cancelled" (4).
    *[foreign(tid, state) for tid, state in zip(range(0, 10, 2), range(5))],
    # Without our fields but with an objective that we know; without hyperopt's own fields.
    foreign(10, 0, misc={"tid": 10, "cmd": ["objective", "lenet5"], "idxs": {}, "vals": {}}),
    {"exp_key": "s", "tid": 12, "state": "lost", "misc": None},
]


@pytest.fixture
def before(store: Store) -> list[dict[str, Any]]:
    """Store documents that are not ours; return them."""
    store.client.hyperhive.jobs.insert_many([dict(document) for document in FOREIGN])
    return documents(store)


def documents(store: Store) -> list[dict[str, Any]]:
    """Return the documents that are not ours, as they are now."""
    theirs = {"exp_key": "s", "tid": {"$in": [document["tid"] for document in FOREIGN]}}
    return list(store.client.hyperhive.jobs.find(theirs, sort=[("tid", 1)]))


def test_19_a_trial_that_is_not_ours_is_left_alone(
    store: Store, before: list[dict[str, Any]]
) -> None:
    """It is not claimed, ended, listed or counted, and its number is not used again."""
    assert store.queue.claim("w1", new_token(), ["lenet5", "FMinIter_Domain"]) is None
    assert store.queue.expire() == 0
    for document in before:
        assert not post(store, document["tid"])
        assert store.queue.cancel_all("s") == 0
        with pytest.raises(LeaseLost):
            store.queue.finish(document["_id"], new_token(), {"loss": 0.0})
    assert store.trials.find("s") == []
    assert ended(store) == {"done": 0, "failed": 0}
    assert documents(store) == before


def test_19_a_search_skips_trials_that_are_not_ours(
    store: Store, before: list[dict[str, Any]]
) -> None:
    """Its whole budget is spent on its own trials, under the free numbers."""
    trials = searched(store, study(8), lambda trial: 1 / (1 + trial.tid))
    assert [trial.tid for trial in trials] == [1, 3, 5, 7, 9, 11, 13, 14]
    assert ranking(trials)[0].tid == 14
    assert ended(store) == {"done": 8, "failed": 0}
    assert documents(store) == before
