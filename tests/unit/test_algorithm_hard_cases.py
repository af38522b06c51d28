"""What holds for every algorithm that learns: it goes on in hard cases, and only facts decide."""

from __future__ import annotations

import pytest
from support.searching import Suggest, require_goes_on, require_same_again

from hyperhive.coordinator.algorithms import cma, mtpe, rbf
from hyperhive.coordinator.algorithms.gaussian import gp, turbo

DRAWING = {"cma": cma.suggest, "mtpe": mtpe.suggest, "rbf": rbf.suggest, "turbo": turbo.suggest}
ALL = {**DRAWING, "gp": gp.suggest}  # its largest improvement may be the same under two seeds


@pytest.mark.parametrize("suggest", ALL.values(), ids=list(ALL))
def test_it_goes_on_in_hard_cases(suggest: Suggest):
    require_goes_on(suggest)


@pytest.mark.parametrize("suggest", DRAWING.values(), ids=list(DRAWING))
def test_what_is_known_decides_and_not_how_it_became_known(suggest: Suggest):
    require_same_again(suggest)
