"""Test MongoJobs and MongoTrials on a real server."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import Any

import pytest
from hyperopt import mongoexp
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, JOB_STATE_NEW, JOB_STATE_RUNNING
from hyperopt.mongoexp import OperationFailure
from support.clients import counts_of
from support.home import REPOSITORY, until
from support.hyperopt_jobs import document, experiment

from hyperhive.mongoexp import MongoJobs, MongoTrials
from hyperhive.store.errors import BadAddress, LoginRefused, NotAllowed, StoreUnavailable
from hyperhive.store.hyperopt import attachments, leases
from hyperhive.store.hyperopt.address import standard_uri
from hyperhive.store.server.client import with_login
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import HYPEROPT, Status
from hyperhive.store.trials.updates import new_token


def expire_lease(store: Store, job: dict[str, Any]) -> None:
    """End a job's lease."""
    over = [{"$set": {"lease_until": {"$subtract": ["$$NOW", 1]}}}]
    store.database.jobs.update_one({"_id": job["_id"]}, over)


# -- addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "standard"),
    [
        ("mongo://localhost:1234/foo_db/jobs", "mongodb://localhost:1234/foo_db"),
        ("mongo://h/d/jobs", "mongodb://h/d"),
        ("mongo://u:p@h:1/d/jobs", "mongodb://u:p@h:1/d"),
        ("mongo://u:p%@s@h:1/d/jobs", "mongodb://u:p%25%40s@h:1/d"),
        ("mongo://u:p@h:1/d/jobs?authSource=a", "mongodb://u:p@h:1/d?authSource=a"),
        ("mongo://hyperopt:p@h:1/d/jobs", "mongodb://hyperopt:p@h:1/d?authSource=admin"),
        ("mongo://hyperopt:p@h:1/d/jobs?authSource=a", "mongodb://hyperopt:p@h:1/d?authSource=a"),
        ("mongodb://u:p@h,i/d?tls=true", "mongodb://u:p@h,i/d?tls=true"),
        ("mongodb+srv://u:p@h.net/d", "mongodb+srv://u:p@h.net/d"),
    ],
)
def test_hyperopts_addresses_are_understood(given: str, standard: str) -> None:
    """Addresses of hyperopt become standard ones, and standard ones are unchanged."""
    assert standard_uri(given) == standard


@pytest.mark.parametrize(
    "address",
    [
        "mongo://u:secret@h:1/d",
        "mongo://u:secret@h:1/d/other",
        "mongo://u:sec/ret@h:1/d/jobs",
        "mongo+ssh://u:secret@h:1/d/jobs",
        "http://u:secret@h:1/d/jobs",
        "mongo://u:secret@h:port/d/jobs",
    ],
)
def test_a_malformed_address_is_refused_without_its_password(address: str) -> None:
    """The error is one sentence that does not quote the address."""
    with pytest.raises(BadAddress) as refused:
        MongoTrials(address)
    assert "sec" not in str(refused.value)


def test_a_password_may_be_in_a_file(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, mongo_uri: str, store: Store
) -> None:
    """Without a password in the address it is read from ~/.hyperopt, as hyperopt does."""
    monkeypatch.setenv("HOME", str(tmp_path))
    login, _, where = mongo_uri.partition("://")[2].partition("@")
    user, _, password = login.partition(":")
    address = "mongo://{}@{}/jobs".format(user, where.partition("?")[0])
    with pytest.raises(BadAddress, match=r"\.hyperopt"):
        MongoTrials(address)
    (tmp_path / ".hyperopt").write_text(password + "\n")
    assert len(MongoTrials(address)) == 0
    (tmp_path / ".hyperopt").write_text("wrong\n")
    with pytest.raises(LoginRefused) as refused:
        MongoTrials(address)
    assert "wrong" not in str(refused.value)


def test_a_server_that_is_away_is_an_error() -> None:
    """Connecting raises the error; hyperopt's own classes would raise at the first job."""
    with pytest.raises(StoreUnavailable, match="does not answer"):
        MongoTrials("mongo://127.0.0.1:9/d/jobs")


# -- jobs -------------------------------------------------------------------------------------


