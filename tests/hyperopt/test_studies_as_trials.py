"""hyperopt's ``Trials`` made from a study, and read into one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hyperopt import STATUS_FAIL, STATUS_OK, Trials, fmin, hp, rand, space_eval, tpe
from hyperopt.base import Domain
from support.results import SPACE, SPEC, adam, done, failed, sgd, small_study, study

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.results.ended import Added, add
from hyperhive.coordinator.results.hyperopt_trials import from_hyperopt_trials, to_hyperopt_trials
from hyperhive.coordinator.spaces.hyperopt_space import to_hyperopt
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study import Study
from hyperhive.store.store import Store

ORIGINAL = {
    "lr": hp.loguniform("lr", math.log(0.001), math.log(0.1)),
    "optimizer": hp.choice(
        "optimizer", [{"kind": "adam"}, {"kind": "sgd", "momentum": hp.uniform("momentum", 0, 1)}]
    ),
}


def objective(config: Any) -> dict[str, Any]:
    """Return what hyperopt's users return: NumPy's numbers, and what no JSON has."""
    loss = np.float64(config["lr"] + config["optimizer"].get("momentum", 0.5))
    return {"loss": loss, "status": STATUS_OK, "n": np.int64(3), "odd": {1, 2}, "xs": (1, 2)}


def searched(evaluations: int, trials: Trials | None = None) -> Trials:
    """Search the space with hyperopt itself."""
    trials = Trials() if trials is None else trials
    fmin(
        objective,
        ORIGINAL,
        algo=tpe.suggest,
        max_evals=evaluations,
        trials=trials,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
        verbose=False,
    )
    return trials


def test_a_study_is_what_hyperopt_takes_for_its_own(store: Store) -> None:
    """A label of a choice that went another way has no value; the best is the study's."""
    small_study(store)
    trials = to_hyperopt_trials(store, "s")
    assert len(trials) == 2  # hyperopt counts no error
    assert [doc["misc"]["vals"]["momentum"] for doc in trials] == [[0.5], []]
    assert [doc["misc"]["idxs"]["momentum"] for doc in trials] == [[0], []]
    assert trials.best_trial["tid"] == 0
    space = to_hyperopt(parse(SPACE))
    assert space_eval(space, trials.argmin) == sgd(0.01, 0.5)[0]
    domain = Domain(lambda config: 0.0, space)
    (suggested,) = tpe.suggest([9], domain, trials, 1, n_startup_jobs=1, verbose=False)
    assert set(suggested["misc"]["vals"]) == {"lr", "optimizer", "momentum"}


def test_hyperopt_goes_on_with_a_study(store: Store) -> None:
    """``fmin`` on its trials counts them, and adds its own."""
    study(store)
    for tid in range(3):
        done(store, tid, adam(0.01 + tid / 100), result={"loss": 5.0 - tid})
    trials = searched(5, to_hyperopt_trials(store, "s"))
    assert sorted(trials.tids) == [0, 1, 2, 3, 4]


def test_a_trial_that_cannot_be_ranked_has_failed_for_hyperopt(store: Store) -> None:
    """NaN, no loss, diverged: neither is the best."""
    study(store)
    results: list[dict[str, Any]] = [{"loss": math.nan}, {}, {"loss": 0.0, "diverged": True}]
    for tid, result in enumerate([*results, {"loss": 3.0}]):
        done(store, tid, adam(0.01), result=result)
    failed(store, 4, adam(0.02), "boom")
    trials = to_hyperopt_trials(store, "s")
    assert trials.statuses() == [STATUS_FAIL, STATUS_FAIL, STATUS_FAIL, STATUS_OK]
    assert trials.best_trial["tid"] == 3


def test_hyperopts_trials_come_into_a_study_and_out_again(store: Store) -> None:
    """Values, losses and times are the same; of a result what is JSON stays."""
    original = searched(12)
    trials = from_hyperopt_trials(original, ORIGINAL)
    assert add(store, Study.stored("s", SPEC), trials) == Added(12, 0, 0)
    for stored, doc in zip(store.trials.find("s"), original):
        assert stored.config == space_eval(ORIGINAL, vals_of(doc))
        returned = {"loss": doc["result"]["loss"], "status": "ok", "n": 3, "xs": [1, 2]}
        assert stored.result == returned
    again = to_hyperopt_trials(store, "s")
    assert again.vals == original.vals
    assert again.idxs == original.idxs
    assert again.losses() == original.losses()
    assert again.argmin == original.argmin
    suggested = [
        tpe.suggest([99], Domain(objective, ORIGINAL), each, 7, n_startup_jobs=1, verbose=False)
        for each in (original, again)
    ]
    assert suggested[0][0]["misc"]["vals"] == suggested[1][0]["misc"]["vals"]


def vals_of(document: dict[str, Any]) -> dict[str, Any]:
    return {label: vals[0] for label, vals in document["misc"]["vals"].items() if vals}


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"x": hp.uniform("x", 0, 1)}, "has the labels lr, momentum, optimizer, and the space x"),
        (
            {**ORIGINAL, "optimizer": hp.choice("optimizer", [hp.uniform("momentum", 0, 1)])},
            "does not fit the space",
        ),
    ],
)
def test_trials_of_another_space_are_refused(space: Any, said: str) -> None:
    """One sentence names the trial."""
    trials = Trials()
    fmin(objective, ORIGINAL, algo=rand.suggest, max_evals=5, trials=trials, **QUIET)
    with pytest.raises(UsageError, match="hyperopt's trial [0-9] " + said):
        from_hyperopt_trials(trials, space)


QUIET: dict[str, Any] = {
    "rstate": np.random.default_rng(0),
    "show_progressbar": False,
    "verbose": False,
}
