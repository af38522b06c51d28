"""Every algorithm goes on as if never stopped, when its coordinator is killed and started again."""

from __future__ import annotations

import signal

import pytest
from support.fleet import Fleet
from support.home import until

from hyperhive.coordinator.suggest import OWN
from hyperhive.store.trials.terms import AUTO, SEARCH

TRIALS = 13
"""More than the ten at random with which Optuna's samplers begin."""
STUDY = """
name = "{name}"
trials = {trials}
algorithm = "{algorithm}"
objective = "quick"
startup = 3

[space]
epochs = 1
learning_rate = {{ distribution = "loguniform", low = 0.001, high = 0.1 }}
units = {{ distribution = "quniform", low = 2, high = 30, step = 1 }}

[[space.optimizer.choices]]
kind = "adam"

[[space.optimizer.choices]]
kind = "sgd"
momentum = {{ distribution = "uniform", low = 0.0, high = 0.95 }}
"""
QUICK = ("turbo+tpe", "cma")
"""They have the most to work out again: a region and a distribution that moved."""
OTHERS = ("hyperopt:hyperopt.anneal.suggest", "optuna:TPESampler", "optuna:GPSampler")
ALGORITHMS = [
    each if each in QUICK else pytest.param(each, marks=pytest.mark.long)
    for each in (*OWN, AUTO, *OTHERS)
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_03_a_killed_coordinator_leaves_no_trace_in_what_is_suggested(
    fleet: Fleet, algorithm: str
) -> None:
    """With one worker, its study has the configurations of one that was never disturbed.

    It is killed while it draws the first trials, when the algorithm has begun, and near the end.
    """
    files = []
    for name in ("calm", "s"):
        text = STUDY.format(name=name, trials=TRIALS, algorithm=algorithm)
        files.append(fleet.home.work / f"{name}.toml")
        files[-1].write_text(text)
    calm, killed = map(str, files)
    worker = fleet.worker(seconds="0.1")
    assert fleet.home.call("coordinator", calm, HYPERHIVE_MONGO=fleet.way).returncode == 0
    with fleet.store() as store:
        for posted in (2, 6, 11):
            coordinator = fleet.home.start("coordinator", killed, HYPERHIVE_MONGO=fleet.way)
            until(lambda n=posted: len(store.trials.find("s", SEARCH)) >= n, "the next post")
            coordinator.signal(signal.SIGKILL)
            coordinator.end()
        last = fleet.home.call("coordinator", killed, HYPERHIVE_MONGO=fleet.way)
        assert last.returncode == 0, last.stderr
        suggested = {
            name: [trial.vals for trial in store.trials.find(name, SEARCH)]
            for name in ("calm", "s")
        }
    assert len(suggested["calm"]) == TRIALS
    assert suggested["s"] == suggested["calm"]
    assert "Traceback" not in worker.said()
