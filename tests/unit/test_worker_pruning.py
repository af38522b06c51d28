"""Trials that end early: the rules, and what a worker makes of them with a real store."""

from __future__ import annotations

import contextlib
import math
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

import pytest
from support.bench import Bench, post, the_trial
from support.clients import Gate, raw

from hyperhive.store.store import Store
from hyperhive.store.trials.draft import ASHA, MEDIAN, Goal
from hyperhive.store.trials.reader import AtRung
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.worker.objectives.api import Context, Objective, Outcome, Stopped
from hyperhive.worker.objectives.command import Command
from hyperhive.worker.objectives.function import FunctionObjective, RunningTrial
from hyperhive.worker.pruning.pruner import share_of
from hyperhive.worker.pruning.rules import RULES

Start = Callable[..., Bench]
MINE = 50
"""The number of the trial that is compared; the others have lower ones."""


@pytest.fixture
def start(mongo_uri: str, tmp_path: Path, store: Store) -> Iterator[Start]:
    """Give a function that starts a worker with an objective."""
    with contextlib.ExitStack() as stack:

        def start(objective: Objective, uri: str = mongo_uri) -> Bench:
            return stack.enter_context(Bench(uri, tmp_path / "outbox", objective))

        yield start


def others(store: Store, rungs: Mapping[str, float], count: int = 5) -> None:
    """Have trials of the study that have run to their end."""
    for tid in range(count):
        post(store, tid)
        trial = store.queue.claim("w", new_token(), ["lenet5"])
        assert trial is not None
        for rung, loss in rungs.items():
            store.queue.reach(trial, rung, loss)
        store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": 0.0})


def ran(store: Store, start: Start, objective: Any, pruner: str = MEDIAN, **fields: Any) -> Trial:
    """Post a trial with a pruner and have a worker run it; a function is made an objective."""
    post(store, MINE, pruner=pruner, **fields)
    assert start(objective).run_one()
    return the_trial(store, MINE)


def reporting(losses: Sequence[Any], asks: bool = True, of: float | None = None) -> Any:
    """Return a function that reports these losses, step by step, and returns 0."""

    def train(config: Mapping[str, Any], trial: RunningTrial) -> float:
        for step, loss in enumerate(losses, 1):
            trial.report(step, of=of, loss=loss)
            if asks and trial.should_stop():
                return 0.0
        return 0.0

    return FunctionObjective(train)


# -- the rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "share", "step", "rung"),
    [
        (MEDIAN, 5 / 30, 5.0, "1/10"),  # epoch 5 of 30 and epoch 5 of 5
        (MEDIAN, 5 / 5, 5.0, None),
        (MEDIAN, 0.09, 9.0, None),
        (MEDIAN, 3 / 10, 3.0, "3/10"),
        (MEDIAN, 0.1 + 0.2, 3.0, "3/10"),
        (MEDIAN, 2 / 3, 2.0, "3/5"),
        (MEDIAN, 29 / 30, 29.0, "9/10"),
        (MEDIAN, 2.0, 60.0, None),
        (MEDIAN, None, 1.0, "step 1"),
        (MEDIAN, None, 7.5, "step 4"),
        (MEDIAN, None, 0.5, None),
        (MEDIAN, None, None, None),
        (ASHA, 1 / 9, 1.0, "1/9"),
        (ASHA, 10 / 30, 10.0, "1/3"),
        (ASHA, 0.99, 99.0, "1/3"),
        (ASHA, None, 243.0, "step 243"),
        (ASHA, None, 242.0, "step 81"),
    ],
)
def test_a_trial_is_compared_at_shares_of_its_length_or_at_steps(
    rule: str, share: float | None, step: float | None, rung: str | None
) -> None:
    """Its last rung counts, so that it is never compared far behind the point where it is."""
    assert RULES[rule].rung(share, step) == rung


@pytest.mark.parametrize(
    ("progress", "cost", "share"),
    [
        ({"step": 3, "of": 30}, None, 0.1),
        ({"step": 3, "of": 30}, 7.0, 0.1),
        ({"done": 3, "epoch": 3}, 30.0, 0.1),
        ({"done": 3}, None, None),
        ({"step": 3}, 30.0, None),  # nobody said that its steps are what it costs
        ({"done": math.nan}, 30.0, None),
    ],
)
def test_the_share_is_known_from_what_is_reported(
    progress: Mapping[str, Any], cost: float | None, share: float | None
) -> None:
    """A function says it with ``of``, LeNet-5 with what is done of its cost."""
    assert share_of(progress, cost) == share


