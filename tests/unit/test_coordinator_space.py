"""The spaces of LeNet-5 and of other objectives: what a study can have, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import bson
import pytest
from hyperopt import hp

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.spaces.known_points import values_of
from hyperhive.coordinator.spaces.named import CLASSIC, NAMED, named
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.python_space import from_python
from hyperhive.coordinator.spaces.search_space import parameters
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.suggest import Suggester
from hyperhive.model.data.loading import DatasetRequest

CLASSIC_TABLES: dict[str, dict[str, Any]] = {
    "learning_rate": {"distribution": "loguniform", "low": 0.001, "high": 0.1},
    "epochs": {"distribution": "quniform", "low": 2, "high": 30, "step": 1},
    "momentum": {"distribution": "uniform", "low": 0.0, "high": 0.95},
}
DIGITS = DatasetRequest("digits")


def study_of(tables: dict[str, Any], objective: str = "lenet5") -> Study:
    """Return a study of images with the space that a study file describes so."""
    return Study(Plan("s", DIGITS, space=parse(tables), objective=objective), "hash", {})


def is_one_sentence(text: str) -> bool:
    return "\n" not in text and not text.endswith(".") and len(text) < 220


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dropout": 0.5}, "unknown keys in a training configuration: dropout"),
        ({"seed": CLASSIC_TABLES["epochs"]}, "seed: a study of images gives its trials dataset,"),
        ({"epochs": {**CLASSIC_TABLES["epochs"], "low": 0}}, "epochs must be 1 or more"),
        ({"epochs": {"distribution": "uniform", "low": 2, "high": 9}}, "must be a whole number"),
        ({"epochs": 5.5}, "epochs must be a whole number, not 5.5"),
        ({"epochs": "5"}, "epochs must be a whole number, not '5'"),
        ({"momentum": {**CLASSIC_TABLES["momentum"], "high": 1}}, "momentum must be in [0, 1)"),
        ({"momentum": {"distribution": "normal", "mu": 0.5, "sigma": 1}}, "momentum must be in"),
        ({"momentum": {"choices": [0.5, 0.9, 1.5]}}, "momentum must be in [0, 1): 1.5"),
        ({"learning_rate": {**CLASSIC_TABLES["momentum"]}}, "learning_rate must be above 0"),
        ({"momentum": {"low": 0, "high": 0.9}}, "a table with low and high needs a distribution"),
    ],
)
def test_lenet5_cannot_have_every_space(changed: dict[str, Any], message: str) -> None:
    """What no worker could train is refused before the study begins, with what it is about."""
    with pytest.raises(UsageError) as refused:
        study_of({**CLASSIC_TABLES, **changed})
    assert message in str(refused.value)
    assert str(refused.value).startswith("search space")
    assert is_one_sentence(str(refused.value))


@pytest.mark.parametrize("name", sorted(CLASSIC_TABLES))
def test_lenet5_needs_its_three_hyperparameters(name: str) -> None:
    """A space without learning rate, epochs or momentum is refused; the message names it."""
    with pytest.raises(UsageError, match=f"keys missing in a training configuration: {name}"):
        study_of({key: table for key, table in CLASSIC_TABLES.items() if key != name})


def test_lenet5_can_have_a_choice() -> None:
    """Any setting of its configuration may be searched, by any distribution."""
    study = study_of({**CLASSIC_TABLES, "schedule": {"choices": ["cosine", "constant"]}})
    values = {"learning_rate": 0.1, "epochs": 3.0, "momentum": 0.5, "schedule": 1}
    assert study.config(values)["schedule"] == "constant"


def test_a_space_can_be_chosen_by_name() -> None:
    """Each name gives a plan that can be made; only robust distorts as cameras do."""
    for name in NAMED:
        plan = Plan("s", DIGITS, **named(name))
        assert {"learning_rate", "epochs"} <= set(parameters(plan.space))
        assert plan.augment == ("camera" if name == "robust" else "none")
    assert Plan("s", DIGITS, **named("classic")) == Plan("s", DIGITS)
    assert parse(CLASSIC_TABLES) == CLASSIC


def test_an_unknown_name_of_a_space_is_refused() -> None:
    """The refusal is one sentence that lists the known names."""
    with pytest.raises(
        UsageError, match="'small': choose one of classic, robust, quick, "
    ) as refused:
        named("small")
    assert is_one_sentence(str(refused.value))


@pytest.mark.parametrize(
    "held", [5, 5.0, {"distribution": "quniform", "low": 5, "high": 5, "step": 1}]
)
@pytest.mark.parametrize("algorithm", ["random", "tpe", "anneal"])
def test_a_hyperparameter_can_be_held_still(held: Any, algorithm: str) -> None:
    """A number, or low equal to high: every trial has it, and no algorithm sees it."""
    study = study_of({**CLASSIC_TABLES, "epochs": held})
    suggester = Suggester(algorithm, study.plan.space, seed=0, startup=3)
    history: list[Observation] = []
    for tid in range(8):
        vals = suggester.suggest(tid, Known(study.plan.space, history))
        assert set(vals) == {"learning_rate", "momentum"}
        config = study.config(vals)
        assert (config["epochs"], type(config["epochs"])) == (5, int)
        history.append(Observation(tid, vals, vals["momentum"]))
    assert len({each.vals["momentum"] for each in history}) == 8
    assert study.spec()["space"] == {**CLASSIC_TABLES, "epochs": 5}


def test_another_objective_has_a_space_of_its_own() -> None:
    """Names are free; a configuration has its values, and what a study of images gives."""
    hidden = {"distribution": "quniform", "low": 16, "high": 128, "step": 16}
    study = study_of({"hidden": hidden, "dropout": 0.5}, "mine")
    given = {"dataset": "hash", "seed": 0, "validation_fraction": 0.2, "split_seed": 0}
    assert study.config({"hidden": 64.0}) == {"hidden": 64, "dropout": 0.5, **given}
    assert study.baselines() == []
    assert study.suggested(0, {"hidden": 64.0}).cost is None
    without_images = Study(Plan("s", space=study.plan.space, objective="mine"))
    assert without_images.config({"hidden": 64.0}) == {"hidden": 64, "dropout": 0.5}
    assert "dataset" not in without_images.spec()


@pytest.mark.parametrize(
    "table",
    [
        {"distribution": "uniform", "low": -1e308, "high": 1e308},
        {"distribution": "quniform", "low": 0, "high": 1e300, "step": 1},
        {"distribution": "quniform", "low": 0, "high": 10**30, "step": 1},
        {"distribution": "uniform", "low": 0, "high": 10**400},
        10**30,
    ],
)
def test_numbers_that_no_trial_can_have_are_refused(table: Any) -> None:
    """What hyperopt cannot draw, or the store cannot hold, is told before a study is posted."""
    with pytest.raises(UsageError, match="search space, size: ") as refused:
        parse({"size": table, "hidden": CLASSIC_TABLES["epochs"]})
    assert is_one_sentence(str(refused.value))


@pytest.mark.parametrize(
    "table",
    [
        {"distribution": "uniform", "low": -1e100, "high": 1e100},
        {"distribution": "loguniform", "low": 1e-100, "high": 1e100},
        {"distribution": "quniform", "low": -(2**52), "high": 2**52, "step": 2**50},
        1e300,
    ],
)
@pytest.mark.parametrize("algorithm", ["random", "tpe", "anneal"])
def test_what_is_accepted_can_be_drawn_and_stored(table: Any, algorithm: str) -> None:
    """Extreme bounds that are accepted hold for every algorithm, before and after its start."""
    study = study_of({"size": table, "hidden": CLASSIC_TABLES["epochs"]}, "mine")
    suggester = Suggester(algorithm, study.plan.space, seed=0, startup=2)
    history: list[Observation] = []
    for tid in range(5):
        vals = suggester.suggest(tid, Known(study.plan.space, history))
        config = study.config(vals)
        assert math.isfinite(config["size"])
        bson.encode({"config": config, "spec": study.spec()})
        history.append(Observation(tid, vals, float(tid)))


@pytest.mark.parametrize("name", ["a.b", "$set", "", "x" * 65, "a\0b"])
def test_a_name_that_a_configuration_cannot_have_is_refused(name: str) -> None:
    """It would be no key of a document, or no part of a dotted name."""
    with pytest.raises(UsageError, match="search space: the name ") as refused:
        parse({**CLASSIC_TABLES, name: 3})
    assert is_one_sentence(str(refused.value))


# -- conditional spaces ------------------------------------------------------------------------

CONDITIONAL = parse(
    {
        "lr": {"distribution": "loguniform", "low": 1e-4, "high": 0.1},
        "layers": {"distribution": "randint", "low": 1, "high": 4},
        "optimizer": {
            "choices": [
                {"kind": "adam"},
                {"kind": "sgd", "momentum": {"distribution": "uniform", "low": 0, "high": 0.95}},
            ]
        },
    }
)


@pytest.mark.parametrize("algorithm", ["random", "tpe", "anneal"])
def test_every_algorithm_searches_a_conditional_space(algorithm: str) -> None:
    """A suggestion has the parameters that are active, and its configuration is nested."""
    study = Study(Plan("s", space=CONDITIONAL, objective="mine", algorithm=algorithm))
    suggester = Suggester(algorithm, CONDITIONAL, seed=1, startup=5)
    history: list[Observation] = []
    kinds = set()
    for tid in range(15):
        vals = suggester.suggest(tid, Known(CONDITIONAL, history))
        config = study.config(vals)
        is_sgd = config["optimizer"]["kind"] == "sgd"
        assert ("momentum" in vals) == is_sgd == ("momentum" in config["optimizer"])
        assert values_of(CONDITIONAL, config) == pytest.approx(vals)
        bson.encode({"vals": vals, "config": config})
        kinds.add(config["optimizer"]["kind"])
        history.append(Observation(tid, vals, config["lr"]))
    assert kinds == {"adam", "sgd"}


@pytest.mark.parametrize(
    "vals",
    [
        {"lr": 0.01, "layers": 1, "optimizer": 0, "momentum": 0.5},
        {"lr": 0.01, "layers": 1, "optimizer": 1},
        {"lr": 0.01, "layers": 1, "optimizer": 2},
        {"lr": 0.01, "layers": 1, "optimizer": 0.5},
        {"lr": 0.01, "layers": 4, "optimizer": 0},
        {"lr": "0.01", "layers": 1, "optimizer": 0},
        {"lr": 0.0, "layers": 1, "optimizer": 0},
    ],
)
def test_values_that_the_space_cannot_have_teach_nothing(vals: dict[str, Any]) -> None:
    """A worker may write anything: the suggestion is as if that trial were not there."""
    suggester = Suggester("tpe", CONDITIONAL, seed=1, startup=1)
    good = Observation(0, {"lr": 0.01, "layers": 2, "optimizer": 0}, 0.5)
    expected = suggester.suggest(2, Known(CONDITIONAL, [good]))
    seen = Known(CONDITIONAL, [good, Observation(1, vals, 0.1)])
    assert suggester.suggest(2, seen) == expected


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"lr": 0.01, "layers": 1}, "optimizer is missing"),
        ({"lr": 0.01, "layers": 1, "optimizer": {"kind": "rmsprop"}}, "none of the 2 choices"),
        ({"lr": 1, "layers": 1, "optimizer": {"kind": "adam"}}, "lr must be from 0.0001 to 0.1"),
        ({"lr": 0.01, "layers": 1.5, "optimizer": {"kind": "adam"}}, "layers must be a whole"),
        ({"lr": 0.01, "layers": 4, "optimizer": {"kind": "adam"}}, "layers must be below 4"),
        ({"lr": "x", "layers": 1, "optimizer": {"kind": "adam"}}, "lr must be a number, not 'x'"),
        ({"lr": 0.01, "layers": 1, "optimizer": {"kind": "adam"}, "x": 1}, "x is not in the"),
    ],
)
def test_a_known_point_must_be_in_the_space(config: dict[str, Any], message: str) -> None:
    """The refusal names the place, before the study begins."""
    with pytest.raises(UsageError, match=message):
        Plan("s", space=CONDITIONAL, objective="mine", known=(config,))


def test_a_space_may_be_a_choice_of_tables() -> None:
    """As in hyperopt's first example: what belongs to a case is in its table."""
    cases = [
        {"case": 1, "c1": hp.lognormal("c1", 0, 1)},
        {"case": 2, "c2": hp.uniform("c2", -10, 10)},
    ]
    plan = Plan("s", space=from_python(hp.choice("a", cases)), objective="mine")
    study = Study(plan)
    assert study.config({"a": 1, "c2": -3.0}) == {"case": 2, "c2": -3.0}
    assert Study.stored("s", study.spec()).plan == plan
    for space in (hp.uniform("x", 0, 1), hp.choice("a", [{"x": 1}, 2])):
        with pytest.raises(UsageError, match="must be a table of named parameters"):
            Plan("s", space=from_python(space), objective="mine")
