"""Workers and the jobs of hyperopt's fmin: who runs the code they bring, and what comes of it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from hyperopt import hp, rand
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, JOB_STATE_NEW, JOB_STATE_RUNNING, Domain
from support.bomb import Bomb
from support.clients import counts_of
from support.home import REPOSITORY, Home, Program, until

from hyperhive.mongoexp import MongoJobs, MongoTrials
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status

ALLOWED = "--allow-pickled-objectives"


@pytest.fixture
def uri(store: Store, mongo_uri: str) -> str:
    """Return the session's server, its database emptied."""
    return mongo_uri


def start(home: Home, uri: str, *options: str) -> Program:
    """Start a worker of one slot with a short lease."""
    options = ("--device", "cpu", "--slots", "1", "--lease", "2", *options)
    return home.start("worker", *options, HYPERHIVE_MONGO=uri)


def post(store: Store, exp_key: str, fn: Any, count: int = 1, **fields: Any) -> MongoTrials:
    """Post what ``fmin`` would: the pickle of a function, and jobs that it shall run."""
    trials = MongoTrials(MongoJobs(store), exp_key)
    domain = Domain(fn, hp.uniform("x", 0, 1))
    trials.attachments["FMinIter_Domain"] = cloudpickle.dumps(domain)
    jobs = rand.suggest(trials.new_trial_ids(count), domain, trials, seed=1)
    trials.insert_trial_docs([{**job, **fields} for job in jobs])
    return trials


def jobs_of(trials: MongoTrials) -> list[dict[str, Any]]:
    return sorted(trials.handle.jobs.find({"exp_key": trials._exp_key}), key=lambda job: job["tid"])


def test_a_worker_unpickles_nothing_unless_it_may(
    home: Home, store: Store, uri: str, tmp_path: Path
) -> None:
    """A job that brings a bomb stays where it is; a worker that was allowed sets it off."""
    planted = tmp_path / "planted"
    trials = post(store, "e", abs, max_attempts=1)
    trials.attachments["FMinIter_Domain"] = pickle.dumps(Bomb(planted))
    store.queue.post(Draft("s", 0, {"no": "configuration"}, {}, objective="lenet5"))
    careful = start(home, uri)
    until(lambda: counts_of(store)[Status.ERROR], "the worker at work")
    careful.signal(signal.SIGTERM)
    assert careful.end() == 0
    (job,) = jobs_of(trials)
    assert (job["state"], job["attempts"]) == (JOB_STATE_NEW, 0)
    assert not planted.exists()
    bold = start(home, uri, ALLOWED)
    bold.says("anyone who can write to the database can run anything on this machine")
    until(planted.exists, "the bomb")
    until(lambda: jobs_of(trials)[0]["state"] == JOB_STATE_ERROR, "the end of a job without code")


@pytest.mark.long
def test_what_a_job_does_to_itself_ends_no_worker(home: Home, store: Store, uri: str) -> None:
    """Pickles that cannot be read, functions that raise or exit: each fails its trial, in words."""

    def good(x: float) -> dict[str, Any]:
        return {"status": "ok", "loss": x, "attachments": {"x": repr(x).encode()}}

    def fails(x: float) -> dict[str, Any]:
        return {"status": "fail", "why": "no loss"}

    def raises(x: float) -> float:
        raise ZeroDivisionError("by itself")

    def leaves(x: float) -> float:
        raise SystemExit(7)

    missing = post(store, "missing", good, max_attempts=1)
    missing.attachments["FMinIter_Domain"] = b"cnot_a_module\nf\n."
    broken = {
        "No module named 'not_a_module'": missing,
        "ZeroDivisionError: by itself": post(store, "raises", raises, max_attempts=1),
        "sys.exit(7)": post(store, "leaves", leaves, max_attempts=1),
    }
    failing = post(store, "fails", fails)
    trials = post(store, "good", good, 3)
    worker = start(home, uri, ALLOWED)

    def done() -> bool:
        return trials.count_by_state_unsynced(JOB_STATE_DONE) == 3

    until(done, "the last jobs")
    for why, experiment in broken.items():
        (job,) = jobs_of(experiment)
        assert job["state"] == JOB_STATE_ERROR
        assert why in job["error"]["message"]
    assert jobs_of(failing)[0]["result"] == {"status": "fail", "why": "no loss"}
    trials.refresh()
    for trial in trials:
        (x,) = trial["misc"]["vals"]["x"]
        assert trial["result"] == {"status": "ok", "loss": x}
        assert trials.trial_attachments(trial)["x"] == repr(x).encode()
    assert {job["owner"] for job in trials} == {jobs_of(missing)[0]["owner"]}
    assert "a new one starts" not in worker.said()


