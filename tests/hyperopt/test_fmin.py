"""Test hyperopt's own ``fmin`` with our MongoTrials, and its own worker with our MongoJobs."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from hyperopt import STATUS_FAIL, STATUS_OK, fmin, hp, mongoexp, rand, space_eval, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR
from hyperopt.early_stop import no_progress_loss
from hyperopt.exceptions import AllTrialsFailed
from hyperopt.mongoexp import ReserveTimeout
from support.hyperopt_jobs import QUIET, document, experiment, searching, workers

from hyperhive.mongoexp import MongoJobs, MongoWorker
from hyperhive.store.store import Store

SPACE = {"x": hp.uniform("x", -10, 10), "kind": hp.choice("kind", ["near", "far"])}


def objective(point: dict[str, Any]) -> float:
    return float(point["x"] ** 2 + (point["kind"] == "far"))


def test_fmin_finds_the_best(store: Store, tmp_path: Path) -> None:
    """``fmin`` returns the best trial's point, which space_eval turns into the objective's."""
    trials = experiment(store)
    with workers(store, 2, tmp_path):
        best = fmin(objective, SPACE, tpe.suggest, 24, trials=trials, **QUIET)
    assert trials.count_by_state_unsynced(JOB_STATE_DONE) == len(trials) == 24
    assert len(set(trials.tids)) == 24
    point = space_eval(SPACE, best)
    assert objective(point) == trials.best_trial["result"]["loss"] == min(trials.losses())
    assert trials.argmin == best
    assert fmin(objective, SPACE, tpe.suggest, 24, trials=trials, **QUIET) == best, "all are there"


def test_points_to_evaluate_come_first(store: Store, tmp_path: Path) -> None:
    """The points are ordinary trials, and are not posted again when the search is continued."""
    trials = experiment(store)
    points = [{"x": 0.0, "kind": 0}, {"x": 1.0, "kind": 1}]
    with workers(store, 1, tmp_path):
        for count in (4, 6):
            best = trials.fmin(
                objective, SPACE, rand.suggest, count, points_to_evaluate=points, **QUIET
            )
            assert best == points[0]
            assert len(trials) == count
    assert trials.losses()[:2] == [0.0, 2.0]


@pytest.mark.long
def test_fmin_stops_early(store: Store, tmp_path: Path) -> None:
    """An early-stop function, a threshold and a time-out each end an endless search."""
    ends: list[dict[str, Any]] = [
        {"early_stop_fn": no_progress_loss(3)},
        {"loss_threshold": 1e9},
        {"timeout": 1},
    ]
    with workers(store, 2, tmp_path):
        for number, end in enumerate(ends):
            trials = experiment(store, f"e{number}")
            assert fmin(
                lambda x: x, hp.uniform("x", 1, 2), rand.suggest, trials=trials, **end, **QUIET
            )
            assert trials.best_trial["result"]["loss"] >= 1


def test_results_bring_attachments_and_failures(store: Store, tmp_path: Path) -> None:
    """An objective may attach bytes, report a failure, or raise: fmin ignores failed trials."""

    def objective(x: float) -> dict[str, Any]:
        if x < -0.5:
            raise ZeroDivisionError(f"no {x}")
        if x > 0.5:
            return {"status": STATUS_FAIL}
        attachments = {"x": repr(x).encode(), "text": "$x"}
        return {"status": STATUS_OK, "loss": x, "more": [x], "attachments": attachments}

    trials = experiment(store)
    points = [{"x": -1.0}, {"x": 0.25}, {"x": 1.0}]
    worker = MongoWorker(trials.handle, workdir=str(tmp_path), logfilename=None)
    with searching(trials, objective, hp.uniform("x", -1, 1), 3, points_to_evaluate=points):
        with pytest.raises(ZeroDivisionError):
            worker.run_one(reserve_timeout=30)
        worker.run_one(reserve_timeout=30)
        worker.run_one(reserve_timeout=30)
    failed, best, without = sorted(trials.handle, key=lambda job: job["tid"])
    assert (failed["state"], failed["error"][1]) == (JOB_STATE_ERROR, "no -1.0")
    assert trials.tids == [best["tid"], without["tid"]]
    assert trials.best_trial["result"] == {"status": STATUS_OK, "loss": 0.25, "more": [0.25]}
    attached = trials.trial_attachments(trials.best_trial)
    assert dict(attached.items()) == {"x": b"0.25", "text": b"$x"}
    assert trials.statuses() == [STATUS_OK, STATUS_FAIL]


def test_a_search_of_failures_says_so(store: Store, tmp_path: Path) -> None:
    """If no trial has a loss, fmin ends with hyperopt's own error."""
    with workers(store, 1, tmp_path), pytest.raises(AllTrialsFailed):
        fmin(
            lambda x: {"status": STATUS_FAIL},
            hp.uniform("x", 0, 1),
            rand.suggest,
            2,
            trials=experiment(store),
            **QUIET,
        )


