"""The experiments of hyperopt's ``fmin`` in the views and commands of studies, as hyperopt's."""

from __future__ import annotations

from typing import Any

import pytest
from support.home import Home
from support.hyperopt_jobs import document, experiment
from support.live import fleet_of, study_of
from support.printed import plain

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.coordinator.views.status import report
from hyperhive.mongoexp import MongoJobs
from hyperhive.store.errors import NotFound
from hyperhive.store.server.client import with_login
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import HYPEROPT, ErrorKind, Status
from hyperhive.store.trials.updates import new_token


def finish(store: Store, loss: float, worker: str = "w", **more: Any) -> None:
    """Have a worker do the oldest job."""
    trial = store.queue.claim(worker, new_token(), [HYPEROPT])
    assert trial is not None
    result = {"status": "ok", "loss": loss, **more}
    store.queue.finish(trial.id, str(trial.token), result)


def point(tid: int, exp_key: Any = "mine/1", **vals: float) -> dict[str, Any]:
    job = document(tid, exp_key, max_attempts=1)
    job["misc"]["vals"] = {label: [value] for label, value in vals.items()}
    job["misc"]["idxs"] = {label: [tid] for label in vals}
    return job


@pytest.fixture
def mine(store: Store) -> Store:
    """Give a store with an experiment: two results, a failure, a running job, a waiting one."""
    jobs = [point(tid, lr=0.25 * tid, act=tid % 2) for tid in range(5)]
    experiment(store, "mine/1").insert_trial_docs(jobs)
    finish(store, 0.5, curve=list(range(1000)))
    finish(store, 0.047)
    failing = store.queue.claim("w", new_token(), [HYPEROPT])
    assert failing is not None
    store.queue.fail(failing, ErrorKind.OBJECTIVE, "ValueError: no rows")
    store.queue.claim("w", new_token(), [HYPEROPT])
    store.workers.report("w", None, "cpu", {}, "mine/1/3", objectives=[HYPEROPT])
    return store


def printed(store: Store, name: str | None = None) -> str:
    return plain(report(store, name))