@pytest.mark.parametrize(
    ("rule", "goes_on", "ends"),
    [
        (MEDIAN, [(0, 0), (4, 4), (5, 2), (6, 3), (7, 3, 4)], [(5, 3), (6, 4), (7, 4)]),
        (ASHA, [(0, 0), (5, 0, 5), (5, 1, 1), (8, 2, 1)], [(1, 1), (4, 1), (8, 3), (8, 2, 2)]),
    ],
)
def test_a_rule_prunes_what_is_worse_than_enough_others(
    rule: str, goes_on: list[tuple[int, ...]], ends: list[tuple[int, ...]]
) -> None:
    """Each has how many others there are, and how many of them are better, and equal."""
    assert [RULES[rule].prunes(*AtRung(*each)) for each in goes_on] == [False] * len(goes_on)
    assert [RULES[rule].prunes(*AtRung(*each)) for each in ends] == [True] * len(ends)


# -- a trial that is pruned --------------------------------------------------------------------


@pytest.mark.parametrize("asks", [True, False])
def test_a_function_is_ended_with_its_last_value(store: Store, start: Start, asks: bool) -> None:
    """It is DONE, whatever the function returned, and its best loss so far was compared."""
    others(store, {"1/10": 0.9, "1/5": 0.35})
    last = 0.6 if asks else 0.7  # a function that does not ask learns it at its next report
    trial = ran(store, start, reporting([0.4, 0.6, 0.7, 0.1], asks, of=10))
    assert (trial.status, trial.attempts, trial.pruned) == (Status.DONE, 1, True)
    assert (trial.loss, trial.artifact, trial.metrics) == (last, None, {"loss": last})
    assert trial.rungs == {"1/10": 0.4, "1/5": 0.4}
    assert [entry["step"] for entry in trial.result["history"]] == [1, 2] + [3] * (not asks)
    assert trial.share == (0.2 if asks else 0.3)


def test_the_report_at_which_a_trial_is_pruned_returns(store: Store, start: Start) -> None:
    """So a function can ask and end in an order of its own; the next report raises."""
    others(store, {"1/10": 0.1})
    seen = []

    def train(config: Mapping[str, Any], trial: RunningTrial) -> float:
        trial.report(1, of=10, loss=0.5)
        seen.append(trial.should_stop())
        with pytest.raises(Stopped):
            trial.report(2, of=10, loss=0.4)  # it is not decided again, and this is its last value
        raise KeyError("in an end of its own")

    trial = ran(store, start, FunctionObjective(train))
    assert seen == [True]
    assert (trial.status, trial.pruned, trial.loss) == (Status.DONE, True, 0.4)
    assert trial.rungs == {"1/10": 0.5}


def test_a_larger_metric_is_better_if_it_is_to_be_maximized(store: Store, start: Start) -> None:
    """A rung has the loss that the goal makes of it."""
    others(store, {"1/10": -0.6, "1/5": -0.8})
    goal = Goal("accuracy", "maximize")

    def train(config: Mapping[str, Any], trial: RunningTrial) -> float:
        for step, accuracy in enumerate([0.7, 0.7, 0.7, 0.9], 1):
            trial.report(step, of=10, loss=9.0, accuracy=accuracy)
        return 0.0

    trial = ran(store, start, FunctionObjective(train), goal=goal)
    assert trial.rungs == {"1/10": -0.7, "1/5": -0.7}
    assert (trial.pruned, trial.loss, trial.metrics["accuracy"]) == (True, -0.7, 0.7)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_training_that_diverges_is_the_worst_of_all(
    store: Store, start: Start, loss: float
) -> None:
    """What it had before does not save it."""
    others(store, {"1/10": 0.9, "1/5": 0.9})
    trial = ran(store, start, reporting([0.1, loss, 0.1], of=10))
    assert raw(store, MINE)["rungs"] == {"1/10": 0.1, "1/5": math.inf}
    assert (trial.pruned, trial.diverged, trial.loss) == (True, True, math.inf)