def test_a_job_has_the_fields_of_our_trials(store: Store) -> None:
    """A job from MongoTrials can be claimed, held and finished like any trial of ours."""
    trials = experiment(store)
    trials.insert_trial_docs([document(7)])
    claimed = store.queue.claim("w", new_token(), [HYPEROPT])
    assert claimed is not None
    assert (claimed.label, claimed.vals, claimed.objective) == ("e/7", {"x": 0.5}, HYPEROPT)
    assert store.queue.heartbeat(claimed).lease_until is not None
    assert store.queue.finish(claimed.id, str(claimed.token), {"status": "ok", "loss": 0.25})
    trials.refresh()
    assert trials.best_trial["result"] == {"status": "ok", "loss": 0.25}


def test_a_job_without_an_experiment_is_claimed_too(store: Store) -> None:
    """An exp_key of None, which hyperopt allows, and a tid that is text do no harm."""
    experiment(store, None).insert_trial_docs([document("a", None)])
    claimed = store.queue.claim("w", new_token(), [HYPEROPT])
    assert claimed is not None
    assert claimed.label == "/a"


def test_hyperopts_jobs_and_our_trials_are_kept_apart(store: Store) -> None:
    """Our workers claim jobs only if they ask for them, and hyperopt reserves no trial of ours."""
    experiment(store).insert_trial_docs([document(0)])
    assert store.queue.claim("w", new_token(), ["lenet5"]) is None
    store.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    jobs = MongoJobs(store)
    reserved = jobs.reserve("h")
    assert reserved is not None
    assert reserved["exp_key"] == "e"
    assert jobs.reserve("h") is None
    jobs.update(reserved, {"state": JOB_STATE_DONE})


def test_a_reserved_job_is_held_until_it_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is renewed while this process lives, and no longer once the job has ended."""
    monkeypatch.setattr(leases, "DEFAULT_LEASE_S", 2.0)
    experiment(store).insert_trial_docs([document(0)])
    jobs = MongoJobs(store)
    job = jobs.reserve(("host", 1))
    assert job is not None
    assert (job["state"], job["owner"]) == (JOB_STATE_RUNNING, ["host", 1])

    def renewed() -> bool:
        return jobs.get(job["_id"])["lease_until"] > job["lease_until"]

    until(renewed, "a renewed lease")
    assert jobs.jobs_dead() == []
    job_now = jobs.get(job["_id"])
    assert (job_now["lease_until"] - job_now["refresh_time"]).total_seconds() == 2.0
    jobs.update(job, {"state": JOB_STATE_DONE, "result": {"status": "ok", "loss": 0.0}})
    until(lambda: jobs._leases._thread is None, "the end of the thread")


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_leases_end_with_the_store(
    store: Store, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing a store that holds a job leaves no thread behind, and no traceback of one."""
    monkeypatch.setattr(leases, "DEFAULT_LEASE_S", 0.4)
    experiment(store).insert_trial_docs([document(0)])
    with Store(mongo_uri) as closed:
        jobs = MongoJobs(closed)
        assert jobs.reserve(("host", 1)) is not None
    until(lambda: jobs._leases._thread is None, "the end of the thread")


def test_a_job_whose_worker_vanished_is_reserved_again(store: Store) -> None:
    """Once its lease is over it counts as dead, and the first worker's updates are refused."""
    experiment(store).insert_trial_docs([document(0)])
    first, second = MongoJobs(store), MongoJobs(store)
    job = first.reserve("h1")
    assert job is not None
    assert second.reserve("h2") is None
    expire_lease(store, job)
    assert [dead["_id"] for dead in second.jobs_dead()] == [job["_id"]]
    again = second.reserve("h2")
    assert again is not None
    assert (again["_id"], again["attempts"]) == (job["_id"], 2)
    with pytest.raises(OperationFailure, match="somebody else"):
        first.update(job, {"state": JOB_STATE_DONE})
    second.update(again, {"state": JOB_STATE_DONE})
    first.let_go(job)


def test_a_workers_login_is_enough_for_a_job(store: Store, admin_uri: str, mongo_uri: str) -> None:
    """A device with a worker's login runs jobs, and cannot post or delete any."""
    trials = experiment(store)
    trials.insert_trial_docs([document(0)])
    trials.attachments["FMinIter_Domain"] = b"pickle"
    with Store(admin_uri) as admin:
        password = admin.roles.invite("nano")
    with Store(with_login(mongo_uri, "nano", password)) as device:
        jobs = MongoJobs(device)
        job = jobs.reserve("nano")
        assert job is not None
        theirs = MongoTrials(jobs, "e", refresh=False)
        assert theirs.attachments["FMinIter_Domain"] == b"pickle"
        for value in (b"first", b"second"):
            theirs.trial_attachments(job)["model"] = value
        assert theirs.trial_attachments(job)["model"] == b"second"
        jobs.update(job, {"state": JOB_STATE_DONE, "result": {"status": "ok", "loss": 0.5}})
        for refused in (lambda: jobs.insert(document(1)), jobs.delete_all):
            with pytest.raises(NotAllowed):
                refused()
    assert trials.count_by_state_unsynced(JOB_STATE_DONE) == 1