def test_status_shows_an_experiment_as_hyperopts(mine: Store) -> None:
    """Its counts, its best loss with its values, and what its worker does; and no budget."""
    mine.studies.open("s", {"trials": 9})
    mine.queue.post(Draft("s", 0, {"epochs": 2}, {}, objective="lenet5"))
    said = printed(mine)
    line = next(line for line in said.splitlines() if "mine/1 (fmin)" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[1:5] == ["2", "1", "1", "1"]
    assert cells[5] == "loss 0.047"
    assert "best trial 1: lr 0.25, act 1" in said
    assert "mine/1, trial 3" in said
    assert "0 of 9" in said
    assert "mine/1" in printed(mine, "mine/1")
    assert "(fmin)" not in printed(mine, "s")


def test_an_experiment_without_a_key_is_shown_too(store: Store) -> None:
    """It is named by the empty text; jobs of hyperopt's own class, without our fields, are not."""
    experiment(store, None).insert_trial_docs([point(0, None, lr=0.5)])
    store.database.jobs.insert_one(document(1, "old"))
    finish(store, 0.5)
    assert "(no exp_key) (fmin)" in printed(store)
    assert "loss 0.5" in printed(store, "")
    assert "old" not in printed(store)


def test_a_viewer_follows_an_experiment(mine: Store, admin_uri: str, mongo_uri: str) -> None:
    """New jobs and results are seen at the next look, by a login that only reads."""
    with Store(admin_uri) as admin:
        password = admin.roles.invite("tv", "viewer")
    with Store(with_login(mongo_uri, "tv", password)) as viewer:
        shown, study = fleet_of(viewer), study_of(viewer, "mine/1")
        line = next(each for each in shown["studies"] if each["name"] == "mine/1")
        assert (line["shown"], line["state"], line["left"]) == ("mine/1", "fmin", "")
        assert line["counts"] == "2 done, 1 running, 1 waiting, 1 failed"
        assert "loss 0.047" in study["sentence"][0]
        assert "hyperparameters: lr 0.25, act 1" in study["sentence"]
        assert "failed (ValueError: no rows)" in study["trials"]["note"]
        assert [worker["does"] for worker in shown["workers"]] == ["mine/1, trial 3"]
        reader = FleetReader(viewer)
        reader.read()
        finish(mine, 0.01)
        MongoJobs(mine).insert(point(9, lr=1.0, act=0))
        (state,) = reader.read().studies
        assert state.best is not None
        assert (state.best.tid, state.best.loss, state.counts[Status.NEW]) == (4, 0.01, 1)
        assert reader.read().studies[0] is state
        assert study_of(viewer, "mine/1")["best"] == 4


def test_what_a_function_returned_is_not_read_for_a_view(mine: Store) -> None:
    """A result may have megabytes beside its loss."""
    (state,) = FleetReader(mine).read().studies
    assert state.trials[0].result == {"status": "ok", "loss": 0.5}


def test_a_failed_result_and_hyperopts_own_errors_are_told(store: Store) -> None:
    """A loss of a trial that reports its failure is not the best; an error may be a list."""
    jobs = MongoJobs(store)
    for tid in range(2):
        jobs.insert(point(tid, lr=0.5))
    trial = store.queue.claim("w", new_token(), [HYPEROPT])
    assert trial is not None
    store.queue.finish(trial.id, str(trial.token), {"status": "fail", "loss": 0.1})
    job = jobs.reserve("h")
    assert job is not None
    jobs.update(job, {"state": 3, "error": ["<class 'KeyError'>", "'x'"]})
    (state,) = FleetReader(store).read().studies
    assert state.best is None
    assert state.trials[1].error == {"kind": "objective", "message": "<class 'KeyError'>: 'x'"}


def test_a_study_of_the_same_name_comes_first(mine: Store) -> None:
    """The commands mean the study, and neither has the other's trials."""
    mine.studies.open("mine/1", {"trials": 9})
    (state,) = FleetReader(mine).read().studies
    assert (state.is_experiment, state.trials) == (False, ())
    assert not mine.is_experiment("mine/1")


def test_best_describes_the_best_trial_of_an_experiment(
    home: Home, mine: Store, mongo_uri: str
) -> None:
    """The loss and the values are printed; an export is refused in a sentence."""
    said = home.call("best", "mine/1", HYPERHIVE_MONGO=mongo_uri).stdout
    assert "trial 1: loss 0.047 (lr 0.25, act 1)" in said
    assert "2 done, 1 running, 1 waiting, 1 failed" in said


def test_there_is_no_model_of_an_experiment(mine: Store) -> None:
    """``predict-cam``, an export and a retraining say so, and what to run in their place."""
    from hyperhive.coordinator.hyperopt_experiment import describe

    with pytest.raises(UsageError, match="no model"):
        describe(mine, "mine/1", needs_model=True)
    with pytest.raises(NotFound, match=r"experiment of hyperopt's fmin.*hyperhive best mine/1"):
        mine.model("mine/1")


def test_an_experiment_is_cancelled_and_deleted_by_command(
    home: Home, mine: Store, mongo_uri: str
) -> None:
    """Its waiting jobs end, what it has stays; then its jobs and attachments are gone."""
    experiment(mine, "mine/1").attachments["FMinIter_Domain"] = b"pickle"
    other = experiment(mine, "other")
    other.attachments["FMinIter_Domain"] = b"pickle"
    other.insert_trial_docs([point(0, "other")])
    uri = {"HYPERHIVE_MONGO": mongo_uri}
    cancelled = home.call("study", "cancel", "mine/1", **uri)
    assert "'mine/1' cancelled, 2 jobs with it" in cancelled.stdout
    (ended,) = mine.database.jobs.find({"tid": 4})
    assert ended["error"]["kind"] == "cancelled"
    (running,) = mine.trials.unfinished_jobs("mine/1")
    assert (running.tid, running.cancel_requested) == (3, True)
    deleted = home.call("study", "delete", "mine/1", "--yes", **uri)
    assert "experiment 'mine/1' deleted" in deleted.stdout
    assert not mine.is_experiment("mine/1")
    assert mine.database.fs.files.count_documents({}) == 1
    assert len(experiment(mine, "other")) == 1
    with pytest.raises(NotFound):
        report(mine, "mine/1")
