"""What functions of a user's do to a worker that runs them: each loses nothing and ends nothing."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from support.bench import Bench, post, the_trial
from support.home import until

from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Goal
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.objectives.function import FunctionObjective, RunningTrial

Run = Callable[..., Trial]


@pytest.fixture
def run(mongo_uri: str, tmp_path: Path, store: Store) -> Iterator[Run]:
    """Give a function that lets a worker run a function's trial, and then one more."""
    with contextlib.ExitStack() as stack:

        def run(function: Callable[..., Any], **draft: Any) -> Trial:
            post(store, 0, **{"max_attempts": 1, **draft})
            objective = FunctionObjective(function)
            bench = stack.enter_context(Bench(mongo_uri, tmp_path / "outbox", objective))
            assert bench.run_one()
            trial = the_trial(store)
            post(store, 1)
            bench.objectives["lenet5"] = FunctionObjective(lambda config: 1.0)
            assert bench.run_one()
            assert the_trial(store, 1).loss == 1.0
            return trial

        yield run


def forking(in_the_child: Callable[[RunningTrial], Any]) -> Callable[..., Any]:
    """Return a function whose fork does something; its result has the fork's exit code."""

    def train(config: Any, trial: RunningTrial) -> Any:
        trial.report(1, accuracy=0.5)
        child = os.fork()
        if child == 0:
            return in_the_child(trial)
        _, status = os.waitpid(child, 0)
        trial.report(2, accuracy=0.75)
        return {"loss": 0.5, "child": status >> 8}

    return train


def _raise(trial: RunningTrial) -> None:
    raise ValueError("in the child")


@pytest.mark.parametrize(
    ("in_the_child", "code"),
    [
        (lambda trial: 0.0, 0),
        (lambda trial: sys.exit(3), 3),
        (lambda trial: sys.exit(), 0),
        (_raise, 1),
        (lambda trial: trial.report(3), 1),
    ],
    ids=["returns", "exits", "exits well", "raises", "reports"],
)
def test_a_fork_delivers_nothing(run: Run, in_the_child: Callable[..., Any], code: int) -> None:
    """However it comes back from the function, only the process that it began in has a result."""
    trial = run(forking(in_the_child))
    assert (trial.status, trial.late, trial.claims) == (Status.DONE, 0, 1)
    assert (trial.result["loss"], trial.result["child"]) == (0.5, code)
    assert [entry["step"] for entry in trial.result["history"]] == [1, 2]


def test_a_function_may_have_processes_of_its_own(run: Run) -> None:
    """Those of ``multiprocessing`` end by themselves."""

    def train(config: Any) -> Any:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return sum(pool.map(abs, [-1, -2]))

    assert run(train).loss == 3


def test_a_function_that_never_asks_ends_before_its_cancel_does(run: Run, store: Store) -> None:
    """The heartbeat goes on meanwhile, and hears of it; what it found is kept."""

    def train(config: Any) -> float:
        store.queue.cancel_all("s")
        beats = the_trial(store).refresh_time
        until(lambda: the_trial(store).refresh_time != beats, "a heartbeat")
        return 0.5

    trial = run(train)
    assert (trial.status, trial.loss, trial.late) == (Status.DONE, 0.5, 0)


def test_a_refused_result_is_said_once_in_a_sentence(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """The store and the log have it; a traceback would only show hyperhive's own code."""
    with caplog.at_level(logging.ERROR):
        trial = run(lambda config: None)
    assert trial.status is Status.ERROR
    said = str((trial.error or {})["message"])
    assert said.startswith("lenet5 returned nothing (None): it must be the loss, a number, or")
    assert caplog.messages == [f"s, trial 0: failed, and is not tried again: {said}"]


def test_the_goal_travels_with_the_trial(run: Run) -> None:
    """The worker that runs it makes the loss, which the store then has."""
    trial = run(lambda config: {"accuracy": 0.75}, goal=Goal("accuracy", "maximize"))
    assert (trial.loss, trial.result["accuracy"]) == (-0.75, 0.75)
