"""A result is delivered in time, again, or under a token that was never issued.

Late results are fault cases: see tests/faults/test_results.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.worker.objectives.api import Outcome

RESULT = {"status": "ok", "loss": 0.25}


def claim(store: Store, worker: str = "w1", lease: float = 60.0) -> Trial:
    trial = store.queue.claim(worker, new_token(), ["lenet5"], lease=lease)
    assert trial is not None
    return trial


def held(store: Store, worker: str = "w1", lease: float = 60.0, **fields: Any) -> Trial:
    """Post a trial and claim it."""
    assert store.queue.post(
        Draft("s", fields.pop("tid", 0), {}, {}, **{"objective": "lenet5", **fields})
    )
    return claim(store, worker, lease)


def finish(store: Store, trial: Trial, loss: float = 0.25) -> bool:
    return store.queue.finish(trial.id, str(trial.token), {"loss": loss})


def raw(store: Store) -> dict[str, Any]:
    document: dict[str, Any] = store.client.hyperhive.jobs.find_one({"tid": 0})
    return document


# -- the result that counts -------------------------------------------------------------------


def test_a_result_ends_the_trial(store: Store) -> None:
    """A delivered result makes the trial DONE, with its winner, and raises fence and version."""
    trial = held(store)
    weights = {"file_id": "f", "sha256": "00", "length": 1}
    assert store.queue.finish(trial.id, str(trial.token), RESULT, weights)
    done = store.trials.get(trial.id)
    assert done is not None
    assert (done.status, done.winner, done.result) == (Status.DONE, trial.token, RESULT)
    assert (done.artifact, done.error, done.lease_until) == (weights, None, None)
    assert (done.fence, done.loss, done.is_final, done.late) == (2, 0.25, True, 0)
    assert raw(store)["version"] == 2


@pytest.mark.parametrize("loss", [0, 0.5, True])
def test_a_loss_that_an_objective_may_return_is_the_trials(store: Store, loss: Any) -> None:
    """A worker accepts these results, so the trial has a loss to be ranked by."""
    result = Outcome({"status": "ok", "loss": loss}).result
    trial = held(store)
    assert store.queue.finish(trial.id, str(trial.token), result)
    assert [done.loss for done in store.trials.find("s")] == [float(loss)]


def test_a_result_can_be_delivered_again(store: Store) -> None:
    """Delivering what was accepted returns True and changes nothing."""
    trial = held(store)
    assert finish(store, trial)
    before = raw(store)
    assert finish(store, trial)
    assert raw(store) == before


def test_an_accepted_result_is_immutable(store: Store) -> None:
    """Even the winner cannot replace its result by another."""
    trial = held(store)
    finish(store, trial, loss=0.25)
    before = raw(store)
    finish(store, trial, loss=0.1)
    assert raw(store) == before


def test_dollar_text_in_a_result_is_literal(store: Store) -> None:
    """Text in results, in late results and in artifacts is stored literally."""
    result = {"note": "$config", "notes": ["$$NOW", {"deep": "$token"}]}
    first = held(store, "w1", lease=0)
    second = claim(store, "w2")
    assert store.queue.finish(first.id, str(first.token), result, {"name": "$owner"})
    assert not store.queue.finish(second.id, str(second.token), result)
    document = raw(store)
    assert (document["result"], document["artifact"]) == (result, {"name": "$owner"})
    assert document["late"][0]["result"] == result


# -- tokens that were never issued ------------------------------------------------------------


@pytest.mark.parametrize("state", ["waiting", "running", "done", "ended"])
def test_a_token_never_issued_is_refused_in_each_state(store: Store, state: str) -> None:
    """A worker cannot deliver a result for a trial that it never claimed."""
    trial = held(store)
    if state == "waiting":
        store.queue.give_back(trial)
    elif state == "done":
        finish(store, trial)
    elif state == "ended":
        store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, "no")
    before = raw(store)
    with pytest.raises(LeaseLost):
        store.queue.finish(trial.id, new_token(), {"loss": 0.0})
    assert raw(store) == before


def test_a_token_of_another_trial_is_refused(store: Store) -> None:
    """A token is valid only for the trial it was issued for."""
    one = held(store, tid=0)
    other = held(store, tid=1)
    with pytest.raises(LeaseLost):
        store.queue.finish(one.id, str(other.token), RESULT)


def test_a_result_for_no_trial_is_refused(store: Store) -> None:
    """A trial that is not in the store accepts no result."""
    with pytest.raises(LeaseLost):
        store.queue.finish("nothing", new_token(), RESULT)
