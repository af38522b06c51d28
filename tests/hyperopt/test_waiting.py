"""``fmin`` never waits without an end, nor without a word, for jobs that nobody here can run."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from hyperopt import fmin, hp, rand
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, JOB_STATE_NEW
from support.home import until
from support.hyperopt_jobs import QUIET, document, experiment, workers

from hyperhive.mongoexp import MongoJobs, MongoTrials
from hyperhive.store.errors import StudyWithdrawn
from hyperhive.store.hyperopt import search
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import HYPEROPT
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

SPACE = hp.uniform("x", 0, 1)


class Running:
    """``fmin`` in a thread."""

    def __init__(self, trials: MongoTrials, **options: Any) -> None:
        self.trials = trials
        self.error: BaseException | None = None
        self._options = {"max_evals": 2, **options}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            fmin(
                abs,
                SPACE,
                rand.suggest,
                trials=self.trials,
                return_argmin=False,
                **self._options,
                **QUIET,
            )
        except BaseException as error:
            self.error = error

    def end(self) -> None:
        """Wait for the end of ``fmin``."""
        self._thread.join(60)
        assert not self._thread.is_alive()


def posted(store: Store, count: int = 1) -> None:
    until(lambda: store.database.jobs.count_documents({}) >= count, "the jobs")


def report(store: Store, worker: str, *objectives: str) -> None:
    store.workers.report(worker, None, "cpu", {}, None, objectives=objectives)


def claimed(store: Store, worker: str = "w") -> Trial:
    trial = store.queue.claim(worker, new_token(), [HYPEROPT])
    assert trial is not None
    return trial


def test_a_time_limit_ends_a_search_whose_jobs_wait(store: Store) -> None:
    """Waiting jobs are withdrawn, and their errors say why."""
    running = Running(experiment(store), timeout=1)
    running.end()
    assert running.error is None
    jobs = list(store.database.jobs.find())
    assert {job["state"] for job in jobs} == {JOB_STATE_ERROR}
    assert {job["error"]["message"] for job in jobs} == {
        "withdrawn before a worker had run it: fmin of 'e' ends, as its timeout of 1 s is over"
    }


def test_a_time_limit_keeps_the_error_of_a_device(store: Store) -> None:
    """A job that was kept from the only worker ends with what that worker said."""
    running = Running(experiment(store), timeout=2, max_evals=1)
    posted(store)
    report(store, "w", HYPEROPT)
    store.queue.give_back(claimed(store), device_error="MemoryError: 80 TB")
    running.end()
    (job,) = store.database.jobs.find()
    assert job["state"] == JOB_STATE_ERROR
    assert job["error"]["message"].endswith("s is over; its last error: MemoryError: 80 TB")


def test_a_time_limit_waits_for_what_runs(store: Store) -> None:
    """A job that a worker has is not lost; another experiment's jobs are left alone."""
    MongoJobs(store).insert(document(99, "other"))
    running = Running(experiment(store, None), timeout=1, max_evals=2)
    posted(store, 2)
    store.database.jobs.update_one({"exp_key": "other"}, {"$set": {"excluded": ["w"]}})
    trial = claimed(store)
    assert trial.study == ""
    until(lambda: running.trials._search and running.trials._search.is_over, "the time limit")
    store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": 0.5})
    running.end()
    states = {job["exp_key"]: job["state"] for job in store.database.jobs.find()}
    assert states == {None: JOB_STATE_DONE, "other": JOB_STATE_NEW}


def test_a_job_at_which_every_worker_failed_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a time limit too: in state 3, with the last error."""
    monkeypatch.setattr("hyperhive.store.store.GIVE_UP_AFTER_S", 0.5)
    running = Running(experiment(store), max_evals=1)
    posted(store)
    ended = threading.Event()

    def here() -> None:
        while not ended.wait(0.05):
            report(store, "w", HYPEROPT)
            report(store, "other", "lenet5")

    reporting = threading.Thread(target=here)
    reporting.start()
    store.queue.give_back(claimed(store), device_error="MemoryError: 80 TB")
    running.end()
    ended.set()
    reporting.join()
    (job,) = store.database.jobs.find()
    assert job["state"] == JOB_STATE_ERROR
    assert "MemoryError: 80 TB" in job["error"]["message"]


@pytest.mark.parametrize(
    ("here", "fails", "said"),
    [
        ([], False, "fmin of 'e' waits: no worker is here: run `hyperhive worker --allow-"),
        ([("w", "lenet5")], False, "waits: no worker here runs hyperopt's jobs"),
        ([("w", HYPEROPT)], True, "waits: every worker here has failed at trial .*80 TB"),
    ],
)
def test_a_search_that_waits_says_why(
    store: Store,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    here: list[tuple[str, str]],
    fails: bool,
    said: str,
) -> None:
    """One line for each reason, and none once somebody works."""
    monkeypatch.setattr(search, "_TELL_AFTER_S", 0.0)
    trials = experiment(store)
    trials.insert_trial_docs([document(0)])
    for worker in here:
        report(store, *worker)
    if fails:
        store.queue.give_back(claimed(store), device_error="MemoryError: 80 TB")
    watched = search.Search(store, "e", None)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            watched.look()
    (message,) = caplog.messages
    assert re.search(said, message), message
    caplog.clear()
    report(store, "another", HYPEROPT)
    for _ in range(3):
        watched.look()
    assert caplog.messages == []


def test_a_cancelled_search_posts_no_more(store: Store, tmp_path: Path) -> None:
    """Its waiting job ends, the one that runs is waited for; the next call goes on."""
    trials = experiment(store)
    running = Running(trials, max_evals=1000)
    posted(store, 4)
    trial = claimed(store)
    until(lambda: trials._search and trials._search._unfinished, "a look")
    assert store.queue.cancel_jobs("e") >= 4
    until(lambda: trials._search and trials._search.is_cancelled, "the news")
    store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": 0.5})
    running.end()
    assert running.error is None
    assert trials.losses() == [0.5]
    with workers(store, 1, tmp_path):
        again = Running(trials, max_evals=3)
        again.end()
    assert len(trials) == 3


def test_a_search_whose_experiment_is_deleted_ends(store: Store) -> None:
    """The error says so."""
    trials = experiment(store)
    running = Running(trials, max_evals=1000)
    posted(store)
    until(lambda: trials._search and trials._search._unfinished, "a look")
    experiment(store).delete_all()
    running.end()
    assert isinstance(running.error, StudyWithdrawn)
