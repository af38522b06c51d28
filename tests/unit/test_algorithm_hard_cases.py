"""What holds for every algorithm that learns: a narrow valley, hard cases, only facts decide."""

from __future__ import annotations

import pytest
from support.searching import Suggest, require_goes_on, require_same_again, searched, uniform
from threadpoolctl import threadpool_limits

from hyperhive.coordinator.algorithms import cma, mtpe, random_search, rbf
from hyperhive.coordinator.algorithms.gaussian import gp, turbo
from hyperhive.coordinator.experiments.functions import rosenbrock

DRAWING = {"cma": cma.suggest, "mtpe": mtpe.suggest, "rbf": rbf.suggest, "turbo": turbo.suggest}
ALL = {**DRAWING, "gp": gp.suggest}  # its largest improvement may be the same under two seeds


@pytest.mark.parametrize("suggest", ALL.values(), ids=list(ALL))
def test_it_goes_down_rosenbrocks_valley(suggest: Suggest):
    """Two workers, 60 trials, four variables: less than half of what random search finds."""
    space = {f"x{i}": uniform(-5, 10) for i in range(4)}

    def found(by: Suggest) -> float:
        return sum(min(searched(by, space, rosenbrock, seed, 60, workers=2)) for seed in range(4))

    with threadpool_limits(1):  # as every suggestion of a search
        assert found(suggest) < found(random_search.suggest) / 2


@pytest.mark.parametrize("suggest", ALL.values(), ids=list(ALL))
def test_it_goes_on_in_hard_cases(suggest: Suggest):
    require_goes_on(suggest)


@pytest.mark.parametrize("suggest", DRAWING.values(), ids=list(DRAWING))
def test_what_is_known_decides_and_not_how_it_became_known(suggest: Suggest):
    require_same_again(suggest)
