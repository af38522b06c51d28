"""A configuration and its point in the cube: there and back, and drawn as the prior says."""

from __future__ import annotations

import numpy as np
import pytest

from hyperhive.coordinator.algorithms import random_search
from hyperhive.coordinator.algorithms.cube import Cube
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.spaces.parsing import parse

SPACE = parse(
    {
        "rate": {"distribution": "loguniform", "low": 1e-5, "high": 1.0},
        "share": {"distribution": "uniform", "low": -2.0, "high": 3.0},
        "units": {"distribution": "quniform", "low": 16, "high": 256, "step": 16},
        "noise": {"distribution": "normal", "mu": 5.0, "sigma": 2.0},
        "scale": {"distribution": "qlognormal", "mu": 0.0, "sigma": 1.0, "step": 1},
        "layers": {"distribution": "randint", "low": 2, "high": 9},
        "kind": {
            "choices": [
                {"kind": "plain"},
                {"kind": "deep", "depth": {"distribution": "uniform", "low": 0.0, "high": 1.0}},
                {"kind": "wide", "width": {"choices": ["small", "large"]}},
            ]
        },
    }
)
VARIABLES = variables_of(SPACE)
CUBE = Cube(VARIABLES)


def _known(count: int) -> Known:
    drawn = [random_search.suggest(VARIABLES, Known(SPACE), tid, seed=tid) for tid in range(count)]
    return Known(SPACE, [Observation(tid, vals, 0.0) for tid, vals in enumerate(drawn)])


def _trial(known: Known, row: int) -> dict[str, float]:
    values = {side.variable.label: known.values(side.variable.label)[row] for side in CUBE.sides}
    return {label: value for label, value in values.items() if not np.isnan(value)}


def test_a_configuration_comes_back_from_its_point():
    known = _known(200)
    points = CUBE.points(known)
    assert ((points >= 0) & (points <= 1)).all()
    for row, point in enumerate(points):
        assert CUBE.configuration(point) == pytest.approx(_trial(known, row), rel=1e-6)
    assert CUBE.snapped(points) == pytest.approx(points, abs=1e-9)


def test_any_point_is_a_configuration_that_the_space_can_have():
    points = np.random.default_rng(0).uniform(size=(300, CUBE.dimensions))
    trials = [Observation(tid, CUBE.configuration(point), 0.0) for tid, point in enumerate(points)]
    known = Known(SPACE, trials)  # ignores what is impossible
    assert len(known.tids) == len(points)
    assert CUBE.points(known) == pytest.approx(CUBE.snapped(points), abs=1e-9)


def test_points_are_drawn_as_the_prior_says():
    drawn = [CUBE.configuration(point) for point in CUBE.draw(np.random.default_rng(0), 4000)]
    known = _known(1000)
    prior = [_trial(known, row) for row in range(1000)]
    for label in ("rate", "share", "units", "noise", "scale", "layers", "kind"):
        ours, theirs = (
            np.quantile([each[label] for each in trials], [0.2, 0.5, 0.8])
            for trials in (drawn, prior)
        )
        spread = np.std([each[label] for each in prior])
        assert ours == pytest.approx(theirs, abs=0.15 * spread + 1e-12), label
    assert np.mean(["depth" in each for each in drawn]) == pytest.approx(1 / 3, abs=0.03)


def test_options_have_the_weights_of_the_prior_also_in_one_column():
    """Of a choice of 100 options, too many for a column each; one of weight 0 never comes."""
    weights = [0.0, *[2 / 150] * 50, *[1 / 147] * 49]
    space = parse(
        {
            "many": {"choices": list(range(100)), "weights": weights},
            "few": {"choices": [1, 2, 3], "weights": [0.5, 0.0, 0.5]},
        }
    )
    cube = Cube(variables_of(space))
    assert cube.dimensions == 4
    drawn = [cube.configuration(point) for point in cube.draw(np.random.default_rng(1), 4000)]
    many = np.array([each["many"] for each in drawn])
    assert np.mean(many <= 50) == pytest.approx(2 / 3, abs=0.03)
    corners = np.random.default_rng(1).choice([0.0, 1.0], size=(100, 4))
    found = [*drawn, *(cube.configuration(point) for point in corners)]
    assert {each["many"] for each in found} == set(range(1, 100))
    assert {each["few"] for each in found} == {0, 2}
    again = cube.points(Known(space, [Observation(0, drawn[0], 0.0)]))
    assert cube.configuration(again[0]) == drawn[0]


def test_all_options_are_equally_far_from_each_other():
    (side,) = (side for side in CUBE.sides if side.variable.label == "kind")
    options = side.place(np.arange(3.0))
    apart = np.linalg.norm(options[:, None] - options[None], axis=2)
    assert set(np.round(apart[np.triu_indices(3, 1)], 12)) == {round(2**0.5, 12)}
