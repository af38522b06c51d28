"""A plain function as an objective: what it gets, what it may return, and the loss made of that."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

import numpy as np
import pytest
import torch

from hyperhive.store.trials.draft import Goal
from hyperhive.store.trials.terms import REFIT, SEARCH
from hyperhive.worker.objectives import function as function_module
from hyperhive.worker.objectives.api import BadResult, Outcome, Stopped
from hyperhive.worker.objectives.function import FunctionObjective, RunningTrial, arguments
from hyperhive.worker.objectives.goal import scored


@dataclass
class FakeTrial:
    """The parts of a trial that a function's objective reads."""

    tid: int = 7
    objective: str = "digits.py:train"
    goal: Goal = field(default_factory=Goal)
    purpose: str = SEARCH
    seed: int | None = None


class FakeContext:
    """A context without a worker: it keeps what is reported, and asks to stop after some looks.

    With ``prunes``, it asks because the trial is pruned.
    """

    def __init__(self, looks: int = 1000, prunes: bool = False, **of_trial: Any) -> None:
        self.device = "cpu"
        self.trial = FakeTrial(**of_trial)
        self.reported: list[Mapping[str, Any]] = []
        self._looks = looks
        self._prunes = prunes

    def report(self, progress: Mapping[str, Any], seconds_left: float) -> None:
        """Keep progress."""
        self.reported.append(progress)

    def should_stop(self) -> bool:
        """Return whether it was asked often enough."""
        self._looks -= 1
        return self._looks < 0

    def is_pruned(self) -> bool:
        """Return whether it asked to stop because the trial is pruned."""
        return self._prunes and self._looks < 0


