"""A result is delivered: in time, again, from the wrong state, or too late."""

import math
from typing import Any, Callable, Dict, Tuple

import pytest

from store.connection import Store
from store.errors import LeaseLost
from store.queue import new_token
from store.trial import SEARCH, Draft, ErrorKind, Status, Trial

RESULT = {"status": "ok", "loss": 0.25}


def claim(store: Store, worker: str = "w1", lease: float = 60.0) -> Trial:
    trial = store.trials.claim(worker, new_token(), ["lenet5"], lease=lease)
    assert trial is not None
    return trial


def held(store: Store, worker: str = "w1", lease: float = 60.0, **fields: Any) -> Trial:
    """Post a trial and claim it."""
    assert store.trials.post(Draft("s", fields.pop("tid", 0), {}, {}, **fields))
    return claim(store, worker, lease)


def finish(store: Store, trial: Trial, loss: float = 0.25) -> bool:
    return store.trials.finish(trial.id, str(trial.token), {"loss": loss})


def raw(store: Store) -> Dict[str, Any]:
    document: Dict[str, Any] = store.client.hyperhive.jobs.find_one({"tid": 0})
    return document


# -- the result that counts -------------------------------------------------------------------


def test_a_result_ends_the_trial(store: Store) -> None:
    """A delivered result makes the trial DONE, with its winner, and raises fence and version."""
    trial = held(store)
    weights = {"file_id": "f", "sha256": "00", "length": 1}
    assert store.trials.finish(trial.id, str(trial.token), RESULT, weights)
    done = store.trials.get(trial.id)
    assert done is not None
    assert (done.status, done.winner, done.result) == (Status.DONE, trial.token, RESULT)
    assert (done.artifact, done.error, done.lease_until) == (weights, None, None)
    assert (done.fence, done.loss, done.is_final, done.late) == (2, 0.25, True, 0)
    assert raw(store)["version"] == 2


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


def test_a_result_counts_though_its_lease_is_over(store: Store) -> None:
    """A worker that finishes late, before anyone took over, wins."""
    trial = held(store, lease=0, max_attempts=1)
    assert finish(store, trial)


def test_a_result_counts_though_the_trial_was_given_back(store: Store) -> None:
    """What an outbox delivers after its worker gave the trial back ends the waiting trial."""
    trial = held(store)
    store.trials.give_back(trial)
    assert finish(store, trial)
    assert raw(store)["state"] == Status.DONE
    assert store.trials.claim("w2", new_token(), ["lenet5"]) is None


def test_a_result_counts_while_another_worker_runs_the_trial(store: Store) -> None:
    """The first result wins; whoever runs the trial by then finds it gone and is told late."""
    first = held(store, "w1", lease=0)
    second = claim(store, "w2")
    assert finish(store, first, loss=0.25)
    assert raw(store)["winner"] == first.token
    with pytest.raises(LeaseLost):
        store.trials.heartbeat(second)
    assert not finish(store, second, loss=0.1)
    assert raw(store)["result"] == {"loss": 0.25}


def test_a_result_counts_though_its_worker_was_given_up(store: Store) -> None:
    """``worker_lost`` is the one end that a result still turns into DONE."""
    trial = held(store, lease=0, max_attempts=1)
    assert store.trials.expire() == 1
    assert finish(store, trial)
    done = store.trials.get(trial.id)
    assert done is not None
    assert (done.status, done.error, done.fence) == (Status.DONE, None, 3)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, 1e308])
def test_any_loss_is_kept_as_it_is(store: Store, loss: float) -> None:
    """A loss that is not a number, or no ordinary one, is stored and read back."""
    trial = held(store)
    assert finish(store, trial, loss)
    done = store.trials.get(trial.id)
    assert done is not None
    assert done.loss is not None
    assert done.loss == loss or (math.isnan(loss) and math.isnan(done.loss))


def test_dollar_text_in_a_result_is_literal(store: Store) -> None:
    """Texts of results, of late ones and of weights' names are stored as they stand."""
    result = {"note": "$config", "notes": ["$$NOW", {"deep": "$token"}]}
    first = held(store, "w1", lease=0)
    second = claim(store, "w2")
    assert store.trials.finish(first.id, str(first.token), result, {"name": "$owner"})
    assert not store.trials.finish(second.id, str(second.token), result)
    document = raw(store)
    assert (document["result"], document["artifact"]) == (result, {"name": "$owner"})
    assert document["late"][0]["result"] == result


