"""What happens to a trial that is held: heartbeat, fail, give back, expire, cancel."""

from __future__ import annotations

import datetime
import pickle
from typing import Any

import pytest
from bson import ObjectId

from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import BASELINE, ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import CURVE_POINTS, new_token

OURS = ["lenet5"]


def post(store: Store, tid: int = 0, study: str = "s", **fields: Any) -> None:
    assert store.queue.post(Draft(study, tid, {}, {}, **{"objective": "lenet5", **fields}))


def claim(store: Store, worker: str = "w1", lease: float = 60.0) -> Trial:
    trial = store.queue.claim(worker, new_token(), OURS, lease=lease)
    assert trial is not None
    return trial


def held(store: Store, worker: str = "w1", lease: float = 60.0, **fields: Any) -> Trial:
    """Post a trial and claim it."""
    post(store, **fields)
    return claim(store, worker, lease)


def finish(store: Store, trial: Trial) -> bool:
    return store.queue.finish(trial.id, str(trial.token), {"loss": 0.25})


def test_a_bulk_posts_all_but_the_numbers_that_are_taken(store: Store) -> None:
    """By a trial that runs, or by a document of hyperopt's; both stay, and the others are new."""
    running = held(store, tid=1)
    foreign = {"exp_key": "s", "tid": 3, "state": 0, "misc": {"cmd": ["domain_attachment", "x"]}}
    store.database["jobs"].insert_one(foreign)
    drafts = [Draft("s", tid, {"x": tid}, {"x": tid}, objective="lenet5") for tid in range(5)]
    posted = store.queue.post_all(drafts)
    assert [trial.tid for trial in posted] == [0, 2, 4]
    assert store.queue.post_all(drafts) == []
    assert store.trials.find("s") == [posted[0], running, *posted[1:]]
    assert store.database["jobs"].find_one({"tid": 3}) == foreign


def cancel(store: Store) -> Trial:
    """Ask for the end of the study's one unfinished trial; return it as it is then."""
    (unfinished,) = [trial for trial in store.trials.find("s") if not trial.is_final]
    store.queue.cancel_all("s")
    trial = store.trials.get(unfinished.id)
    assert trial is not None
    return trial