def result_of(
    function: Callable[..., Any], context: Any = None, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a worker would store for a function."""
    context = context or FakeContext()
    outcome = FunctionObjective(function)(config or {}, context)
    return scored(outcome, context.trial).result


def returning(value: Any) -> Callable[[Any], Any]:
    return lambda config: value


# -- what a function gets --------------------------------------------------------------------------


def test_a_function_gets_its_own_configuration_and_its_trial() -> None:
    """What it changes in the configuration changes nothing elsewhere."""
    config = {"lr": 0.1, "optimizer": {"kind": "sgd"}}

    def train(config: Any, trial: RunningTrial) -> float:
        assert (trial.number, trial.device) == (7, "cpu")
        config["optimizer"]["kind"] = "adam"
        del config["lr"]
        return 0.5

    assert result_of(train, config=config) == {"status": "ok", "loss": 0.5}
    assert config == {"lr": 0.1, "optimizer": {"kind": "sgd"}}


@pytest.mark.parametrize(("stored", "seed"), [(5, 5), (None, 0)])
def test_a_function_gets_its_trials_seed(stored: int | None, seed: int) -> None:
    """A coordinator of an earlier version gave none: then it is that of a study by default."""
    context = FakeContext(seed=stored)
    assert result_of(lambda config, trial: trial.seed, context)["loss"] == seed


class _Callable:
    def __call__(self, config: Any) -> float:
        return 1.0


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda config: 0, 1),
        (lambda config, trial: 0, 2),
        (lambda config, t: 0, 2),
        (lambda config, trial=None: 0, 2),
        (lambda config, epochs=3: 0, 1),
        (lambda *all_of_them: 0, 2),
        (lambda config, **more: 0, 1),
        (lambda config, *, seed=0: 0, 1),
        (_Callable(), 1),
        (lambda: 0, None),
        (lambda model, images, labels: 0, None),
        (lambda config, *, seed: 0, None),
    ],
)
def test_a_function_takes_the_trial_or_only_the_configuration(
    function: Callable[..., Any], count: int | None
) -> None:
    """Its signature tells; a helper with other arguments is no objective."""
    assert arguments(function) == count


# -- what it reports -------------------------------------------------------------------------------


def test_reports_are_shown_live_and_kept() -> None:
    """Each is the progress of the trial at once, and an entry of the history of the result."""
    context = FakeContext()

    def train(config: Any, trial: RunningTrial) -> float:
        trial.report(1, accuracy=np.float32(0.5), loss=torch.tensor(0.25))
        trial.report(2.5, accuracy=math.nan)
        return 0.0

    history = result_of(train, context)["history"]
    assert history[0] == {"step": 1, "accuracy": 0.5, "loss": 0.25}
    assert (history[1]["step"], math.isnan(history[1]["accuracy"])) == (2.5, True)
    assert context.reported == history
    assert all(type(value) in (int, float) for entry in history for value in entry.values())


def test_a_report_may_say_how_many_steps_there_are() -> None:
    """That is told the worker, and is no metric."""
    context = FakeContext()
    trial = RunningTrial(context)  # type: ignore[arg-type]
    trial.report(np.int64(1), of=np.int64(30), loss=0.5)
    assert context.reported == [{"step": 1, "of": 30, "loss": 0.5}]
    assert trial.history == [{"step": 1, "loss": 0.5}]


@pytest.mark.parametrize(
    ("step", "metrics", "said"),
    [
        (3, {}, "digits.py:train reported step 3 after step 3: steps must rise"),
        (math.nan, {}, "reported step nan after step 3: steps must rise"),
        ("4", {}, "reported str '4' as step: it must be a number"),
        (True, {}, "reported bool True as step: it must be a number"),
        (4, {"accuracy": "high"}, "digits.py:train reported str 'high' as accuracy: it must be"),
        (4, {"accuracy": None}, "reported nothing (None) as accuracy: it must be a number"),
        (4, {"of": "ten"}, "reported str 'ten' as of: it must be a number"),
        (4, {"of": 0}, "digits.py:train reported a step of=0: that must be above 0"),
        (4, {"loss": np.zeros(3)}, "reported ndarray of shape [3] as loss: it must be a number"),
    ],
)
def test_a_bad_report_is_refused(step: Any, metrics: dict[str, Any], said: str) -> None:
    """The sentence names the objective and the metric; nothing of the report is kept."""
    trial = RunningTrial(FakeContext())  # type: ignore[arg-type]
    trial.report(3)
    with pytest.raises(BadResult) as refused:
        trial.report(step, **metrics)
    assert said in str(refused.value)
    assert trial.history == [{"step": 3}]


def test_of_very_many_reports_some_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial is not lost because it reports after each batch; its last report is kept."""
    monkeypatch.setattr(function_module, "_MOST_NUMBERS", 100)
    trial = RunningTrial(FakeContext(looks=9999))  # type: ignore[arg-type]
    for step in range(1000):
        trial.report(step, loss=1.0)
    steps = [entry["step"] for entry in trial.history]
    assert 20 < len(steps) <= 50
    assert (steps, steps[-1]) == (sorted(steps), 999)


def test_a_trial_that_has_to_end_has_no_result() -> None:
    """A report raises; a function that asks, or swallows that, may return what it likes."""

    def reports(config: Any, trial: RunningTrial) -> float:
        trial.report(1)
        raise AssertionError("not reached")

    def asks(config: Any, trial: RunningTrial) -> float | None:
        return None if trial.should_stop() else 1.0

    def swallows(config: Any, trial: RunningTrial) -> float:
        with pytest.raises(Stopped):
            trial.report(1)
        return 1.0

    for function in (reports, asks, swallows):
        with pytest.raises(Stopped):
            result_of(function, FakeContext(looks=0))


# -- what it returns -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [0.25, np.float64(0.25), np.float32(0.25), np.array(0.25), torch.tensor(0.25)],
    ids=lambda value: type(value).__name__,
)
def test_a_number_is_the_loss(value: Any) -> None:
    """Also one of NumPy's or PyTorch's, which the database would not take."""
    for returned in (value, {"loss": value}):
        result = result_of(returning(returned))
        assert result == {"status": "ok", "loss": 0.25}
        assert type(result["loss"]) is float


def test_all_that_is_plain_is_kept() -> None:
    """Text, numbers of NumPy's, lists and nested dictionaries, and a NaN in them."""
    found = {"loss": 1, "names": ("a", np.int64(2)), "inner": {"x": np.bool_(True), "y": None}}
    assert result_of(returning({**found, "curve": [math.inf]})) == {
        "status": "ok",
        "loss": 1,
        "names": ["a", 2],
        "inner": {"x": True, "y": None},
        "curve": [math.inf],
    }


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, np.float32("nan"), 10**400])
def test_a_loss_that_is_not_finite_has_diverged(loss: Any) -> None:
    """It is a result, as LeNet-5's is, and the worst one: never the best, whatever its sign."""
    for returned in (loss, {"loss": loss}):
        assert result_of(returning(returned)) == {
            "status": "ok",
            "loss": math.inf,
            "diverged": True,
        }