@pytest.mark.parametrize("worker_class", [MongoWorker, mongoexp.MongoWorker])
def test_either_worker_class_runs_a_job(store: Store, tmp_path: Path, worker_class: Any) -> None:
    """Our class and hyperopt's run a job of our MongoJobs: result, attachment, directory, log."""

    def objective(x: float) -> dict[str, Any]:
        Path("was_here").touch()
        logging.getLogger("objective").error("working")
        return {"status": STATUS_OK, "loss": x, "attachments": {"x": b"bytes"}}

    trials = experiment(store)
    before = os.getcwd()
    log = str(tmp_path / "log.txt")
    worker = worker_class(
        MongoJobs(store), 1.0, workdir=str(tmp_path / "w"), exp_key="e", logfilename=log
    )
    with searching(trials, objective, hp.uniform("x", 0, 1), 1):
        worker.run_one(reserve_timeout=30)
    assert trials.best_trial["result"]["status"] == STATUS_OK
    assert trials.trial_attachments(trials.best_trial)["x"] == b"bytes"
    assert (tmp_path / "w" / "was_here").exists()
    assert "working" in Path(log).read_text()
    assert os.getcwd() == before
    with pytest.raises(ReserveTimeout):
        worker.run_one(reserve_timeout=0.1)


@pytest.mark.parametrize("worker_class", [MongoWorker, mongoexp.MongoWorker])
def test_either_worker_class_stores_an_error_of_any_text(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker_class: Any
) -> None:
    """An error may quote megabytes, or a file whose name is not UTF-8; its job ends in state 3."""
    monkeypatch.chdir(tmp_path)  # hyperopt's class does not return to its folder after an error
    name = os.fsdecode(b"caf\xe9.csv ")

    def objective(x: float) -> float:
        raise ValueError(name + "1.5, " * 4_000_000)

    trials = experiment(store)
    worker = worker_class(MongoJobs(store), 1.0, workdir=str(tmp_path), logfilename=None)
    with searching(trials, objective, hp.uniform("x", 0, 1), 1), pytest.raises(
        ValueError, match="caf"
    ):
        worker.run_one(reserve_timeout=30)
    (job,) = trials.handle.jobs_error()
    assert job["error"][1].startswith("caf\\xe9.csv 1.5, ")
    assert len(job["error"][1]) < 5000


def test_a_pickle_that_cannot_be_read_fails_its_trial(store: Store, tmp_path: Path) -> None:
    """The error says what is wrong and where, and the next job is run."""
    trials = experiment(store)
    trials.attachments["FMinIter_Domain"] = b"cnot_a_module\nf\n."
    trials.insert_trial_docs([document(0)])
    worker = MongoWorker(trials.handle, workdir=str(tmp_path), logfilename=None)
    with pytest.raises(ValueError, match="No module named 'not_a_module'"):
        worker.run_one(reserve_timeout=5)
    (job,) = trials.handle.jobs_error()
    assert "cannot be unpickled here" in job["error"][1]


@pytest.mark.long
def test_hyperopts_plots_are_drawn(store: Store, tmp_path: Path) -> None:
    """The plots of hyperopt, of history and variables, accept our trials."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    plotting = pytest.importorskip("hyperopt.plotting")
    pyplot.switch_backend("agg")
    trials = experiment(store)
    with workers(store, 2, tmp_path):
        fmin(objective, SPACE, rand.suggest, 8, trials=trials, **QUIET)
    for plot in (plotting.main_plot_history, plotting.main_plot_histogram, plotting.main_plot_vars):
        plot(trials, do_show=False)
    pyplot.close("all")
