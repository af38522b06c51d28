"""An idle worker says which trials wait for what it lacks, and how it gets that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.bench import living, succeeds
from support.home import until

from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ASK, HYPEROPT
from hyperhive.worker.objectives import lacking
from hyperhive.worker.objectives.lacking import Lacking


def post(store: Store, tid: int, objective: str, study: str = "boost") -> None:
    store.queue.post(Draft(study, tid, {}, {}, objective=objective))


def said(caplog: pytest.LogCaptureFixture, store: Store, *has: str, study: Any = None) -> list[str]:
    """Return what a worker with these objectives says."""
    caplog.clear()
    Lacking(has, study).look(store)
    return caplog.messages


def test_each_objective_has_its_own_cure(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A file, a package, a flag; nobody can do anything about a program's own trials."""
    post(store, 0, "boost.py:train")
    for tid in range(2):
        post(store, tid, "my file.py:train", "other")
    post(store, 2, "theirs", "other")
    post(store, 3, ASK, "other")
    jobs(store)
    assert said(caplog, store, "lenet5") == [
        "1 trial of study boost waits for boost.py:train, which this worker does not have: start "
        "it with --objectives boost.py",
        "1 job of hyperopt's waits (experiment fmin) for a worker with "
        "--allow-pickled-objectives: this one was started without",
        "2 trials of study other wait for my file.py:train, which this worker does not have: start "
        "it with --objectives 'my file.py'",
        "1 trial of study other waits for theirs, which this worker does not have: install its "
        "package here (entry point hyperhive.objectives) and start it again",
    ]
    assert said(caplog, store, "boost.py:train", "theirs", "my file.py:train", HYPEROPT) == []
    assert len(said(caplog, store, study="boost")) == 1


def jobs(store: Store) -> None:
    store.client.hyperhive.jobs.insert_one(
        {
            "exp_key": "fmin",
            "tid": 0,
            "state": 0,
            "fence": 0,
            "misc": {"cmd": ["domain_attachment", "FMinIter_Domain"]},
        }
    )


def test_an_idle_worker_says_it_once(
    store: Store,
    mongo_uri: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However often it looks, and for each objective only, not for each study or trial."""
    monkeypatch.setattr(lacking, "_LOOK_EVERY_S", 0.0)
    post(store, 0, "boost.py:train", "s")
    with living(mongo_uri, tmp_path, succeeds, lacking=Lacking(["lenet5"], "s")):
        until(lambda: "boost.py:train" in caplog.text, "the sentence")
        post(store, 1, "boost.py:train", "s")
        post(store, 2, "late.py:train", "s")
        until(lambda: "late.py:train" in caplog.text, "the other sentence")
    assert caplog.text.count("boost.py:train") == 1


def test_a_look_is_seldom(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A worker polls once a second; each look is a request."""
    idle = Lacking([], None)
    idle.look(store)
    post(store, 0, "boost.py:train")
    idle.look(store)
    assert caplog.messages == []
