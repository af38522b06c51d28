"""Radial basis functions: the surrogate is SciPy's, the steps are the papers', minima are found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator
from support.searching import (
    BRANIN,
    TREE,
    branin,
    searched,
    tree,
    uniform,
)

from hyperhive.coordinator.algorithms import random_search, rbf
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.spaces.parsing import parse


@pytest.mark.parametrize("smoothing", [0.0, 0.01])
def test_the_surrogate_is_scipys(smoothing: float):
    rng = np.random.default_rng(1)
    points, values, elsewhere = rng.random((40, 5)), rng.random(40), rng.random((200, 5))
    ours = rbf.Surrogate(points, values, smoothing)
    theirs = RBFInterpolator(points, values, smoothing=ours.ridge, kernel="cubic", degree=1)
    assert ours(elsewhere) == pytest.approx(theirs(elsewhere), abs=1e-8)


def test_the_surrogate_exists_where_the_points_leave_the_tail_open():
    """Three points of six dimensions, or columns of a choice, whose sum is 1: SciPy refuses."""
    few, options = np.random.default_rng(0).random((3, 6)), np.eye(3)[[0, 1, 2, 0, 1]]
    assert rbf.Surrogate(few, np.arange(3.0), 0.0)(few) == pytest.approx(np.arange(3.0))
    values = np.array([1.0, 2.0, 4.0, 1.0, 2.0])
    assert rbf.Surrogate(options, values, 0.01)(options) == pytest.approx(values)


def test_changes_become_smaller_by_failures_and_larger_by_successes():
    def scale(*later: float) -> float:
        return rbf._scale(np.array([5.0, 4.0, *later]), 2, 3)

    assert scale() == 0.2
    assert scale(9, 9) == 0.2
    assert scale(9, 9, 9) == 0.1
    assert scale(9, 9, 3, 9, 9) == 0.2  # three in a row
    assert scale(9, 9, 9, 9, 9, 9, 3, 2, 1) == 0.1
    assert scale(3, 2, 1) == 0.2  # not larger than at first
    assert scale(*[9] * 18) == 0.2 / 2**6
    assert scale(*[9] * 21) == 0.2  # it begins again


def test_what_is_chosen_is_near_the_best_or_far_from_all_in_turns():
    """A pending trial is one of those to be far from: the next is not beside it."""
    space = parse({"x": uniform(0, 1), "y": uniform(0, 1)})
    places = np.random.default_rng(5).random((40, 2)).tolist()
    places.sort(key=lambda at: -np.hypot(at[0] - 0.5, at[1] - 0.5))  # each better: large changes
    trials = [
        Observation(tid, {"x": x, "y": y}, (x - 0.5) ** 2 + (y - 0.5) ** 2)
        for tid, (x, y) in enumerate(places)
    ]

    def places_of(number: int, pending: list[Observation]) -> np.ndarray:
        known = Known(space, trials + pending)
        found = [rbf.suggest(variables_of(space), known, number, seed) for seed in range(10)]
        return np.array([[each["x"], each["y"]] for each in found])

    exploits, explores = places_of(103, []), places_of(100, [])
    assert np.linalg.norm(exploits - 0.5, axis=1).mean() < 0.06
    assert np.linalg.norm(explores - 0.5, axis=1).mean() > 0.12
    x, y = exploits[0].tolist()
    later = places_of(103, [Observation(40, {"x": x, "y": y}, None)])
    apart = [np.linalg.norm(each - exploits[0], axis=1).min() for each in (exploits[1:], later)]
    assert apart[1] > 2 * apart[0]


def test_it_finds_minima_sooner_than_random_search():
    for space, function, workers in ((BRANIN, branin, 1), (TREE, tree, 4)):
        best = [min(searched(rbf.suggest, space, function, s, 40, workers)) for s in range(5)]
        random = [min(searched(random_search.suggest, space, function, s, 40)) for s in range(5)]
        assert np.mean(best) < 0.2 * np.mean(random)
