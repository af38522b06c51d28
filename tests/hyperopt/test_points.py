"""Points to evaluate first are checked against the space before anything is posted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hyperopt import hp, rand
from support.hyperopt_jobs import QUIET, experiment

from hyperhive.store.hyperopt.points import fitting
from hyperhive.store.store import Store

SPACE = {
    "act": hp.choice("act", ["relu", "tanh"]),
    "lr": hp.uniform("lr", 0, 1),
    "net": hp.choice(
        "net",
        [
            {"kind": "small"},
            {
                "width": hp.quniform("width", 10, 99, 10),
                "depth": hp.randint("depth", 2, 5),
                "drop": hp.pchoice("drop", [(0.2, 0.0), (0.8, hp.loguniform("rate", -3, 0))]),
                "units": hp.uniformint("units", 1, 9),
                "seed": hp.randint("seed", 7),
                "bias": hp.normal("bias", 0, 1),
                "scale": hp.lognormal("scale", 0, 1),
            },
        ],
    ),
}
SMALL = {"act": 0, "lr": 0.1, "net": 0}
LARGE = {
    **SMALL,
    **{"net": 1, "width": 40, "depth": 4, "drop": 1, "rate": 0.5},
    **{"units": 9, "seed": 0, "bias": -3.5, "scale": 2},
}


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (SMALL, "must be a list of dicts"),
        ("act", "must be a list of dicts"),
        ([SMALL, 3], r"points_to_evaluate\[1\]: it must be a dict"),
        ([{**SMALL, "act": 5}], "'act' is 5, and takes the index of one of the options.* 0 to 1"),
        ([{**SMALL, "act": -1}], "'act' is -1, and takes the index"),
        ([{**SMALL, "act": "relu"}], "takes the index .*; write 0 for 'relu'"),
        ([{**SMALL, "act": True}], "'act' is True"),
        ([{**SMALL, "act": 0.5}], "'act' is 0.5"),
        ([{"act": 0, "net": 0}], "'lr' is missing; it takes a number from 0 to 1"),
        ([SMALL, {"act": 0, "lr": 0.1}], r"\[1\]: 'net' is missing; it takes the index"),
        ([{**SMALL, "lrr": 0.2}], "no label 'lrr': did you mean 'lr'?"),
        ([{**SMALL, 3: 0.2}], "no label 3: did you mean 'act', 'bias'"),
        ([{**SMALL, "lr": 1.5}], "'lr' is 1.5, and takes a number from 0 to 1"),
        ([{**SMALL, "lr": float("nan")}], "'lr' is nan"),
        ([{**SMALL, "lr": 10**400}], "'lr' is 1000"),
        ([{**SMALL, "lr": None}], "'lr' is None"),
        ([{**SMALL, "net": 1}], "'bias' is missing; it takes a number"),
        ([{k: LARGE[k] for k in LARGE if k != "depth"}], "'depth' is missing; .* from 2 to 4"),
        ([{**LARGE, "width": 45}], "'width' is 45, and takes a multiple of 10 from 10 to 99"),
        ([{**LARGE, "width": 110}], "'width' is 110"),
        ([{**LARGE, "depth": 5}], "'depth' is 5, and takes a whole number from 2 to 4"),
        ([{**LARGE, "drop": 2}], "'drop' is 2, and takes the index"),
        ([{**LARGE, "rate": 0.001}], "'rate' is 0.001, and takes a number from 0.0497871 to 1"),
        ([{**LARGE, "units": 10}], "'units' is 10, and takes a whole number from 1 to 9"),
        ([{**LARGE, "seed": 7}], "'seed' is 7, and takes a whole number from 0 to 6"),
        ([{**LARGE, "scale": -1}], "'scale' is -1, and takes a number, 0 or more"),
        ([{k: LARGE[k] for k in LARGE if k != "rate"}], "'rate' is missing"),
    ],
)
def test_a_point_that_does_not_fit_is_refused_before_anything_is_posted(
    store: Store, points: Any, said: str
) -> None:
    """The error says which point, which label, and what is allowed."""
    trials = experiment(store)
    with pytest.raises(ValueError, match=said) as refused:
        trials.fmin(lambda s: 0.0, SPACE, rand.suggest, 2, points_to_evaluate=points, **QUIET)
    assert len(str(refused.value)) < 300
    assert len(trials.handle) == 0
    assert list(trials.attachments) == []


def test_points_that_fit_become_plain_numbers() -> None:
    """A point has what its choices use; what the others would use may be there and is left out."""
    kept = fitting([{**LARGE, "net": np.int64(0), "act": 1.0, "lr": np.float32(0.5)}, LARGE], SPACE)
    assert kept == [{"act": 1, "lr": 0.5, "net": 0}, LARGE]
    assert {type(value) for point in kept for value in point.values()} == {int, float}
    assert fitting([{**LARGE, "width": 100.0}], SPACE)[0]["width"] == 100, "99 is rounded to it"
    assert fitting([], SPACE) == []


def test_what_hyperopt_draws_fits() -> None:
    """Every point that the space can give is accepted, with the labels that were drawn."""
    from hyperopt.base import Domain, Trials, spec_from_misc

    domain, trials = Domain(lambda s: 0.0, SPACE), Trials()
    drawn = rand.suggest(trials.new_trial_ids(200), domain, trials, seed=1)
    points = [spec_from_misc(job["misc"]) for job in drawn]
    assert fitting(points, SPACE) == points
    assert fitting([{"x": 0.3}], hp.quniform("x", 0, 1, 0.1)) == [{"x": 0.3}]


def test_a_space_in_annotations_is_checked_too(store: Store) -> None:
    """``space="annotated"`` is hyperopt's word for it."""

    def objective(x: hp.uniform("x", 0, 1)) -> float:  # type: ignore[valid-type]
        return x

    objective.__annotations__["x"] = hp.uniform("x", 0, 1)
    del objective.__annotations__["return"]
    with pytest.raises(ValueError, match="'x' is 2"):
        experiment(store).fmin(objective, "annotated", points_to_evaluate=[{"x": 2}], **QUIET)
