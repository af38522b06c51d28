"""For tests of algorithms: functions with known minima, searches without a store, hard cases."""

from __future__ import annotations

import random
from typing import Any, Callable, Iterator, Mapping

import numpy as np

from hyperhive.coordinator.algorithms import random_search
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.algorithms.variables import Variables, variables_of
from hyperhive.coordinator.experiments import functions
from hyperhive.coordinator.spaces.parsing import parse

Suggest = Callable[[Variables, Known, int, int], Mapping[str, float]]
Function = Callable[[Mapping[str, float]], float]


def uniform(low: float, high: float) -> dict[str, Any]:
    return {"distribution": "uniform", "low": low, "high": high}


BRANIN = {"x": uniform(-5, 10), "y": uniform(0, 15)}


def branin(values: Mapping[str, float]) -> float:
    """Return Branin's function, less its minimum."""
    return functions.branin(values) - functions.BRANIN_MINIMUM


TREE = {
    "rate": {"distribution": "loguniform", "low": 1e-5, "high": 1.0},
    "kind": {
        "choices": [
            {"kind": "plain"},
            {
                "kind": "deep",
                "depth": {"distribution": "randint", "low": 1, "high": 9},
                "drop": uniform(0, 1),
            },
            {"kind": "wide", "act": {"choices": ["relu", "tanh"]}, "width": uniform(0, 1)},
        ]
    },
}


def tree(values: Mapping[str, float]) -> float:
    """Return a function whose minimum, 0, is in the option ``wide``."""
    loss = 0.3 * (np.log10(values["rate"]) + 2.5) ** 2
    if values["kind"] == 0:
        return float(loss + 0.5)
    if values["kind"] == 1:
        return float(loss + 0.2 + (values["drop"] - 0.3) ** 2 + 0.05 * abs(values["depth"] - 4))
    return float(loss + 2 * (values["width"] - 0.8) ** 2 + 0.4 * (values["act"] == 0))


def searched(
    suggest: Suggest, space: Any, function: Function, seed: int, count: int, workers: int = 1
) -> list[float]:
    """Return the losses of a search's trials, as ended, the first ten of which are random.

    Each of some workers has a trial at any time; which of them ends next is drawn.
    """
    root = parse(space)
    variables, known, dice = variables_of(root), Known(root), random.Random(seed)
    running: list[Observation] = []
    losses: list[float] = []
    for tid in range(count + workers):
        if tid < count:
            draw = random_search.suggest if known.finished < 10 else suggest
            values = draw(variables, known, tid, seed * 1000 + tid)
            running.append(Observation(tid, values, None))
            known.put(running[-1])
        if running and (tid >= workers - 1):
            ended = running.pop(dice.randrange(len(running)))
            losses.append(function(ended.vals))
            known.put(Observation(ended.tid, ended.vals, losses[-1]))
    return losses


def drawn_trials(space: Any, count: int, loss: Callable[[int], float | None]) -> list[Observation]:
    """Return trials drawn at random; ``loss`` says which each has, None for a pending one."""
    variables, empty = variables_of(parse(space)), Known(parse(space))
    draws = [random_search.suggest(variables, empty, tid, tid) for tid in range(count)]
    return [Observation(tid, values, loss(tid)) for tid, values in enumerate(draws)]


def hard_cases() -> Iterator[tuple[Any, list[Observation]]]:
    """Yield spaces and trials with which an algorithm must go on."""
    yield TREE, drawn_trials(TREE, 1, lambda tid: 1.0)
    yield TREE, drawn_trials(TREE, 25, lambda tid: None if tid else 1.0)
    yield TREE, drawn_trials(TREE, 60, lambda tid: 3.0)
    yield TREE, drawn_trials(TREE, 40, lambda tid: (-1) ** tid * 1.7e308)
    yield TREE, drawn_trials(TREE, 40, lambda tid: tid * 5e-324)
    same = drawn_trials(TREE, 1, lambda tid: 0.0)[0].vals
    yield TREE, [Observation(tid, same, float(tid)) for tid in range(30)]
    options = {"a": {"choices": [1, 2]}, "b": {"choices": [1, 2], "weights": [1.0, 0.0]}}
    yield options, drawn_trials(options, 30, lambda tid: float(tid % 3))
    yield {"x": uniform(0, 1)}, drawn_trials({"x": uniform(0, 1)}, 30, float)


def require_goes_on(suggest: Suggest) -> None:
    """Require values that the space can have, in each hard case."""
    for space, trials in hard_cases():
        root = parse(space)
        for tid in range(100, 104):
            values = suggest(variables_of(root), Known(root, trials), tid, tid)
            assert Known(root, [Observation(tid, values, None)]).tids == [tid]
            assert values.get("b", 0) == 0  # the other option has weight 0


def require_same_again(suggest: Suggest) -> None:
    """Require that only what is known, the number and the seed decide, not how it became known."""
    trials = drawn_trials(TREE, 40, lambda tid: None if tid % 5 == 4 else float(tid % 7))
    root = parse(TREE)
    at_once, one_by_one = Known(root, trials), Known(root)
    for trial in reversed(trials):
        one_by_one.put(Observation(trial.tid, trial.vals, None))
    for trial in reversed(trials):
        one_by_one.put(trial)
    first, second = (suggest(variables_of(root), each, 40, 7) for each in (at_once, one_by_one))
    assert first == second
    assert first != suggest(variables_of(root), at_once, 40, 8)
