"""The first trials of a study lie evenly: they are the points of one scrambled Sobol sequence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc
from support.searching import uniform

from hyperhive.coordinator.algorithms import sobol
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.spaces.parsing import parse

VARIABLES = variables_of(
    parse(
        {
            "rate": {"distribution": "loguniform", "low": 1e-4, "high": 1.0},
            "noise": {"distribution": "normal", "mu": 5.0, "sigma": 2.0},
            "layers": {"distribution": "randint", "low": 2, "high": 6},
            "kind": {
                "choices": [{"k": 0}, {"k": 1, "depth": uniform(0, 1)}, {"k": 2}, {"k": 3}],
                "weights": [0.5, 0.25, 0.25, 0.0],
            },
        }
    )
)


def test_trial_k_has_the_point_k_of_the_studys_sequence():
    variables = variables_of(parse({"a": uniform(0, 1), "b": uniform(-2, 2), "c": uniform(0, 1)}))
    points = qmc.Sobol(3, scramble=True, seed=np.random.default_rng(11)).random(16)
    for number in (0, 1, 2, 7, 15):
        found = sobol.point(variables, 11, number)
        in_order = [found["c"], (found["b"] + 2) / 4, found["a"]]  # as variables are drawn
        assert in_order == pytest.approx(points[number], abs=1e-12)
    assert sobol.point(variables, 12, 3) != sobol.point(variables, 11, 3)


def test_points_are_spread_as_evenly_as_the_prior_allows():
    """Of 64 points, one has each 64th of a variable's probability: whole numbers are exact."""
    points = [sobol.point(VARIABLES, 5, number) for number in range(64)]
    logs = np.log10([each["rate"] for each in points])
    assert np.bincount(np.floor((logs + 4) * 16).astype(int)).tolist() == [1] * 64
    assert sum(each["noise"] < 5.0 for each in points) == 32
    assert np.bincount([each["layers"] for each in points]).tolist() == [0, 0, 16, 16, 16, 16]
    assert np.bincount([each["kind"] for each in points]).tolist() == [32, 16, 16]
    assert all(("depth" in each) == (each["kind"] == 1) for each in points)
    assert {type(each["kind"]) for each in points} == {int}