def raw(store: Store, tid: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = store.client.hyperhive.jobs.find_one({"tid": tid})
    return document


def assert_lost(store: Store, trial: Trial) -> None:
    """Check that every transition is refused for this Trial, and changes nothing."""
    before = raw(store, trial.tid)
    for refused in (
        lambda: store.queue.heartbeat(trial, {"epoch": 9}),
        lambda: store.queue.fail(trial, ErrorKind.OBJECTIVE, "too late"),
        lambda: store.queue.give_back(trial),
        lambda: store.queue.confirm_cancel(trial),
    ):
        with pytest.raises(LeaseLost):
            refused()
    assert raw(store, trial.tid) == before


# -- heartbeat --------------------------------------------------------------------------------


def test_a_heartbeat_extends_the_lease_and_stores_progress(store: Store) -> None:
    """The new lease counts from the heartbeat; fence and version stay as they were."""
    trial = held(store, lease=60)
    before = raw(store)
    beaten = store.queue.heartbeat(trial, {"epoch": 1, "loss": 0.5}, lease=90)
    assert beaten.lease_until is not None
    assert beaten.refresh_time is not None
    assert beaten.lease_until - beaten.refresh_time == datetime.timedelta(seconds=90)
    assert beaten.progress == {"epoch": 1, "loss": 0.5}
    after = raw(store)
    changed = {key for key in after if after[key] != before[key]}
    assert changed - {"refresh_time"} == {"lease_until", "progress", "curve"}


def test_progress_replaces_the_progress_before(store: Store) -> None:
    """Nothing of an earlier heartbeat's progress is left over in a later one's."""
    trial = held(store)
    store.queue.heartbeat(trial, {"epoch": 1, "stage": "warm-up"})
    assert store.queue.heartbeat(trial, {"epoch": 2}).progress == {"epoch": 2}
    assert store.queue.heartbeat(trial).progress is None


def test_a_trial_that_runs_keeps_the_curve_of_what_was_reported(store: Store) -> None:
    """Its numbers, once each; every second of many; none of an earlier claim, or with a result."""
    trial = held(store)
    for epoch in (1, 1, 2):
        beaten = store.queue.heartbeat(trial, {"epoch": epoch, "note": "$epoch"})
    assert beaten.curve == ({"epoch": 1.0}, {"epoch": 2.0})
    for epoch in range(3, 100):
        beaten = store.queue.heartbeat(trial, {"epoch": epoch})
    assert len(beaten.curve) <= CURVE_POINTS
    assert (beaten.curve[0], beaten.curve[-1]) == ({"epoch": 1.0}, {"epoch": 99.0})
    store.queue.give_back(trial)
    again = claim(store, "w2")
    assert again.curve == ()
    store.queue.heartbeat(again, {"epoch": 1})
    finish(store, again)
    assert raw(store)["curve"] is None


def test_a_heartbeat_renews_an_expired_lease_nobody_took(store: Store) -> None:
    """A laptop that slept past its lease keeps its trial, and nobody can claim it afterwards."""
    trial = held(store, lease=0)
    assert store.queue.heartbeat(trial).status is Status.RUNNING
    assert store.queue.claim("w2", new_token(), OURS) is None


def test_a_heartbeat_after_a_takeover_is_refused(store: Store) -> None:
    """Once another worker took the trial over, the first can change nothing about it."""
    first = held(store, "w1", lease=0)
    claim(store, "w2")
    assert_lost(store, first)


def test_a_heartbeat_is_refused_when_its_worker_claimed_the_trial_again(store: Store) -> None:
    """The fence tells two claims of the same worker apart."""
    first = held(store, "w1", lease=0)
    again = claim(store, "w1")
    assert_lost(store, first)
    assert store.queue.heartbeat(again).fence == 2


def test_fence_token_and_state_refuse_each_on_its_own(store: Store) -> None:
    """A holder is refused if fence, token or state is not what it was."""
    trial = held(store)
    jobs = store.client.hyperhive.jobs
    jobs.update_one({}, [{"$set": {"fence": 2}}])
    assert_lost(store, trial)
    jobs.update_one({}, [{"$set": {"fence": 1, "token": "another"}}])
    assert_lost(store, trial)
    jobs.update_one({}, [{"$set": {"token": trial.token, "state": int(Status.NEW)}}])
    assert_lost(store, trial)
    jobs.update_one({}, [{"$set": {"state": int(Status.RUNNING)}}])
    assert store.queue.heartbeat(trial).fence == 1


def test_a_heartbeat_after_the_finish_is_refused(store: Store) -> None:
    """A finished trial is immutable to its own worker too."""
    trial = held(store)
    finish(store, trial)
    assert_lost(store, trial)


def test_a_heartbeat_shows_that_a_cancel_was_asked(store: Store) -> None:
    """The worker sees a cancel in the trial that its heartbeat returns."""
    trial = held(store)
    assert not store.queue.heartbeat(trial).cancel_requested
    cancel(store)
    assert store.queue.heartbeat(trial).cancel_requested


def test_dollar_text_in_progress_is_literal(store: Store) -> None:
    """Progress that looks like a field or an operator is stored literally."""
    progress = {"note": "$result", "when": "$$NOW", "deep": ["$tid", {"text": "$token"}]}
    assert store.queue.heartbeat(held(store), progress).progress == progress


# -- fail -------------------------------------------------------------------------------------


def test_a_failed_attempt_backs_off(store: Store) -> None:
    """The n-th failed attempt waits 2^n seconds, at most 60, by the server's clock."""
    post(store, max_attempts=99)
    waits: list[float] = []
    for _ in range(7):
        store.queue.fail(claim(store), ErrorKind.OBJECTIVE, "out of luck")
        document = raw(store)
        waits.append((document["not_before"] - document["refresh_time"]).total_seconds())
        assert store.queue.claim("w2", new_token(), OURS) is None
        store.client.hyperhive.jobs.update_one({}, {"$set": {"not_before": None}})
    assert waits == [2, 4, 8, 16, 32, 60, 60]


def test_a_failed_attempt_leaves_the_trial_waiting(store: Store) -> None:
    """Before its last attempt a failed trial is NEW, has no owner, and says why it failed."""
    trial = held(store, max_attempts=2)
    failed = store.queue.fail(trial, ErrorKind.OBJECTIVE, "KeyError: 'x'")
    assert (failed.status, failed.owner, failed.token) == (Status.NEW, None, None)
    assert (failed.attempts, failed.fence, failed.lease_until) == (1, 2, None)
    assert failed.error == {"kind": "objective", "message": "KeyError: 'x'"}
    assert raw(store)["version"] == 2
    assert_lost(store, trial)


def test_the_last_failed_attempt_ends_the_trial(store: Store) -> None:
    """With no attempt left a failing trial is in ERROR, and keeps its owner."""
    trial = held(store, max_attempts=1)
    failed = store.queue.fail(trial, ErrorKind.OBJECTIVE, "no")
    assert (failed.status, failed.owner, failed.fence) == (Status.ERROR, "w1", 2)
    assert failed.error == {"kind": "objective", "message": "no"}
    assert failed.is_final
    assert_lost(store, trial)


def test_a_bad_payload_ends_the_trial_at_once(store: Store) -> None:
    """A configuration that no worker can run is not tried again."""
    failed = store.queue.fail(held(store, max_attempts=3), ErrorKind.BAD_PAYLOAD, "epochs: -1")
    assert (failed.status, failed.attempts) == (Status.ERROR, 1)
    assert failed.error == {"kind": "bad_payload", "message": "epochs: -1"}


def test_an_error_text_with_dollars_is_literal(store: Store) -> None:
    """An error's message is stored literally."""
    failed = store.queue.fail(held(store), ErrorKind.OBJECTIVE, "$config")
    assert failed.error == {"kind": "objective", "message": "$config"}


def test_a_later_success_clears_the_error(store: Store) -> None:
    """A trial that failed once and then finished is done, without an error."""
    store.queue.fail(held(store), ErrorKind.OBJECTIVE, "flaky")
    store.client.hyperhive.jobs.update_one({}, {"$set": {"not_before": None}})
    finish(store, claim(store))
    (trial,) = store.trials.find("s")
    assert (trial.status, trial.error, trial.attempts) == (Status.DONE, None, 2)


# -- give back --------------------------------------------------------------------------------


def test_a_trial_given_back_is_as_good_as_new(store: Store) -> None:
    """Its attempt is refunded, it has no owner, and any worker can claim it at once."""
    trial = held(store)
    returned = store.queue.give_back(trial)
    assert (returned.status, returned.attempts, returned.excluded) == (Status.NEW, 0, ())
    assert (returned.owner, returned.token, returned.lease_until) == (None, None, None)
    assert (returned.fence, raw(store)["version"]) == (2, 2)
    assert_lost(store, trial)
    assert claim(store, "w1").attempts == 1


def test_a_trial_given_back_with_exclusion_keeps_every_worker_it_excluded(store: Store) -> None:
    """Exclusions add up, and refunds keep the trial alive."""
    post(store, max_attempts=1)
    for worker in ("$w", "w2"):
        store.queue.give_back(claim(store, worker), device_error="no memory")
        assert store.queue.claim(worker, new_token(), OURS) is None
    assert set(claim(store, "w3").excluded) == {"$w", "w2"}


def test_no_number_of_give_backs_uses_a_trial_up(store: Store) -> None:
    """Workers that stop in good order cost a trial no attempt."""
    post(store, max_attempts=1)
    for _ in range(5):
        store.queue.give_back(claim(store))
    assert claim(store).attempts == 1


# -- expire -----------------------------------------------------------------------------------


def test_a_trial_that_lost_all_its_workers_ends(store: Store) -> None:
    """A sweep ends a trial whose lease is over and whose attempts are used up, once."""
    held(store, lease=0, max_attempts=1)
    assert store.queue.expire() == 1
    (trial,) = store.trials.find("s")
    assert (trial.status, trial.lease_until, trial.fence) == (Status.ERROR, None, 2)
    assert trial.error is not None
    assert trial.error["kind"] == "worker_lost"
    assert raw(store)["version"] == 2
    assert store.queue.expire() == 0


def test_a_sweep_leaves_what_may_still_go_on(store: Store) -> None:
    """A sweep ends no trial with a live lease, with attempts left, or that waits."""
    held(store, tid=0, lease=60, max_attempts=1)
    post(store, tid=1)
    post(store, tid=2)
    claim(store, lease=0)
    before = [raw(store, tid) for tid in range(3)]
    assert store.queue.expire() == 0
    assert [raw(store, tid) for tid in range(3)] == before


def test_a_sweep_confirms_a_cancel_for_the_dead(store: Store) -> None:
    """A cancelled trial of a dead worker ends as cancelled, with or without attempts left, once."""
    for tid, attempts in enumerate((3, 1)):
        held(store, tid=tid, lease=0, max_attempts=attempts)
        assert store.queue.cancel_all("s") == 1
    assert store.queue.expire() == 2
    for trial in store.trials.find("s"):
        assert trial.status is Status.ERROR
        assert trial.error == {"kind": "cancelled", "message": "cancelled"}


def test_a_sweep_leaves_a_cancelled_trial_to_its_live_worker(store: Store) -> None:
    """While the lease lasts, the worker confirms a cancel, not the sweep."""
    trial = held(store, lease=60)
    cancel(store)
    assert store.queue.expire() == 0
    assert store.queue.heartbeat(trial).cancel_requested


@pytest.mark.parametrize("how", ["given back", "failed"])
def test_a_sweep_ends_a_trial_handed_back_with_its_cancel_asked(store: Store, how: str) -> None:
    """A worker that hands a trial back before it saw the cancel does not revive it."""
    trial = held(store)
    cancel(store)
    if how == "given back":
        store.queue.give_back(trial)
    else:
        store.queue.fail(trial, ErrorKind.OBJECTIVE, "no")
    assert store.queue.claim("w2", new_token(), OURS) is None
    assert store.queue.expire() == 1
    (ended,) = store.trials.find("s")
    assert (ended.status, ended.error) == (
        Status.ERROR,
        {"kind": "cancelled", "message": "cancelled"},
    )


# -- cancel -----------------------------------------------------------------------------------


def test_a_waiting_trial_is_cancelled_at_once(store: Store) -> None:
    """No worker holds a waiting trial, so its cancel needs no confirmation."""
    post(store)
    cancelled = cancel(store)
    assert (cancelled.status, cancelled.fence) == (Status.ERROR, 1)
    assert cancelled.error == {"kind": "cancelled", "message": "cancelled"}
    assert raw(store)["version"] == 1


def test_a_running_trial_is_only_asked_to_end(store: Store) -> None:
    """A running trial stays its worker's until the worker has seen the cancel and confirms it."""
    trial = held(store)
    asked = cancel(store)
    assert (asked.status, asked.cancel_requested) == (Status.RUNNING, True)
    assert (asked.fence, asked.lease_until, asked.error) == (1, trial.lease_until, None)
    assert raw(store)["version"] == 2
    ended = store.queue.confirm_cancel(trial)
    assert (ended.status, ended.fence, ended.lease_until) == (Status.ERROR, 2, None)
    assert ended.error == {"kind": "cancelled", "message": "cancelled"}
    assert raw(store)["version"] == 3
    assert_lost(store, trial)


def test_a_cancel_can_be_asked_twice(store: Store) -> None:
    """A cancel whose reply was lost may be repeated, before and after it took effect."""
    trial = held(store)
    cancel(store)
    assert cancel(store).cancel_requested
    store.queue.confirm_cancel(trial)
    assert store.queue.cancel_all("s") == 0


def test_a_cancel_names_one_study(store: Store) -> None:
    """Trials of all its purposes end; those of another study are not touched."""
    post(store, tid=0)
    post(store, tid=0, purpose=BASELINE)
    post(store, tid=0, study="s2")
    assert store.queue.cancel_all("s") == 2
    assert [trial.status for trial in store.trials.find("s")] == [Status.ERROR, Status.ERROR]
    assert [trial.status for trial in store.trials.find("s2")] == [Status.NEW]
    assert store.queue.cancel_all("nothing") == 0


def test_an_ended_trial_cannot_be_cancelled(store: Store) -> None:
    """A cancel that comes after the end changes nothing."""
    finish(store, held(store, tid=0))
    post(store, tid=1)
    store.queue.fail(claim(store), ErrorKind.BAD_PAYLOAD, "no")
    before = [raw(store, tid) for tid in range(2)]
    assert store.queue.cancel_all("s") == 0
    assert [raw(store, tid) for tid in range(2)] == before


def test_a_cancel_nobody_asked_for_cannot_be_confirmed(store: Store) -> None:
    """A worker cannot end a trial as cancelled by itself."""
    trial = held(store)
    with pytest.raises(LeaseLost):
        store.queue.confirm_cancel(trial)
    assert store.queue.heartbeat(trial).status is Status.RUNNING


# -- drop the weights -------------------------------------------------------------------------


def test_dropped_weights_leave_the_result(store: Store) -> None:
    """A finished trial forgets where its weights are, and nothing else."""
    trial, file = held(store), ObjectId()
    store.queue.finish(trial.id, str(trial.token), {"loss": 0.25}, {"file_id": file})
    (done,) = store.trials.find("s")
    assert store.trials.referred_to([file, ObjectId()]) == {file}
    dropped = store.queue.drop_files(done)
    assert (dropped.artifact, dropped.loss, dropped.status) == (None, 0.25, Status.DONE)
    assert store.trials.referred_to([file]) == set()
    assert raw(store)["version"] == 3


def test_weights_of_an_unfinished_trial_cannot_be_dropped(store: Store) -> None:
    """``drop_files`` refuses a trial that has no result."""
    trial = held(store)
    with pytest.raises(LeaseLost):
        store.queue.drop_files(trial)


# -- what is there ----------------------------------------------------------------------------


def test_trials_are_found_by_study_purpose_and_number(store: Store) -> None:
    """``find`` returns the trials asked for, by tid; ``get`` returns one trial or None."""
    for tid in (2, 0, 1):
        post(store, tid=tid)
    post(store, tid=5, purpose=BASELINE)
    assert [trial.tid for trial in store.trials.find("s")] == [0, 1, 2, 5]
    assert [trial.tid for trial in store.trials.find("s", BASELINE)] == [5]
    assert [trial.tid for trial in store.trials.find("s", tids=[2, 0, 9])] == [0, 2]
    assert store.trials.find("t") == []
    trial = store.trials.find("s", tids=[1])[0]
    assert store.trials.get(trial.id) == trial
    assert store.trials.get("nothing") is None


def test_a_trial_can_be_copied_and_keeps_the_types_of_its_configuration(store: Store) -> None:
    """It is frozen and has slots. A value that was drawn as 12.0 may be 12 for the objective."""
    assert store.queue.post(Draft("s", 0, {"epochs": 12}, {"epochs": 12.0}, objective="lenet5"))
    trial = claim(store)
    assert pickle.loads(pickle.dumps(trial)) == trial
    assert type(trial.config["epochs"]) is int
