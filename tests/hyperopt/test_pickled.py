"""What an objective returns: its attachments reach the store, what cannot be stored is told."""

from __future__ import annotations

from typing import Any

import pytest
from support.hyperopt_jobs import document

from hyperhive.mongoexp import MongoCtrl, MongoJobs, MongoTrials
from hyperhive.store.errors import StoreUnavailable, Unstorable
from hyperhive.store.hyperopt.worker import _plain
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import HYPEROPT
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.worker.objectives import hyperopt_job as pickled
from hyperhive.worker.objectives.api import Context, Stopped


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickled, "_RETRY_S", 0.0)


@pytest.fixture
def jobs(store: Store) -> MongoJobs:
    """Return the jobs of a database that has one."""
    jobs = MongoJobs(store)
    jobs.insert(document(0))
    return jobs


def claimed(jobs: MongoJobs) -> Trial:
    trial = jobs.store.queue.claim("w", new_token(), [HYPEROPT])
    assert trial is not None
    return trial


def attach(jobs: MongoJobs, trial: Trial, stops: bool = False) -> MongoCtrl:
    nothing: Any = None
    context = Context("cpu", nothing, nothing, lambda: stops, trial, jobs.store, nothing)
    ctrl = MongoCtrl(MongoTrials(jobs, "e", refresh=False), jobs.get(trial.id), read_only=False)
    pickled._attach({"a": b"1", "b": b"2"}, ctrl, context)
    return ctrl


def lose_replies(jobs: MongoJobs, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let updates happen, but lose their replies."""
    update, left = jobs.update, [None] * times

    def losing(*args: Any, **kwargs: Any) -> Any:
        answer = update(*args, **kwargs)
        if left:
            left.pop()
            raise StoreUnavailable("the reply was lost")
        return answer

    monkeypatch.setattr(jobs, "update", losing)


def attached(jobs: MongoJobs, trial: Trial) -> list[str]:
    job = jobs.get(trial.id)
    assert [jobs.get_attachment(job, name) for name in ("a", "b")] == [b"1", b"2"]
    return sorted(name for name, _ in job["_attachments"])


def test_attachments_wait_for_the_store(jobs: MongoJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The objective is not run again for them, even if only the replies were lost."""
    trial = claimed(jobs)
    lose_replies(jobs, monkeypatch, 3)
    attach(jobs, trial)
    assert attached(jobs, trial) == ["a", "b"]


def test_a_worker_that_stops_waits_no_longer(
    jobs: MongoJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is asked to stop gives the trial back."""
    trial = claimed(jobs)
    lose_replies(jobs, monkeypatch, 9)
    with pytest.raises(Stopped):
        attach(jobs, trial, stops=True)


@pytest.mark.parametrize("levels", [None, 5000], ids=["endless", "deep"])
def test_a_result_of_too_many_levels_is_told_as_that(levels: int | None) -> None:
    """The conversion of hyperopt's fails at it as it does at a wrong type."""
    result: list[Any] = []
    innermost = result
    for _ in range(levels or 0):
        innermost.append([])
        innermost = innermost[0]
    if levels is None:
        result.append(result)
    with pytest.raises(Unstorable, match="'tree': it contains itself, or is nested too deep"):
        _plain({"loss": 0.5, "tree": result})