# -- tokens that were never issued ------------------------------------------------------------


@pytest.mark.parametrize("state", ["waiting", "running", "done", "ended"])
def test_a_token_never_issued_is_refused_in_each_state(store: Store, state: str) -> None:
    """Nobody delivers a result for a trial that he never claimed."""
    trial = held(store)
    if state == "waiting":
        store.trials.give_back(trial)
    elif state == "done":
        finish(store, trial)
    elif state == "ended":
        store.trials.fail(trial, ErrorKind.BAD_PAYLOAD, "no")
    before = raw(store)
    with pytest.raises(LeaseLost):
        store.trials.finish(trial.id, new_token(), {"loss": 0.0})
    assert raw(store) == before


def test_a_token_of_another_trial_is_refused(store: Store) -> None:
    """A token is good for the trial it was issued for, and for no other."""
    one = held(store, tid=0)
    other = held(store, tid=1)
    with pytest.raises(LeaseLost):
        store.trials.finish(one.id, str(other.token), RESULT)


def test_a_result_for_no_trial_is_refused(store: Store) -> None:
    """A trial that is not in the store takes no result."""
    with pytest.raises(LeaseLost):
        store.trials.finish("nothing", new_token(), RESULT)


# -- results that come too late ---------------------------------------------------------------


def _another_won(store: Store) -> Trial:
    late = held(store, "w1", lease=0)
    assert finish(store, claim(store, "w2"), loss=0.5)
    return late


def _cancelled(store: Store) -> Trial:
    late = held(store)
    store.trials.cancel("s", SEARCH, 0)
    store.trials.confirm_cancel(late)
    return late


def _cancelled_while_waiting(store: Store) -> Trial:
    late = held(store)
    store.trials.give_back(late)
    store.trials.cancel("s", SEARCH, 0)
    return late


def _failed_elsewhere(store: Store) -> Trial:
    late = held(store, "w1", lease=0, max_attempts=2)
    store.trials.fail(claim(store, "w2"), ErrorKind.OBJECTIVE, "no")
    return late


def _refused_elsewhere(store: Store) -> Trial:
    late = held(store, "w1", lease=0)
    store.trials.fail(claim(store, "w2"), ErrorKind.BAD_PAYLOAD, "no")
    return late


ENDS: Dict[str, Tuple[Callable[[Store], Trial], Status]] = {
    "done by another": (_another_won, Status.DONE),
    "cancelled": (_cancelled, Status.ERROR),
    "cancelled while it waited": (_cancelled_while_waiting, Status.ERROR),
    "objective error": (_failed_elsewhere, Status.ERROR),
    "bad payload": (_refused_elsewhere, Status.ERROR),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_late_result_is_kept_and_not_counted(store: Store, end: str) -> None:
    """After each final state a late result is kept beside it, once, however often it comes."""
    ended, status = ENDS[end]
    trial = ended(store)
    before = raw(store)
    assert before["state"] == status
    assert not finish(store, trial, loss=0.1)
    after = raw(store)
    assert [(late["token"], late["result"]) for late in after["late"]] == [
        (trial.token, {"loss": 0.1})
    ]
    assert after["version"] == before["version"] + 1
    for kept in ("state", "result", "winner", "error", "artifact", "fence"):
        assert after[kept] == before[kept]
    assert not finish(store, trial, loss=0.1)
    assert raw(store) == after


def test_every_late_result_is_kept(store: Store) -> None:
    """Two workers that come late leave one entry each."""
    first = held(store, "w1", lease=0)
    second = claim(store, "w2", lease=0)
    third = claim(store, "w3")
    assert finish(store, third)
    assert not finish(store, first)
    assert not finish(store, second)
    done = store.trials.get(third.id)
    assert done is not None
    assert done.late == 2
    assert {late["token"] for late in raw(store)["late"]} == {first.token, second.token}


# -- finish against cancel, one after the other -----------------------------------------------


def test_a_result_that_comes_before_the_confirmation_counts(store: Store) -> None:
    """A cancel that was only asked for does not take the result of a worker that was done."""
    trial = held(store)
    store.trials.cancel("s", SEARCH, 0)
    assert finish(store, trial)
    with pytest.raises(LeaseLost):
        store.trials.confirm_cancel(trial)
    assert store.trials.expire() == 0
    assert raw(store)["state"] == Status.DONE