def _containing_itself() -> dict[str, Any]:
    found: dict[str, Any] = {"loss": 1.0}
    found["self"] = found
    return found


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "digits.py:train returned nothing (None): it must be the loss, a number, or a"),
        ("0.5", "returned str '0.5': it must be the loss"),
        (True, "returned bool True: it must be the loss"),
        ([0.5], "returned list [0.5]: it must be the loss"),
        (torch.zeros(1), "returned Tensor of shape [1]: it must be the loss"),
        (np.zeros((2, 3)), "returned ndarray of shape [2, 3]: it must be the loss"),
        ({}, "digits.py:train returned no loss: its study is to minimize that"),
        ({"accuracy": 1.0}, "returned no loss: its study is to minimize that"),
        ({"loss": "low"}, "returned 'low' as its loss: its study is to minimize that"),
        ({"loss": 1, "w": np.zeros(3)}, "returned ndarray of shape [3] in w: a result may hold"),
        ({"loss": 1, "a": {"b": {3}}}, "returned set {3} in a.b: a result may hold numbers"),
        ({"loss": 1, "a": [1, 2j]}, "returned complex 2j in a.1: a result may hold numbers"),
        ({"loss": 1, 3: 4}, "returned a dictionary with the key 3: keys must be text"),
        ({"loss": 1, "status": 200}, "returned int 200 as its status: omit it"),
        (_containing_itself(), "contains itself, or is nested too deep in self.self.self.self"),
    ],
    ids=str,
)
def test_what_is_no_result_is_refused(returned: Any, said: str) -> None:
    """The sentence names the objective, and the place in what it returned."""
    with pytest.raises(BadResult) as refused:
        result_of(returning(returned))
    assert str(refused.value).startswith("digits.py:train returned")
    assert said in str(refused.value)


def test_a_failure_that_it_reports_needs_no_loss() -> None:
    """An objective of hyperopt's says so; such a trial has no loss that counts."""
    failed = {"status": "fail", "why": "no data"}
    assert result_of(returning(failed)) == failed


# -- the goal of its study -------------------------------------------------------------------------

ACCURATE = Goal("accuracy", "maximize")


@pytest.mark.parametrize(
    ("goal", "returned", "made"),
    [
        (ACCURATE, {"accuracy": 0.75}, {"loss": -0.75}),
        (ACCURATE, {"accuracy": 0.75, "loss": 2.0}, {"loss": -0.75, "reported_loss": 2.0}),
        (Goal("error"), {"error": 0.25, "loss": 2.0}, {"loss": 0.25, "reported_loss": 2.0}),
        (ACCURATE, 0.75, {"accuracy": 0.75, "loss": -0.75}),
        (Goal("error"), np.float32(0.25), {"error": 0.25, "loss": 0.25}),
        (Goal("loss", "maximize"), 0.75, {"loss": -0.75, "reported_loss": 0.75}),
    ],
)
def test_the_loss_is_made_from_the_goal(goal: Goal, returned: Any, made: dict[str, Any]) -> None:
    """A metric that is to be large is negated; a loss of the function's own is kept beside it.

    A number alone is the metric.
    """
    result = result_of(returning(returned), FakeContext(goal=goal))
    expected = {**(returned if isinstance(returned, dict) else {}), **made}
    assert result == {"status": "ok", "diverged": False, **expected}


def test_a_metric_that_was_only_reported_is_found() -> None:
    """The last report counts, and what is returned goes before it."""

    def train(config: Any, trial: RunningTrial) -> Any:
        trial.report(1, accuracy=0.9)
        trial.report(2, accuracy=0.75)
        return config["returned"]

    for returned, loss in (({}, -0.75), ({"accuracy": 0.5}, -0.5), (0.25, -0.25)):
        context = FakeContext(goal=ACCURATE)
        assert result_of(train, context, {"returned": returned})["loss"] == loss


@pytest.mark.parametrize("goal", [ACCURATE, Goal("accuracy")])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_not_finite_is_the_worst(goal: Goal, value: float) -> None:
    """An infinite accuracy is not the best one."""
    result = result_of(returning({"accuracy": value}), FakeContext(goal=goal))
    assert (result["loss"], result["diverged"]) == (math.inf, True)


def test_a_missing_metric_is_named() -> None:
    """The sentence has the objective, the metric, what it is for, and what is there instead."""
    with pytest.raises(BadResult) as refused:
        result_of(returning({"loss": 0.5, "acuracy": 0.9}), FakeContext(goal=ACCURATE))
    assert str(refused.value) == (
        "digits.py:train returned no accuracy: its study is to maximize that, so it must be there, "
        "as a number; it has loss, acuracy"
    )


def test_an_objective_of_a_package_may_return_only_the_metric() -> None:
    """It makes no loss itself; where its training diverged there need not even be the metric."""
    trial: Any = FakeTrial(goal=ACCURATE)
    assert scored(Outcome({"status": "ok", "accuracy": 0.5}), trial).result["loss"] == -0.5
    diverged = Outcome({"status": "ok", "accuracy": None, "diverged": True, "loss": 1.0})
    assert scored(diverged, trial).result["loss"] == math.inf


def test_a_refit_is_compared_with_nothing() -> None:
    """It may have no validation, and then has not the metric either."""
    refit: Any = FakeTrial(goal=ACCURATE, purpose=REFIT)
    outcome = Outcome({"status": "ok", "loss": 0.1})
    assert scored(outcome, refit) == outcome
