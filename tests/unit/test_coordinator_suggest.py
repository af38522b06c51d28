"""What is suggested next, and why the trials that are still running do not distort it."""

from __future__ import annotations

import math
from typing import Mapping

import pytest

from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.spaces.named import CLASSIC
from hyperhive.coordinator.spaces.search_space import Parameter, parameters
from hyperhive.coordinator.suggest import OWN, Suggester

BOUNDS = {
    label: (each.arguments["low"], each.arguments["high"])
    for label, each in parameters(CLASSIC).items()
    if isinstance(each, Parameter)
}


def suggester(algorithm: str = "tpe", seed: int = 0, startup: int = 5) -> Suggester:
    return Suggester(algorithm, CLASSIC, seed, startup)


def distance(vals: Mapping[str, float]) -> float:
    """Return a loss with one optimum: learning rate 0.01, momentum 0.6, 20 epochs."""
    return (
        (math.log10(vals["learning_rate"]) + 2) ** 2
        + (vals["momentum"] - 0.6) ** 2
        + ((vals["epochs"] - 20) / 28) ** 2
    )


def search(algorithm: str, seed: int, budget: int) -> list[float]:
    """Return the losses of a search in which each suggestion knows all earlier trials."""
    history = Known(CLASSIC)
    suggesting = suggester(algorithm, seed, startup=10)
    for tid in range(budget):
        vals = suggesting.suggest(tid, history)
        history.put(Observation(tid, vals, distance(vals)))
    return [float(loss) for loss in history.losses]


def observations(losses: list[float | None]) -> Known:
    """Return trials with random values and these losses."""
    draw = suggester("random").suggest
    trials = [Observation(tid, draw(tid, Known(CLASSIC)), each) for tid, each in enumerate(losses)]
    return Known(CLASSIC, trials)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("algorithm", OWN)
def test_a_suggestion_is_decided_by_seed_number_and_history(algorithm: str) -> None:
    """A new process with the same seed, trial number and history suggests the same values."""
    history = observations([0.9, 0.5, 0.1, 0.7, 0.3, 0.2, None])
    first = suggester(algorithm, seed=7)
    first.suggest(3, Known(CLASSIC))  # what was suggested before leaves no trace
    again = suggester(algorithm, seed=7).suggest(7, history)
    assert first.suggest(7, history) == again
    assert suggester(algorithm, seed=8).suggest(7, history) != again
    assert suggester(algorithm, seed=7).suggest(8, history) != again


@pytest.mark.parametrize("algorithm", OWN)
def test_suggestions_stay_in_the_space(algorithm: str) -> None:
    """Before and after the start-up, values are within their bounds and epochs are whole."""
    history = observations([0.9, 0.5, 0.1, 0.7, 0.3, None])
    for seen in (Known(CLASSIC), history):
        for tid in range(len(seen.tids), len(seen.tids) + 15):
            vals = suggester(algorithm).suggest(tid, seen)
            assert set(vals) == set(BOUNDS)
            assert vals["epochs"] == int(vals["epochs"])
            for name, (low, high) in BOUNDS.items():
                assert low <= vals[name] <= high


@pytest.mark.parametrize(
    ("algorithm", "first"), [("tpe", "random"), ("anneal", "random"), ("mtpe", "sobol")]
)
def test_start_up_counts_finished_trials_only(algorithm: str, first: str) -> None:
    """With 25 trials running, draws are random or spread until enough trials have finished."""
    running: list[float | None] = [None] * 25
    drawn = suggester(first).suggest(30, Known(CLASSIC))
    for finished, is_first in (([], True), ([0.5] * 4, True), ([0.9, 0.5, 0.1, 0.7, 0.3], False)):
        history = observations([*finished, *running])
        suggested = suggester(algorithm, startup=5).suggest(30, history)
        assert (suggested == drawn) is is_first


@pytest.mark.parametrize("algorithm", ["tpe", "anneal"])
def test_a_pending_trial_counts_as_the_worst_seen(algorithm: str) -> None:
    """To an algorithm, a running trial looks like one that ended with the worst loss so far."""
    losses = [0.9, 0.5, 0.1, 0.7, 0.3, 0.2]
    pending = suggester(algorithm).suggest(7, observations([*losses, None]))
    worst = suggester(algorithm).suggest(7, observations([*losses, 0.9]))
    best = suggester(algorithm).suggest(7, observations([*losses, 0.0]))
    assert pending == worst
    assert pending != best


@pytest.mark.parametrize("algorithm", ["tpe", "anneal"])
def test_an_algorithm_learns_where_the_optimum_is(algorithm: str) -> None:
    """After the start-up, suggestions are far nearer to the optimum than random ones.

    Hyperopt's own fmin reaches 0.62 of the random loss with TPE and 0.10 with annealing here.
    """
    seeds = (0, 1, 2)
    learned = mean([loss for seed in seeds for loss in search(algorithm, seed, 40)[20:]])
    drawn = mean([loss for seed in seeds for loss in search("random", seed, 40)[20:]])
    assert learned < 0.8 * drawn


@pytest.mark.parametrize("algorithm", ["random", "sobol"])
def test_some_do_not_look_at_the_history(algorithm: str) -> None:
    """These draw by seed and number alone."""
    history = observations([0.9, 0.5, 0.1, 0.7, 0.3, 0.2, 0.1])
    drawn: dict[str, float] = suggester(algorithm).suggest(9, Known(CLASSIC))
    assert suggester(algorithm).suggest(9, history) == drawn