def test_an_update_changes_the_job_in_hand_too(store: Store) -> None:
    """An update raises the version, sets the server's time, and refuses another _id."""
    jobs = MongoJobs(store)
    job = jobs.insert(document(0))
    assert jobs.update(job, {"result": {"status": "ok"}}) is job
    stored = jobs.get(job["_id"])
    for name in ("version", "result", "refresh_time"):
        assert stored[name] == job[name]
    assert job["version"] == 1
    assert job["refresh_time"] is not None
    with pytest.raises(ValueError, match="_id"):
        jobs.update(job, {"_id": "other"})
    with pytest.raises(ValueError, match="_id"):
        jobs.update({}, {})
    jobs.delete(job)
    assert len(jobs) == 0


def test_a_condition_narrows_what_is_reserved(store: Store) -> None:
    """The condition may name the experiment and any other field, but not an owner."""
    jobs = MongoJobs(store)
    for tid, exp_key in enumerate("abc"):
        jobs.insert(document(tid, exp_key))
    for asked, tid in (({"exp_key": "b"}, 1), ({"cond": {"tid": 2}}, 2)):
        job = jobs.reserve("h", **asked)
        assert job is not None
        assert job["tid"] == tid
        jobs.update(job, {"state": JOB_STATE_DONE})
    with pytest.raises(ValueError, match="owns"):
        jobs.reserve("h", cond={"owner": "me"})


# -- trials -----------------------------------------------------------------------------------


def test_experiments_are_views_of_one_collection(store: Store) -> None:
    """Each sees its own trials, the one without a key sees all, and none sees a study's."""
    for exp_key in ("a", "b"):
        experiment(store, exp_key).insert_trial_docs([document(0, exp_key), document(1, exp_key)])
    store.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    everything = experiment(store, None)
    assert len(everything) == 4
    view = everything.view("b")
    assert (len(view), view.handle) == (2, everything.handle)
    assert {trial["exp_key"] for trial in view} == {"b"}
    assert [trial.label for trial in store.trials.find("s")] == ["s/0"]


def test_counts_are_those_of_the_database(store: Store) -> None:
    """The database is asked each time, for one state or several, without a refresh."""
    trials = experiment(store)
    states = [JOB_STATE_NEW] * 3 + [JOB_STATE_DONE] * 2 + [JOB_STATE_ERROR]
    trials.insert_trial_docs([document(tid, state=state) for tid, state in enumerate(states)])
    experiment(store, "other").insert_trial_docs([document(0, "other")])
    assert trials.count_by_state_unsynced(JOB_STATE_NEW) == 3
    assert trials.count_by_state_unsynced([JOB_STATE_NEW, JOB_STATE_DONE]) == 5
    assert trials.count_by_state_synced(JOB_STATE_NEW) == 0
    trials.refresh()
    assert trials.count_by_state_synced([JOB_STATE_NEW, JOB_STATE_DONE]) == 5
    assert len(trials) == 5, "failed trials are none of fmin's"
    with pytest.raises(ValueError, match="state"):
        trials.count_by_state_unsynced(17)


def test_fmin_does_not_wait_for_a_job_that_nobody_may_try_again(store: Store) -> None:
    """Counting unfinished jobs ends those of dead workers with no attempt left."""
    trials = experiment(store)
    trials.insert_trial_docs([document(0, max_attempts=1)])
    claimed = store.queue.claim("w", new_token(), [HYPEROPT])
    assert claimed is not None
    assert trials.count_by_state_unsynced([JOB_STATE_NEW, JOB_STATE_RUNNING]) == 1
    expire_lease(store, {"_id": claimed.id})
    assert trials.count_by_state_unsynced([JOB_STATE_NEW, JOB_STATE_RUNNING]) == 0
    assert store.trials.get(claimed.id).error["kind"] == "worker_lost"  # type: ignore[union-attr]


