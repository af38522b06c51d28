"""CMA-ES: the distribution after a study's trials is the library's, and it finds minima."""

from __future__ import annotations

import numpy as np
import pytest
from cmaes import CMA
from support.searching import (
    TREE,
    drawn_trials,
    searched,
    tree,
    uniform,
)

from hyperhive.coordinator.algorithms import cma, random_search
from hyperhive.coordinator.algorithms.cube import Cube
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.spaces.parsing import parse

FIVE = {f"x{i}": uniform(-2, 2) for i in range(5)}


def test_trials_are_told_to_the_library_by_number_in_whole_generations():
    """Driven by hand with what has ended, it draws the same."""
    space = parse(FIVE)
    trials = drawn_trials(FIVE, 30, lambda tid: None if tid in (3, 17, 29) else float(tid * 7 % 11))
    by_hand = CMA(np.full(5, 0.5), 12**-0.5, bounds=np.tile([0.0, 1.0], (5, 1)))
    labels = [variable.label for variable in variables_of(space)]
    ended = [
        (np.array([(each.vals[label] + 2) / 4 for label in labels]), each.loss)
        for each in trials
        if each.loss is not None
    ]
    for begin in range(0, 24, 8):  # of 27, three wait: the population of 5 dimensions is 8
        by_hand.tell(ended[begin : begin + 8])
    by_hand.reseed_rng(77)
    found = cma.suggest(variables_of(space), Known(space, trials), 30, 77)
    assert [(found[label] + 2) / 4 for label in labels] == pytest.approx(by_hand.ask(), abs=1e-9)


def test_the_distribution_stays_as_wide_as_a_step():
    """Of whole numbers and options, those beside the best are still tried after many trials."""
    space = {"n": {"distribution": "randint", "low": 0, "high": 9}, "k": {"choices": [1, 2, 3]}}
    losses = searched(cma.suggest, space, lambda at: abs(at["n"] - 4) + at["k"], seed=0, count=150)
    latest = losses[-50:]
    assert np.median(latest) == 0
    assert len(set(latest)) > 2


def test_it_begins_again_with_twice_the_population_when_it_has_converged():
    """Losses that are all the same are what the library calls converged."""
    space = parse(FIVE)
    known = Known(space, drawn_trials(FIVE, 500, lambda tid: 1.0))
    strategy = cma.replayed(Cube(variables_of(space)), known)
    assert strategy.population_size == 16
    assert strategy.generation < 20


def test_it_finds_the_minimum_of_a_tree_sooner_than_random_search():
    best = [min(searched(cma.suggest, TREE, tree, seed, 80, workers=4)) for seed in range(4)]
    random = [min(searched(random_search.suggest, TREE, tree, s, 80)) for s in range(4)]
    assert np.median(best) < 0.5 * np.median(random)