@pytest.mark.long
def test_what_a_job_raises_or_returns_ends_no_worker(home: Home, store: Store, uri: str) -> None:
    """What the store cannot hold is its error after one run; nothing of it is attached."""

    def interrupts(x: float) -> float:
        raise KeyboardInterrupt

    def quotes(x: float) -> float:
        raise AssertionError(os.fsdecode(b"caf\xe9: ") + "1.5, " * 4_000_000)

    def unstorable(x: float) -> dict[str, Any]:
        return {"status": "ok", "loss": x, "curve": [x] * 100_000, "converged": np.bool_(True)}

    def attaches(x: float) -> dict[str, Any]:
        return {"status": "ok", "loss": x, "attachments": {"a": b"a", "model": {"w": 1}}}

    broken = {
        "KeyboardInterrupt": post(store, "interrupts", interrupts, max_attempts=1),
        "AssertionError: caf\\xe9: 1.5, 1.5, ": post(store, "quotes", quotes, max_attempts=1),
        "'converged' is or contains something": post(store, "unstorable", unstorable),
        "'model' must be bytes or text, not dict": post(store, "attaches", attaches),
    }
    good = post(store, "good", float)
    worker = start(home, uri, ALLOWED)
    until(lambda: good.count_by_state_unsynced(JOB_STATE_DONE), "the last job")
    for why, experiment in broken.items():
        (job,) = jobs_of(experiment)
        assert (job["state"], job["attempts"], job.get("_attachments")) == (
            JOB_STATE_ERROR,
            1,
            None,
        )
        assert why in job["error"]["message"]
        assert len(job["error"]["message"]) <= 4000
    assert "a new one starts" not in worker.said()


@pytest.mark.long
def test_a_job_outlives_its_worker(home: Home, store: Store, uri: str, tmp_path: Path) -> None:
    """Of two workers the one that has the job is killed: the other does it, after the lease."""
    path = tmp_path / "killed"

    def slow_at_first(x: float) -> float:
        while not path.exists():
            time.sleep(0.05)
        return x

    trials = post(store, "e", slow_at_first)
    for _ in range(2):
        start(home, uri, ALLOWED)
    until(lambda: jobs_of(trials)[0]["state"] == JOB_STATE_RUNNING, "a claim")
    (job,) = jobs_of(trials)
    os.kill(int(job["owner"].split("-")[-2]), signal.SIGKILL)
    path.touch()
    until(lambda: trials.count_by_state_unsynced(JOB_STATE_DONE), "the other's result")
    (after,) = jobs_of(trials)
    assert after["attempts"] == 2
    assert after["owner"] != job["owner"]


@pytest.mark.long
def test_the_documents_example_runs(home: Home) -> None:
    """The examples of its README and its MongoDB page, on a server and two workers of their own."""
    ran = subprocess.run(
        [sys.executable, str(REPOSITORY / "docs" / "hyperopt_example.py")],
        cwd=str(home.work),
        env=home.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stdout
    assert "README: best is {'a': " in ran.stdout
    assert "MongoDB page: best is {'x': " in ran.stdout
    assert "110 trials, run by 2 workers" in ran.stdout
    home.is_empty()