@pytest.mark.parametrize("state", [JOB_STATE_NEW, JOB_STATE_RUNNING])
def test_fmin_does_not_wait_for_jobs_of_an_old_hyperopt(store: Store, state: int) -> None:
    """A job without the fields that leases need is never run by our workers, and not counted."""
    store.database.jobs.insert_one(document(0, state=state))
    trials = experiment(store)
    assert trials.count_by_state_unsynced([JOB_STATE_NEW, JOB_STATE_RUNNING]) == 0
    store.database.jobs.update_one({}, {"$set": {"state": JOB_STATE_DONE}})
    assert trials.count_by_state_unsynced(JOB_STATE_DONE) == 1


def test_a_job_that_is_posted_anew_has_all_its_attempts(store: Store) -> None:
    """Users of hyperopt run a failed job again by setting its state back."""
    jobs = MongoJobs(store)
    jobs.insert(document(0))
    for _ in range(3):
        job = jobs.reserve("h")
        assert job is not None
        expire_lease(store, job)
    assert store.queue.expire() == 1
    job = jobs.get(job["_id"])
    jobs.update(job, {"state": JOB_STATE_NEW, "owner": None})
    assert jobs.reserve("h") is not None


def test_a_study_of_the_same_name_leaves_hyperopts_jobs_alone(store: Store) -> None:
    """The study does not list, count, end or delete them."""
    jobs = MongoJobs(store)
    jobs.insert(document(0, "s"))
    store.studies.open("s", {})
    assert store.trials.find("s") == []
    assert sum(counts_of(store).values()) == 0
    assert store.cancel_study("s") == 0
    store.delete_study("s")
    assert [job["state"] for job in jobs] == [JOB_STATE_NEW]


