"""MongoTrials can be copied and pickled: what ``trials_save_file`` of ``fmin`` does."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from hyperopt import fmin, hp, rand
from support.home import REPOSITORY
from support.hyperopt_jobs import QUIET, document, experiment, workers

from hyperhive.mongoexp import MongoJobs, MongoTrials
from hyperhive.store.server.client import with_login
from hyperhive.store.store import Store

DONE = {"state": 2, "result": {"status": "ok", "loss": 0.5}}


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda trials: pickle.loads(pickle.dumps(trials))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_goes_on_with_the_same_connection(
    store: Store, copied: Callable[[Any], Any]
) -> None:
    """It has the trials as they were, sees what is new, and is changed by itself."""
    trials = experiment(store)
    trials.insert_trial_docs([document(0, **DONE)])
    trials.refresh()
    other = copied(trials)
    assert (other.losses(), other.argmin) == ([0.5], {"x": 0.5})
    assert other.handle is trials.handle
    trials.insert_trial_docs([document(1, **DONE)])
    other.refresh()
    assert (len(other), len(trials)) == (2, 1)


@pytest.mark.long
def test_a_pickle_holds_no_login(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """Another process reads the trials without a server, and is told what a connection needs."""
    login, _, _ = mongo_uri.partition("://")[2].partition("@")
    password = login.partition(":")[2]
    trials = MongoTrials(mongo_uri, "e")
    trials.insert_trial_docs([document(0, **DONE)])
    trials.refresh()
    pickled = pickle.dumps(trials)
    assert password.encode() not in pickled
    script = (
        "import pickle, sys\n"
        "trials = pickle.loads(sys.stdin.buffer.read())\n"
        "print(trials.losses(), trials.argmin, flush=True)\n"
        "trials.refresh()"
    )
    read = subprocess.run(
        [sys.executable, "-c", script], input=pickled, cwd=str(REPOSITORY), capture_output=True
    )
    assert read.stdout.decode().split("\n")[0] == "[0.5] {'x': 0.5}"
    last = read.stderr.decode().strip().splitlines()[-1]
    assert "which holds no login" in last
    assert "MongoTrials(ADDRESS, exp_key)" in last


@pytest.mark.long
def test_another_process_connects_with_the_saved_login(
    store: Store, admin_uri: str, mongo_uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A device that keeps a login for this database needs no other."""
    from hyperhive.store.server import login

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with Store(admin_uri) as admin:
        password = admin.roles.invite("laptop", "coordinator")
    login.save(with_login(mongo_uri, "laptop", password))
    trials = MongoTrials(mongo_uri, "e")
    trials.insert_trial_docs([document(0, **DONE)])
    script = (
        "import pickle, sys\n"
        "trials = pickle.loads(sys.stdin.buffer.read())\n"
        "trials.refresh()\n"
        "print(len(trials))"
    )
    read = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(trials),
        cwd=str(REPOSITORY),
        capture_output=True,
    )
    assert read.stdout.decode() == "1\n", read.stderr.decode()


def test_fmin_saves_its_trials_and_goes_on_from_the_file(store: Store, tmp_path: Path) -> None:
    """``trials_save_file`` works as with hyperopt's own trials, also to continue."""
    path = str(tmp_path / "trials.pkl")
    with workers(store, 1, tmp_path):
        best = fmin(
            abs,
            hp.uniform("x", 0, 1),
            rand.suggest,
            2,
            trials=MongoTrials(MongoJobs(store), "e"),
            trials_save_file=path,
            **QUIET,
        )
        with open(path, "rb") as file:
            saved = pickle.load(file)
        saved.refresh()
        assert (len(saved), saved.argmin) == (2, best)
        fmin(abs, hp.uniform("x", 0, 1), rand.suggest, 3, trials_save_file=path, **QUIET)
    assert len(experiment(store)) == 3
