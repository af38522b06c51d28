"""Trials are posted and claimed."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest

from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import BASELINE, REFIT, SEARCH, ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

OURS = ["lenet5"]


def post(store: Store, tid: int = 0, study: str = "s", **fields: Any) -> bool:
    return store.queue.post(
        Draft(study, tid, {"epochs": 2}, {"epochs": 2.0}, **{"objective": "lenet5", **fields})
    )


def claim(store: Store, worker: str = "w1", lease: float = 60.0) -> Trial:
    trial = store.queue.claim(worker, new_token(), OURS, lease=lease)
    assert trial is not None
    return trial


def raw(store: Store, tid: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = store.client.hyperhive.jobs.find_one({"tid": tid})
    return document


def change(store: Store, **fields: Any) -> None:
    """Change the stored trials by hand, instead of waiting."""
    store.client.hyperhive.jobs.update_many({}, [{"$set": fields}])


# -- post -------------------------------------------------------------------------------------


def test_a_posted_trial_waits(store: Store) -> None:
    """A posted trial is NEW, never claimed, and has its config and its values."""
    assert post(store, tid=7, max_attempts=4)
    (trial,) = store.trials.find("s")
    assert (trial.status, trial.tid, trial.study, trial.purpose) == (Status.NEW, 7, "s", SEARCH)
    assert (trial.config, trial.vals, trial.objective) == ({"epochs": 2}, {"epochs": 2.0}, "lenet5")
    assert (trial.attempts, trial.max_attempts, trial.fence, trial.token) == (0, 4, 0, None)
    assert raw(store, 7)["version"] == 0


def test_a_posted_trial_has_the_keys_of_hyperopts_schema(store: Store) -> None:
    """A stored trial can be read by hyperopt, which requires these keys (base.Trials)."""
    post(store, tid=3)
    document = raw(store, 3)
    keys = {"tid", "exp_key", "state", "spec", "result", "misc", "owner", "version"}
    assert keys | {"book_time", "refresh_time"} <= set(document)
    assert document["misc"] == {
        "tid": 3,
        "cmd": ["objective", "lenet5"],
        "idxs": {"epochs": [3]},
        "vals": {"epochs": [2.0]},
    }


def test_a_trial_cannot_be_posted_twice(store: Store) -> None:
    """A second post of a tid returns False and leaves the first as it was."""
    assert post(store)
    claim(store)
    before = raw(store)
    assert not post(store, max_attempts=9)
    assert raw(store) == before
    assert store.client.hyperhive.jobs.count_documents({}) == 1


def test_a_tid_is_unique_within_study_and_purpose_only(store: Store) -> None:
    """Other studies and other purposes number their trials on their own."""
    assert post(store, study="a")
    assert post(store, study="b")
    assert post(store, study="a", purpose=BASELINE)
    assert post(store, study="a", purpose=REFIT)
    assert not post(store, study="a", purpose=REFIT)


# -- claim ------------------------------------------------------------------------------------


def test_an_empty_queue_gives_nothing(store: Store) -> None:
    """A claim on a database without trials returns None."""
    assert store.queue.claim("w1", new_token(), OURS) is None


def test_trials_are_claimed_in_the_order_they_were_posted(store: Store) -> None:
    """The oldest waiting trial goes first, whatever its tid."""
    for tid in (5, 3, 9):
        post(store, tid)
    assert [claim(store).tid for _ in range(3)] == [5, 3, 9]


def test_a_claim_charges_the_attempt_and_names_its_holder(store: Store) -> None:
    """A claim makes the trial RUNNING, raises fence, attempts and version, and notes its token."""
    post(store)
    token = new_token()
    trial = store.queue.claim("w1", token, OURS, lease=30.5)
    assert trial is not None
    assert (trial.status, trial.token, trial.owner) == (Status.RUNNING, token, "w1")
    assert (trial.fence, trial.attempts, trial.progress) == (1, 1, None)
    assert trial.lease_until is not None
    assert trial.book_time is not None
    assert trial.lease_until - trial.book_time == datetime.timedelta(seconds=30.5)
    document = raw(store)
    assert document["version"] == 1
    assert [(issue["token"], issue["worker"]) for issue in document["issued"]] == [(token, "w1")]


def test_a_claimed_trial_is_not_claimed_again(store: Store) -> None:
    """While its lease lasts, no other worker can claim a running trial."""
    post(store)
    claim(store)
    assert store.queue.claim("w2", new_token(), OURS) is None


def test_a_trial_waits_until_its_time(store: Store) -> None:
    """``not_before`` in the server's future hides a waiting trial; in its past it does not."""
    post(store)
    change(store, not_before={"$add": ["$$NOW", 60_000]})
    assert store.queue.claim("w1", new_token(), OURS) is None
    change(store, not_before={"$subtract": ["$$NOW", 1]})
    assert claim(store).tid == 0


def test_only_known_objectives_are_claimed(store: Store) -> None:
    """A worker gets no trial of an objective that it did not name."""
    post(store, tid=0, objective="resnet")
    assert store.queue.claim("w1", new_token(), OURS) is None
    assert store.queue.claim("w1", new_token(), []) is None
    trial = store.queue.claim("w1", new_token(), ["lenet5", "resnet"])
    assert trial is not None
    assert trial.objective == "resnet"


