"""What a trial of a search holds: its goal, its metrics, its values, and where it ended."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.clients import claim, finish, only, post, raw

from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft, Goal
from hyperhive.store.trials.job_schema import malformed_field
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial

ACCURATE = Goal("accuracy", "maximize")
BEGAN = datetime(2026, 1, 2, 3, tzinfo=timezone.utc)
ENDED = BEGAN + timedelta(minutes=5)
FAILED = {"kind": ErrorKind.OBJECTIVE.value, "message": "ValueError: no rows"}


def insert(store: Store, tid: int = 0, result: Any = None, error: Any = None) -> bool:
    draft = Draft("s", tid, {"lr": 0.1}, {"lr": 0.1}, "digits.py:train", goal=ACCURATE)
    return store.queue.insert_ended(draft, result, error, BEGAN, ENDED, "elsewhere")


@pytest.mark.parametrize("goal", [Goal(), ACCURATE, Goal("$rate", "minimize")])
def test_a_trial_keeps_its_goal(store: Store, goal: Goal) -> None:
    """The default goal leaves the document as it was before there were goals."""
    post(store, goal=goal)
    assert claim(store).goal == goal
    assert ("goal" in raw(store)["misc"]) == (goal != Goal())


@pytest.mark.parametrize(
    "rubbish",
    [3, [], {}, {"metric": "f1"}, {"metric": "f1", "direction": []}, {"metric": ""}],
)
def test_a_malformed_goal_is_the_default(store: Store, rubbish: Any) -> None:
    """A worker may write anything there; the trial goes on."""
    post(store, goal=ACCURATE)
    store.database.jobs.update_one({}, {"$set": {"misc.goal": rubbish}})
    assert claim(store).goal == Goal()


@pytest.mark.parametrize(
    ("goal", "result", "metrics"),
    [
        (Goal(), {"loss": 0.5, "seconds": 3.0, "status": "ok", "diverged": True}, {"loss": 0.5}),
        (
            Goal(),
            {"loss": 1, "f1": 2, "history": [{"f1": 9}, {"step": 4, "f1": 3, "mse": 0.25}]},
            {"loss": 1.0, "f1": 2.0, "mse": 0.25},
        ),
        (ACCURATE, {"loss": -0.75, "accuracy": 0.75, "note": "x"}, {"accuracy": 0.75}),
        (
            ACCURATE,
            {"loss": -0.75, "accuracy": 0.75, "reported_loss": 0.5},
            {"accuracy": 0.75, "loss": 0.5},
        ),
        (ACCURATE, {"loss": -1, "history": [{"epoch": 1, "loss": 0.5}]}, {"loss": 0.5}),
        (Goal(), {"loss": float("nan"), "rate": float("inf"), "history": 3}, {}),
        (Goal("loss", "maximize"), {"loss": -0.5, "reported_loss": 0.5}, {"loss": 0.5}),
        (Goal(), {"history": [3]}, {}),
    ],
)
def test_metrics_are_the_last_numbers_of_an_objective(
    store: Store, goal: Goal, result: Any, metrics: dict[str, float]
) -> None:
    """What it returned counts before what it reported, and a loss made for the search not at all.

    A viewer, which does not read whole histories, sees the same.
    """
    post(store, goal=goal)
    trial = claim(store)
    store.queue.finish(trial.id, str(trial.token), result)
    assert only(store).metrics == metrics
    (seen,) = store.trials.changed({"s": -1}, [])
    assert seen.metrics == metrics


def test_a_trial_has_only_the_values_that_are_active(store: Store) -> None:
    """The document has an empty list for the others, and an index stays a whole number."""
    vals = {"act": 1, "lr": 0.5, "momentum": None}
    store.queue.post(Draft("s", 0, {}, vals, objective="lenet5"))
    trial = only(store)
    assert trial.vals == {"act": 1, "lr": 0.5}
    assert [type(trial.vals[label]) for label in ("act", "lr")] == [int, float]
    misc = raw(store)["misc"]
    assert misc["vals"] == {"act": [1], "lr": [0.5], "momentum": []}
    assert misc["idxs"] == {"act": [0], "lr": [0], "momentum": []}


# -- trials that ended elsewhere --------------------------------------------------------------


def test_a_result_from_elsewhere_is_inserted_once(store: Store) -> None:
    """With its own times, and as it was: a repetition changes nothing."""
    assert insert(store, result={"loss": -0.75, "accuracy": 0.75})
    trial, document = only(store), raw(store)
    assert (trial.status, trial.loss, trial.metrics) == (Status.DONE, -0.75, {"accuracy": 0.75})
    assert (trial.book_time, trial.refresh_time, trial.owner) == (BEGAN, ENDED, "elsewhere")
    assert trial.imported
    assert malformed_field(document) is None
    assert not insert(store, result={"loss": -1.0})
    assert not insert(store, error=FAILED)
    assert raw(store) == document


def test_a_failure_from_elsewhere_is_inserted(store: Store) -> None:
    """Its text is made fit for the store, like that of a failure here."""
    assert insert(store, error={"kind": "device", "message": "\ud800" + "x" * 9000})
    trial = only(store)
    assert (trial.status, trial.imported, trial.loss) == (Status.ERROR, True, None)
    assert trial.error is not None
    assert trial.error["kind"] == ErrorKind.DEVICE.value
    assert trial.error["message"].startswith(r"\ud800x")
    assert len(trial.error["message"]) < 5000


@pytest.mark.parametrize(
    "ending",
    [{}, {"result": {}, "error": FAILED}, {"error": {**FAILED, "kind": "bad luck"}}],
)
def test_an_ending_that_is_none_is_refused(store: Store, ending: Any) -> None:
    """Nothing is inserted."""
    with pytest.raises(ValueError):  # noqa: PT011
        insert(store, **ending)
    assert store.trials.find("s") == []


def test_a_trial_from_elsewhere_never_changes(store: Store) -> None:
    """No worker takes it, no sweep or cancel ends it, nobody has a token for it."""
    for tid, ending in enumerate(({"result": {"loss": 1.0}}, {"error": FAILED})):
        insert(store, tid, **ending)
    before = [raw(store, tid) for tid in range(2)]
    post(store, 2)
    assert claim(store).tid == 2
    store.sweep()
    store.queue.cancel_all("s")
    store.queue.remove("s")
    for trial in store.trials.find("s"):
        with pytest.raises(LeaseLost):
            finish(store, Trial.from_document({**raw(store, trial.tid), "token": "none"}))
    assert [raw(store, tid) for tid in range(2)] == before
