"""The trust region's rules, step by step, and how trials that ended in any order count for it."""

from __future__ import annotations

import numpy as np
import pytest

from hyperhive.coordinator.algorithms import tpe
from hyperhive.coordinator.algorithms.gaussian import turbo, turbo_tpe
from hyperhive.coordinator.algorithms.gaussian.turbo import LEAST_LENGTH, Region
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.spaces.parsing import parse

UNIT = {"distribution": "uniform", "low": 0.0, "high": 1.0}
MIDDLE, INSIDE, OUTSIDE = np.array([0.5, 0.5]), np.array([0.5, 0.51]), np.array([0.5, 0.99])


def region(together: int = 1, variables: int = 2) -> Region:
    """Return a region that has its first trials; the best one is in the middle, with loss 0."""
    begun = Region(np.ones(2), together, variables)
    while not begun.is_designed:
        begun.take(MIDDLE, 0.0)
    return begun


def test_three_successes_in_a_row_double_the_region():
    ours = region()
    for loss in (-1, -2, -1.5, -3, -4):  # the third is none
        ours.take(INSIDE, loss)
        assert ours.length == 0.8
    ours.take(INSIDE, -5.0)
    assert ours.length == 1.6
    for loss in (-6, -7, -8):
        ours.take(INSIDE, loss)
    assert ours.length == 1.6  # the largest


@pytest.mark.parametrize(
    ("together", "variables", "batches"), [(1, 2, 4), (1, 17, 17), (4, 2, 1), (3, 17, 6)]
)
def test_failures_in_a_row_halve_it(together: int, variables: int, batches: int):
    """ceil(max(4 / q, d / q)) batches of q trials."""
    ours = region(together, variables)
    for _ in range(batches * together - 1):
        ours.take(INSIDE, 1.0)
    assert ours.length == 0.8
    ours.take(INSIDE, 1.0)
    assert ours.length == 0.4


def test_one_better_trial_makes_a_batch_a_success():
    ours = region(together=4)
    for loss in (1.0, -1.0, 1.0, 1.0):
        ours.take(INSIDE, loss)
    assert (ours.length, ours.successes, ours.failures) == (0.8, 1, 0)
    assert ours.centre is INSIDE


def test_a_gain_smaller_than_can_be_told_is_none():
    ours = region()
    ours.take(INSIDE, -1e-4)
    assert (ours.successes, ours.failures) == (0, 1)
    assert ours.centre is MIDDLE


def test_a_trial_outside_moves_the_region_but_does_not_count():
    ours = region()
    for _ in range(9):
        ours.take(OUTSIDE, 1.0)
    assert (ours.length, ours.failures) == (0.8, 0)
    ours.take(OUTSIDE, -1.0)
    assert ours.centre is OUTSIDE
    assert ours.successes == 0


def test_length_scales_say_how_long_each_side_is():
    ours = Region(np.array([0.25, np.inf]), 1, 2)
    ours.take(MIDDLE, 0.0)
    assert ours.holds(np.array([0.59, 1.0]))
    assert not ours.holds(np.array([0.61, 0.5]))


def test_a_region_that_is_too_small_begins_anew_elsewhere():
    ours = region()
    lengths = []
    while ours.is_designed:
        lengths.append(ours.length)
        ours.take(MIDDLE, 1.0)
    assert lengths[-1] / 2 < LEAST_LENGTH <= lengths[-1]
    assert (ours.length, ours.began) == (0.8, 3 + len(lengths))
    ours.take(MIDDLE, 0.0)  # one that was still running
    ours.take(OUTSIDE, 5.0)  # worse than the best of the region before
    assert ours.centre is OUTSIDE


def history(count: int) -> Known:
    """Return trials on a grid; the best one is in a corner, at 1, and the region has shrunk."""
    known = Known(parse({"x": UNIT, "y": UNIT, "kind": {"choices": ["a", "b"]}}))
    rng = np.random.default_rng(0)
    for tid in range(count):
        x, y = rng.uniform(size=2) if tid < 10 else rng.uniform(0.85, 1, size=2)
        loss = 10.0 * (2 - x - y) if tid < 10 else 0.1 + 2 - x - y
        known.put(Observation(tid, {"x": x, "y": y, "kind": 0}, loss))
    known.put(Observation(count, {"x": 1.0, "y": 1.0, "kind": 0}, -0.1))
    for tid in range(count + 1, 2 * count):
        x, y = rng.uniform(0.9, 1, size=2)
        known.put(Observation(tid, {"x": x, "y": y, "kind": 0}, 2 - x - y))
    return known


def test_suggestions_are_in_the_region():
    known = history(40)
    variables = variables_of(parse({"x": UNIT, "y": UNIT, "kind": {"choices": ["a", "b"]}}))
    found = [turbo.suggest(variables, known, 80, seed) for seed in range(8)]
    assert min(each[label] for each in found for label in "xy") > 0.8
    assert len({each["x"] for each in found}) > 4


def test_turbo_and_tpe_take_turns():
    known = history(20)
    variables = variables_of(parse({"x": UNIT, "y": UNIT, "kind": {"choices": ["a", "b"]}}))
    for tid, suggest in ((40, turbo.suggest), (41, tpe.suggest)):
        expected = suggest(variables, known, tid, 7)
        assert turbo_tpe.suggest(variables, known, tid, 7) == expected