def test_a_worker_of_a_study_gets_all_its_purposes_and_no_other_study(store: Store) -> None:
    """A worker of one study gets its search, baseline and refit trials."""
    post(store, study="other")
    post(store, study="s2")
    for purpose in (SEARCH, BASELINE, REFIT):
        post(store, study="s", purpose=purpose)
    claimed = [store.queue.claim("w1", new_token(), OURS, study="s") for _ in range(4)]
    assert [trial and (trial.study, trial.purpose) for trial in claimed] == [
        ("s", SEARCH),
        ("s", BASELINE),
        ("s", REFIT),
        None,
    ]


def test_an_excluded_worker_leaves_the_trial_to_others(store: Store) -> None:
    """A trial that a worker's device could not run goes to another worker only."""
    post(store)
    store.queue.give_back(claim(store, "w1"), device_error="no memory")
    assert store.queue.claim("w1", new_token(), OURS) is None
    assert claim(store, "w2").excluded == ("w1",)


def test_an_expired_lease_is_taken_over(store: Store) -> None:
    """Another worker claims a trial whose lease is over, under a higher fence."""
    post(store)
    first = claim(store, "w1", lease=0)
    store.queue.heartbeat(first, {"epoch": 1}, lease=0)
    second = claim(store, "w2")
    assert (second.id, second.owner, second.fence, second.attempts) == (first.id, "w2", 2, 2)
    assert second.token != first.token
    assert second.progress is None
    document = raw(store)
    assert [issue["token"] for issue in document["issued"]] == [first.token, second.token]
    assert document["version"] == 2


def test_a_waiting_trial_without_attempts_left_is_not_claimed(store: Store) -> None:
    """``max_attempts`` limits waiting trials as well as abandoned ones."""
    post(store, max_attempts=0)
    assert store.queue.claim("w1", new_token(), OURS) is None


def test_a_cancelled_trial_is_not_claimed(store: Store) -> None:
    """Neither a waiting trial nor an abandoned one is handed out after its cancel."""
    post(store, tid=0)
    claim(store, lease=0)
    post(store, tid=1)
    assert store.queue.cancel_all("s") == 2
    assert store.queue.claim("w2", new_token(), OURS) is None


def test_ended_trials_are_not_claimed(store: Store) -> None:
    """DONE and ERROR trials stay as they are."""
    post(store, tid=0)
    done = claim(store)
    store.queue.finish(done.id, str(done.token), {"loss": 0.5})
    post(store, tid=1)
    store.queue.fail(claim(store), ErrorKind.BAD_PAYLOAD, "no such layer")
    assert store.queue.claim("w1", new_token(), OURS) is None


# -- what became of a claim -------------------------------------------------------------------


def test_a_claim_whose_reply_was_lost_is_found_by_its_token(store: Store) -> None:
    """``claimed`` returns the trial that the claim took, and None for a token that took none."""
    post(store)
    trial = claim(store)
    assert store.queue.claimed(str(trial.token)) == trial
    assert store.queue.claimed(new_token()) is None


def test_a_token_that_no_longer_holds_its_trial_has_claimed_nothing(store: Store) -> None:
    """``claimed`` returns None once the trial was taken over or finished."""
    post(store)
    first = claim(store, "w1", lease=0)
    second = claim(store, "w2")
    assert store.queue.claimed(str(first.token)) is None
    store.queue.finish(second.id, str(second.token), {"loss": 0.5})
    assert store.queue.claimed(str(second.token)) is None


# -- text and time ----------------------------------------------------------------------------


def test_dollar_text_is_stored_as_it_stands(store: Store) -> None:
    """Configs, worker names and tokens that look like fields of a pipeline are stored literally."""
    store.queue.post(Draft("$s", 0, {"note": "$$NOW"}, {"augment": "$exp_key"}, objective="lenet5"))
    trial = store.queue.claim("$owner", "$misc", OURS, study="$s")
    assert trial is not None
    assert (trial.study, trial.config, trial.vals) == (
        "$s",
        {"note": "$$NOW"},
        {"augment": "$exp_key"},
    )
    assert (trial.owner, trial.token) == ("$owner", "$misc")
    issue = raw(store)["issued"][0]
    assert (issue["token"], issue["worker"]) == ("$misc", "$owner")


@pytest.mark.parametrize("clock", [0.0, 4102444800.0], ids=["1970", "2100"])
def test_times_are_the_servers(store: Store, monkeypatch: pytest.MonkeyPatch, clock: float) -> None:
    """A worker whose own clock is decades off claims and renews leases of the right length."""
    post(store)
    before = claim(store, lease=0).book_time
    monkeypatch.setattr(time, "time", lambda: clock)
    trial = store.queue.heartbeat(claim(store, lease=60), lease=60)
    assert before is not None
    assert trial.book_time is not None
    assert trial.lease_until is not None
    assert trial.book_time - before < datetime.timedelta(seconds=30)
    assert trial.lease_until - before < datetime.timedelta(seconds=90)
    assert store.queue.claim("w2", new_token(), OURS) is None