def test_asha_compares_with_trials_that_run_and_that_were_pruned(
    store: Store, start: Start
) -> None:
    """Without a length, the same steps are compared; nobody waits for the others' end."""
    for tid, loss in enumerate([0.1, 0.2]):
        post(store, tid)
        running = store.queue.claim("w", new_token(), ["lenet5"])
        assert running is not None
        store.queue.reach(running, "step 3", loss)
    trial = ran(store, start, reporting([0.5, 0.4, 0.3, 0.2]), pruner=ASHA)
    assert (trial.pruned, trial.loss, trial.share) == (True, 0.3, None)
    assert trial.rungs == {"step 1": 0.5, "step 3": 0.3}


def test_another_kind_of_objective_needs_to_know_nothing_of_it(store: Store, start: Start) -> None:
    """What it last reported is its result."""
    others(store, {"1/10": 0.1})

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        for done in range(1, 51):
            context.report({"done": done, "loss": 1 / done}, 1.0)
            if context.should_stop():
                raise Stopped
        raise AssertionError("not reached")

    trial = ran(store, start, objective, cost=50.0)
    assert (trial.pruned, trial.loss, trial.share) == (True, 0.2, 0.1)


def test_a_program_is_ended(store: Store, start: Start, tmp_path: Path) -> None:
    """Its lines are reports; it gets the signal of a trial that has to end."""
    others(store, {"1/10": 0.1})
    program = tmp_path / "train.py"
    program.write_text(
        'import time\nprint(\'{"step": 1, "of": 10, "loss": 0.5}\', flush=True)\ntime.sleep(600)\n'
    )
    objective = FunctionObjective(Command(f"{sys.executable} {program}"))
    trial = ran(store, start, objective)
    assert (trial.status, trial.pruned, trial.loss) == (Status.DONE, True, 0.5)


# -- a trial that is not -----------------------------------------------------------------------


def test_a_trial_that_does_not_report_the_metric_runs_to_its_end(
    store: Store, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker says so, once for a study."""
    others(store, {"1/10": 0.1})
    said = "study s: a trial has reached the first point of comparison without reporting recall"
    objective = reporting([0.5, 0.5, 0.5], of=10)
    for tid in (MINE, MINE + 1):
        post(store, tid, pruner=MEDIAN, goal=Goal("recall"))
    bench = start(objective)
    for tid in (MINE, MINE + 1):
        assert bench.run_one()
        assert (the_trial(store, tid).pruned, the_trial(store, tid).loss) == (False, 0.0)
    assert caplog.text.count(said) == 1


def test_a_trial_without_a_pruner_is_compared_with_none(
    store: Store, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is one whose pruner a newer version has made, and then the worker says so."""
    others(store, {"1/10": 0.1})
    bench = start(reporting([0.5], of=10))
    for tid, pruner in enumerate(("none", "hyperband"), MINE):
        post(store, tid, pruner=pruner)
        assert bench.run_one()
        assert (the_trial(store, tid).rungs, the_trial(store, tid).loss) == ({}, 0.0)
    assert caplog.text.count("this hyperhive has no pruner 'hyperband'") == 1


def test_without_the_server_a_trial_goes_on(
    store: Store, start: Start, mongo_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is compared again at its next rung, once the server is back."""
    others(store, {"1/10": 0.1, "1/5": 0.1})
    gate = Gate(mongo_uri)

    def train(config: Mapping[str, Any], trial: RunningTrial) -> float:
        for step, change in ((1, gate.shut), (2, gate.open)):
            change()
            trial.report(step, of=10, loss=0.5)
        raise AssertionError("not reached")

    post(store, MINE, pruner=MEDIAN)
    bench = start(FunctionObjective(train), gate.uri)
    assert bench.run_one()
    trial = the_trial(store, MINE)
    assert (trial.pruned, trial.rungs) == (True, {"1/5": 0.5})
    assert caplog.text.count("it goes on without being compared") == 1


def test_a_trial_that_was_lost_ends_at_its_rung(store: Store, start: Start) -> None:
    """Its worker delivers nothing, as when its heartbeat finds that."""
    others(store, {"1/10": 0.1})

    def train(config: Mapping[str, Any], trial: RunningTrial) -> float:
        store.queue.remove("s")
        trial.report(1, of=10, loss=0.5)
        raise AssertionError("not reached")

    post(store, MINE, pruner=MEDIAN)
    bench = start(FunctionObjective(train))
    assert bench.run_one()
    assert bench.outbox.waiting() == 0
    assert [trial.tid for trial in store.trials.find("s")] == [0, 1, 2, 3, 4]
