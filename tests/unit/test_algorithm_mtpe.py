"""Multivariate TPE: its densities are such, it learns what goes together, and it finds minima."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.searching import (
    TREE,
    drawn_trials,
    searched,
    tree,
    uniform,
)

from hyperhive.coordinator.algorithms import mtpe, random_search
from hyperhive.coordinator.algorithms.cube import at_shares
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.spaces.parsing import parse

SPACE: Any = {
    "rate": {"distribution": "lognormal", "mu": -3.0, "sigma": 2.0},
    "kind": {
        "choices": [
            {"k": 0},
            {"k": 1, "depth": uniform(0, 4)},
            {"k": 2, "units": {"distribution": "quniform", "low": 8, "high": 40, "step": 16}},
        ],
        "weights": [0.2, 0.5, 0.3],
    },
}
VARIABLES = variables_of(parse(SPACE))
BY_LABEL = {variable.label: variable for variable in VARIABLES}


def _density() -> mtpe.Density:
    known = Known(parse(SPACE), drawn_trials(SPACE, 12, float))
    return mtpe.Density(VARIABLES, known, np.arange(12), np.arange(13.0))


def _at(label: str, count: int) -> np.ndarray:
    """Return a number's values in the middles of parts that are equally likely by the prior."""
    return at_shares(BY_LABEL[label], (np.arange(count) + 0.5) / count)


def _masses(density: mtpe.Density) -> np.ndarray:
    """Return the probability of each option in each fifth of the rates, (3, 5), by integration."""
    rates = _at("rate", 250)
    of_options = [
        [{"rate": rate, "kind": 0} for rate in rates],
        [{"rate": rate, "kind": 1, "depth": depth} for rate in rates for depth in _at("depth", 50)],
        [{"rate": rate, "kind": 2, "units": units} for rate in rates for units in (16.0, 32.0)],
    ]
    masses = [
        np.exp(density.log_density(each)).reshape(5, -1).mean(axis=1) / 5 for each in of_options
    ]
    masses[2] *= 2  # a sum over two steps
    return np.array(masses)


def test_a_density_is_one_over_all_configurations_of_a_tree():
    assert _masses(_density()).sum() == pytest.approx(1.0, abs=1e-3)


def test_draws_follow_the_density():
    density, rng = _density(), np.random.default_rng(3)
    counts, rates = np.zeros((3, 5)), at_shares(BY_LABEL["rate"], np.arange(1, 5) / 5)
    for _ in range(4000):
        drawn = density.draw(rng)
        counts[int(drawn["kind"]), np.searchsorted(rates, drawn["rate"])] += 1
    expected = 4000 * _masses(density)
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected) + 1).all()


def test_it_learns_which_values_are_good_together():
    """Two of three options each, whose equality is good: one variable alone says nothing."""
    space = parse({"a": {"choices": [1, 2, 3]}, "b": {"choices": [1, 2, 3]}})
    pairs = [(a, b) for a in range(3) for b in range(3)] * 6
    trials = [Observation(i, {"a": a, "b": b}, float(a != b)) for i, (a, b) in enumerate(pairs)]
    known = Known(space, trials)
    drawn = [mtpe.suggest(variables_of(space), known, 54, seed) for seed in range(40)]
    assert np.mean([each["a"] == each["b"] for each in drawn]) > 0.9
    assert len({each["a"] for each in drawn}) > 1


def test_it_keeps_away_from_what_is_pending():
    space = parse({"x": uniform(0, 1)})
    ended = [Observation(tid, {"x": tid / 30}, abs(tid / 30 - 0.5)) for tid in range(30)]
    pending = [Observation(30 + i, {"x": 0.48 + i / 200}, None) for i in range(8)]

    def near(trials: list[Observation]) -> int:
        known = Known(space, trials)
        drawn = [mtpe.suggest(variables_of(space), known, 40, seed)["x"] for seed in range(40)]
        return sum(abs(x - 0.5) < 0.03 for x in drawn)

    assert near(ended) > 25
    assert near(ended + pending) < 10


def test_it_finds_the_minimum_of_a_tree_sooner_than_random_search():
    best = [min(searched(mtpe.suggest, TREE, tree, seed, 50, workers=4)) for seed in range(5)]
    random = [min(searched(random_search.suggest, TREE, tree, s, 50)) for s in range(5)]
    assert np.median(best) < 0.2 * np.median(random)