def test_a_lease_is_kept_however_often_others_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short jobs that start and end do not delay the heartbeat of a long one."""
    monkeypatch.setattr(leases, "DEFAULT_LEASE_S", 2.0)
    jobs = MongoJobs(store)
    jobs.insert(document(0))
    held = jobs.reserve("h")
    assert held is not None
    (before,) = list(jobs.jobs_running())
    store.database.jobs.update_one(
        {"_id": held["_id"]}, [{"$set": {"lease_until": {"$add": ["$$NOW", 1]}}}]
    )
    for _ in range(10):
        jobs.let_go({"_id": "another"})
        time.sleep(0.1)
    (after,) = list(jobs.jobs_running())
    jobs.let_go(held)
    assert after["lease_until"] > before["lease_until"]


def test_a_refresh_sees_whatever_happened(store: Store) -> None:
    """New, changed, failed and deleted trials are seen; by tid, only those with these tids."""
    trials, handle = experiment(store), MongoJobs(store)
    jobs = [handle.insert(document(tid)) for tid in range(4)]
    trials.refresh()
    assert trials.tids == [0, 1, 2, 3]
    before = list(trials)
    trials.refresh()
    assert all(old is new for old, new in zip(before, trials)), "nothing was loaded again"
    for job in jobs[1:3]:
        handle.update(job, {"result": {"status": "ok", "loss": 0.5}})
    trials.refresh_tids([1])
    assert [result["status"] for result in trials.results] == ["new", "ok", "new", "new"]
    handle.update(jobs[0], {"state": JOB_STATE_ERROR})
    handle.delete(jobs[3])
    handle.insert(document(4))
    trials.refresh_tids([4])
    assert trials.tids == [0, 1, 2, 3, 4]
    trials.refresh_tids([3])
    assert trials.tids == [0, 1, 2, 4]
    trials.refresh()
    assert trials.tids == [1, 2, 4]
    assert [result["status"] for result in trials.results] == ["ok", "ok", "new"]
    assert handle.jobs_error()[0]["tid"] == 0


@pytest.mark.long
def test_a_refresh_of_nothing_new_is_cheap(store: Store) -> None:
    """For 10,000 unchanged trials it takes at most a fifth of the load, usually 2 or 3 %."""
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    from refresh import fill, measure

    jobs = MongoJobs(store)
    jobs.create_indexes()
    fill(jobs, "many", 10_000)
    load, refresh = measure(jobs, "many")
    assert refresh < 0.2 * load


@pytest.mark.long
def test_a_trial_id_is_given_once(mongo_uri: str, store: Store) -> None:
    """Four processes that ask for 50 times 3 ids in a new database never share one."""
    experiment(store)  # its indexes
    script = (
        "import sys; from hyperhive.mongoexp import MongoTrials\n"
        "trials = MongoTrials(sys.stdin.read(), refresh=False)\n"
        "print(*[tid for _ in range(50) for tid in trials.new_trial_ids(3)])"
    )
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=str(REPOSITORY),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in asking:
        assert process.stdin is not None
        process.stdin.write(mongo_uri)
        process.stdin.close()
    given = [process.stdout.read().split() for process in asking]  # type: ignore[union-attr]
    assert [process.wait() for process in asking] == [0] * 4
    assert sorted(int(tid) for tids in given for tid in tids) == list(range(600))


def test_deleting_hyperopts_trials_leaves_our_studies(store: Store) -> None:
    """Trials and weights of studies stay, whatever MongoTrials deletes."""
    store.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    weights = store.blobs.put(b"weights", "s/0.safetensors")
    trials = experiment(store, None)
    trials.attachments["domain"] = b"pickle"
    (job,) = trials.insert_trial_docs([document(0, None)])
    trials.refresh()
    (trial,) = [each for each in trials if each["_id"] == job]
    trials.trial_attachments(trial)["model"] = b"bytes"
    trials.delete_all()
    assert list(trials) == []
    assert store.blobs.get(weights) == b"weights"
    assert store.database.fs.files.count_documents({}) == 1
    assert counts_of(store)[Status.NEW] == 1


# -- attachments ------------------------------------------------------------------------------


def test_experiments_do_not_share_attachments(store: Store) -> None:
    """Each experiment has its own under the same name, also the one without a key."""
    named = {key: experiment(store, key) for key in ("a", "b", None)}
    for key, trials in named.items():
        trials.attachments["FMinIter_Domain"] = f"of {key}"
    for key, trials in named.items():
        assert trials.attachments["FMinIter_Domain"] == f"of {key}".encode()
        assert list(trials.attachments) == ["FMinIter_Domain"]
    named["a"].delete_all()
    assert "FMinIter_Domain" not in named["a"].attachments
    assert "FMinIter_Domain" in named["b"].attachments
    with pytest.raises(KeyError):
        named["a"].attachments["FMinIter_Domain"]
    with pytest.raises(KeyError):
        del named["a"].attachments["FMinIter_Domain"]


def test_a_trials_attachments_are_replaced_and_deleted(store: Store) -> None:
    """The second attachment of a name replaces the first, whose file is deleted."""
    trials, handle = experiment(store), MongoJobs(store)
    job = handle.insert(document(0))
    attached = trials.trial_attachments(job)
    attached["model"] = b"first"
    attached["model"] = "second"
    attached["log"] = b""
    assert {name: attached[name] for name in attached} == {"model": b"second", "log": b""}
    assert store.database.fs.files.count_documents({}) == 2
    with pytest.raises(KeyError):
        attached["nothing"]
    handle.delete_attachment(job, "log")
    with pytest.raises(OperationFailure):
        handle.delete_attachment(job, "log")
    assert list(trials.trial_attachments(handle.get(job["_id"]))) == ["model"]
    trials.delete_all()
    assert store.database.fs.files.count_documents({}) == 0
    assert store.database.fs.chunks.count_documents({}) == 0


def test_a_large_attachment_is_warned_about(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """It is stored, and the warning has its size and says where data sets belong."""
    data = bytes(attachments.LARGE)
    trials = experiment(store)
    with caplog.at_level(logging.WARNING):
        trials.attachments["small"] = data[1:]
        assert not caplog.messages
        trials.attachments["FMinIter_Domain"] = data
    (message,) = caplog.messages
    assert "FMinIter_Domain has 17 MB" in message
    assert "docs/hyperopt.md" in message
    assert trials.attachments["FMinIter_Domain"] == data


def test_attachments_are_shared_with_hyperopts_own_class(store: Store) -> None:
    """GridFS is laid out as in hyperopt: each class reads the other's attachments."""
    jobs = MongoJobs(store)
    theirs, ours = mongoexp.MongoTrials(jobs, "e"), experiment(store)
    theirs.attachments["a"] = b"theirs"
    ours.attachments["b"] = b"ours"
    assert ours.attachments["a"] == b"theirs"
    assert theirs.attachments["b"] == b"ours"
    assert sorted(theirs.attachments) == sorted(ours.attachments) == ["a", "b"]
