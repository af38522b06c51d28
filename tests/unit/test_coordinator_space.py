"""Search spaces: what is accepted, what is refused, and with which messages."""

from __future__ import annotations

import math
from typing import Any

import bson
import pytest
from hyperhive.coordinator.space import CLASSIC, NAMED, Dimension, from_tables, named

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.suggest import Observation, Suggester
from hyperhive.model.data.loading import DatasetRequest

CLASSIC_TABLES: dict[str, dict[str, Any]] = {
    "learning_rate": {"distribution": "loguniform", "low": 0.001, "high": 0.1},
    "epochs": {"distribution": "quniform", "low": 2, "high": 30, "step": 1},
    "momentum": {"distribution": "uniform", "low": 0.0, "high": 0.95},
}


def dimension(name: str = "momentum", **changed: Any) -> Dimension:
    """Return a dimension of a space for LeNet-5, as a study file's table describes it."""
    table = {"distribution": "uniform", "low": 0.1, "high": 0.9, **changed}
    space = from_tables({**CLASSIC_TABLES, name: table})
    return next(each for each in space if each.name == name)


def is_one_sentence(text: str) -> bool:
    return "\n" not in text and not text.endswith(".") and len(text) < 200


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"name": "dropout"},
            "dropout: no such hyperparameter: choose one of learning_rate, epochs",
        ),
        ({"distribution": "normal"}, "distribution must be one of uniform, loguniform, quniform"),
        ({"distribution": 3}, "distribution must be one of"),
        ({"low": "0.1"}, "low and high must be numbers"),
        ({"high": True}, "low and high must be numbers"),
        ({"low": 0.9, "high": 0.1}, "low below high"),
        ({"step": 1}, "quniform needs a step"),
        ({"name": "epochs", "distribution": "quniform", "low": 1, "high": 9}, "needs a step"),
        (
            {"name": "epochs", "distribution": "quniform", "low": 1, "high": 9, "step": 0},
            "step must be a whole number, 1 or more",
        ),
        (
            {"name": "epochs", "distribution": "quniform", "low": 1, "high": 9, "step": 0.5},
            "step must be a whole number, 1 or more",
        ),
        (
            {"name": "epochs", "distribution": "quniform", "low": 0, "high": 9, "step": 1},
            "epochs must be 1 or more",
        ),
        (
            {"name": "epochs", "distribution": "quniform", "low": 1.5, "high": 9, "step": 1},
            "low and high must be multiples of step",
        ),
        ({"high": 1.0}, "momentum must be in [0, 1)"),
        ({"low": -0.1}, "momentum must be in [0, 1)"),
        ({"name": "learning_rate", "low": 0}, "learning_rate must be above 0"),
        (
            {"name": "learning_rate", "distribution": "loguniform", "low": 0},
            "loguniform needs bounds above 0",
        ),
        ({"distribution": "loguniform", "low": 0.0}, "loguniform needs bounds above 0"),
        ({"low": float("nan")}, "momentum must be a number"),
        ({"name": "learning_rate", "high": float("inf")}, "learning_rate must be a number"),
        ({"name": "learning_rate", "high": 10**400}, "learning_rate must be a number"),
        (
            {"name": "epochs", "distribution": "quniform", "low": 1, "high": 10**30, "step": 1},
            "epochs must be a number below 2**53",
        ),
    ],
)
def test_an_impossible_dimension_is_refused(changed: dict[str, Any], message: str) -> None:
    """Each refusal is one sentence that names the hyperparameter and the rule."""
    with pytest.raises(UsageError) as refused:
        dimension(**changed)
    text = str(refused.value)
    assert message in text
    assert text.startswith("search space, {}: ".format(changed.get("name", "momentum")))
    assert is_one_sentence(text)


def test_values_get_the_types_of_the_configuration() -> None:
    """A quniform value becomes a whole number, any other a float."""
    whole = Dimension("epochs", "quniform", 2, 30, step=1).to_config(12.0)
    assert (whole, type(whole)) == (12, int)
    for distribution in ("uniform", "loguniform"):
        value = dimension(distribution=distribution).to_config(1)
        assert (value, type(value)) == (1.0, float)


def test_a_dimension_survives_its_json() -> None:
    """A study file with the tables that to_json gives describes the same dimension."""
    assert from_tables({each.name: each.to_json() for each in CLASSIC}) == tuple(
        sorted(CLASSIC, key=lambda each: each.name)
    )


def test_the_classic_space_can_be_written_as_tables() -> None:
    """The three tables of the manual are the default space."""
    assert {each.name: each for each in from_tables(CLASSIC_TABLES)} == {
        each.name: each for each in CLASSIC
    }


@pytest.mark.parametrize("name", sorted(CLASSIC_TABLES))
def test_a_space_needs_all_three_hyperparameters(name: str) -> None:
    """A space without learning rate, epochs or momentum is refused; the message names it."""
    tables = {key: table for key, table in CLASSIC_TABLES.items() if key != name}
    with pytest.raises(UsageError, match=f"search space: {name} is missing"):
        from_tables(tables)


@pytest.mark.parametrize(
    "table",
    [
        "0.5",
        True,
        [1, 2],
        {},
        {"low": 0.1, "high": 0.9},
        {**CLASSIC_TABLES["momentum"], "colour": "red"},
    ],
)
def test_a_malformed_table_is_refused(table: Any) -> None:
    """A table with a missing or an unknown key is refused with a sentence."""
    with pytest.raises(
        UsageError, match="momentum: it must have distribution, low and high"
    ) as refused:
        from_tables({**CLASSIC_TABLES, "momentum": table})
    assert is_one_sentence(str(refused.value))


@pytest.mark.parametrize(
    "epochs",
    [
        {"distribution": "quniform", "low": 2, "high": 30, "step": 1},
        {"distribution": "quniform", "low": 1, "high": 9, "step": 4},
        {"distribution": "quniform", "low": 5, "high": 30, "step": 10},
        {"distribution": "quniform", "low": 1, "high": 8, "step": 5},
        {"distribution": "uniform", "low": 2, "high": 9},
        {"distribution": "loguniform", "low": 2, "high": 9},
    ],
)
def test_an_accepted_space_never_leaves_its_bounds(epochs: dict[str, Any]) -> None:
    """Accepted bounds of epochs hold for every draw, and every draw can be trained."""
    try:
        space = from_tables({**CLASSIC_TABLES, "epochs": epochs})
    except UsageError:
        return  # to refuse such a range is as good
    study = Study(Plan("s", DatasetRequest("digits"), space=space), "hash", {})
    suggester = Suggester("random", space, seed=0, startup=10)
    drawn = [study.config(suggester.suggest(tid, []))["epochs"] for tid in range(40)]
    assert epochs["low"] <= min(drawn)
    assert max(drawn) <= epochs["high"]


def test_a_space_can_be_chosen_by_name() -> None:
    """Each name gives a plan over the three hyperparameters; only robust augments."""
    for name in NAMED:
        plan = Plan("s", DatasetRequest("digits"), **named(name))
        assert {each.name for each in plan.space} == set(CLASSIC_TABLES)
        assert plan.augment == ("camera" if name == "robust" else "none")
    assert Plan("s", DatasetRequest("digits"), **named("classic")) == Plan(
        "s", DatasetRequest("digits")
    )


def test_an_unknown_name_of_a_space_is_refused() -> None:
    """The refusal is one sentence that lists the known names."""
    with pytest.raises(UsageError, match="'extended': choose one of classic, robust") as refused:
        named("extended")
    assert is_one_sentence(str(refused.value))


# -- hyperparameters that are held still -------------------------------------------------------


def study_of(entries: dict[str, Any], objective: str = "lenet5") -> Study:
    """Return a study of the space that a study file describes so."""
    space = from_tables(entries, objective)
    return Study(Plan("s", DatasetRequest("digits"), space=space, objective=objective), "hash", {})


@pytest.mark.parametrize(
    "held",
    [
        5,
        5.0,
        {"distribution": "quniform", "low": 5, "high": 5, "step": 1},
    ],
)
@pytest.mark.parametrize("algorithm", ["random", "tpe", "anneal"])
def test_a_hyperparameter_can_be_held_still(held: Any, algorithm: str) -> None:
    """A number, or low equal to high: every trial has it, and no algorithm sees it."""
    study = study_of({**CLASSIC_TABLES, "epochs": held})
    suggester = Suggester(algorithm, study.plan.space, seed=0, startup=3)
    history: list[Observation] = []
    for tid in range(8):
        vals = suggester.suggest(tid, history)
        assert set(vals) == {"learning_rate", "momentum"}
        config = study.config(vals)
        assert (config["epochs"], type(config["epochs"])) == (5, int)
        history.append(Observation(tid, vals, vals["momentum"]))
    assert len({each.vals["momentum"] for each in history}) == 8


def test_a_value_that_is_held_is_part_of_the_specification() -> None:
    """A study file, its space and its specification in the store say the same, and can be read."""
    space = from_tables({**CLASSIC_TABLES, "epochs": 5})
    tables = study_of({**CLASSIC_TABLES, "epochs": 5}).spec()["space"]
    assert tables == {**CLASSIC_TABLES, "epochs": 5}
    assert from_tables(tables) == space


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"epochs": 5.5}, "epochs must be a whole number, not 5.5"),
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"momentum": 1}, "momentum must be in [0, 1)"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number"),
        ({"learning_rate": float("inf")}, "learning_rate must be a number"),
        ({"epochs": 10**30}, "epochs must be a number below 2**53"),
        ({"dropout": 0.5}, "no such hyperparameter: choose one of learning_rate, epochs"),
        ({"momentum": {"distribution": "unifrom", "low": 0, "high": 0}}, "must be one of uniform,"),
    ],
)
def test_a_value_that_cannot_be_held_is_refused(held: dict[str, Any], message: str) -> None:
    """Each refusal is one sentence that names the hyperparameter and the rule."""
    with pytest.raises(UsageError) as refused:
        from_tables({**CLASSIC_TABLES, **held})
    assert message in str(refused.value)
    assert str(refused.value).startswith("search space, {}: ".format(*held))
    assert is_one_sentence(str(refused.value))


@pytest.mark.parametrize("objective", ["lenet5", "mine"])
def test_a_space_in_which_nothing_is_searched_is_refused(objective: str) -> None:
    """All trials would be the same: the refusal says what to add, with an example."""
    with pytest.raises(UsageError, match="nothing is searched") as refused:
        from_tables({"learning_rate": 0.1, "epochs": 5, "momentum": 0.9}, objective)
    assert '{ distribution = "uniform", low = 0, high = 0.9 }' in str(refused.value)
    assert is_one_sentence(str(refused.value))


@pytest.mark.parametrize(
    "entry",
    [
        {"distribution": "normal", "low": 0, "high": 1},
        {"low": 0, "high": 1},
        {"distribution": "uniform", "low": 0, "high": 1, "colour": "red"},
        "0.9",
    ],
)
def test_a_refusal_lists_the_distributions_with_an_example(entry: Any) -> None:
    """Whoever wrote a dimension wrongly learns which there are, and how one is written."""
    with pytest.raises(UsageError) as refused:
        from_tables({**CLASSIC_TABLES, "momentum": entry})
    for word in ("uniform", "loguniform", "quniform", '{ distribution = "uniform", low = 0,'):
        assert word in str(refused.value)
    assert is_one_sentence(str(refused.value))


# -- the spaces of other objectives ------------------------------------------------------------


def test_another_objective_has_a_space_of_its_own() -> None:
    """Names are free; a configuration has its values, and no field of LeNet-5's beside them."""
    hidden = {"distribution": "quniform", "low": 16, "high": 128, "step": 16}
    study = study_of({"hidden": hidden, "dropout": 0.5}, "mine")
    assert study.config({"hidden": 64.0}) == {
        "hidden": 64,
        "dropout": 0.5,
        "dataset": "hash",
        "seed": 0,
        "validation_fraction": 0.2,
        "split_seed": 0,
    }
    assert study.baselines() == []
    assert study.draft("search", 0, study.config({"hidden": 64.0})).cost is None


@pytest.mark.parametrize(
    "table",
    [
        {"distribution": "uniform", "low": -1e308, "high": 1e308},
        {"distribution": "quniform", "low": 0, "high": 1e300, "step": 1},
        {"distribution": "quniform", "low": 0, "high": 10**30, "step": 1},
        {"distribution": "quniform", "low": 0, "high": 0, "step": 10**30},
        {"distribution": "uniform", "low": 0, "high": 10**400},
        10**30,
    ],
)
def test_numbers_that_no_trial_can_have_are_refused(table: Any) -> None:
    """What hyperopt cannot draw, or the store cannot hold, is told before a study is posted."""
    with pytest.raises(UsageError, match="search space, size: ") as refused:
        from_tables({"size": table, "hidden": CLASSIC_TABLES["epochs"]}, "mine")
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
        vals = suggester.suggest(tid, history)
        config = study.config(vals)
        assert math.isfinite(config["size"])
        bson.encode({"config": config, "spec": study.spec()})
        history.append(Observation(tid, vals, float(tid)))


@pytest.mark.parametrize("name", ["seed", "dataset", "a.b", "$set", "", "2nd", "x" * 65])
def test_a_name_that_a_configuration_cannot_have_is_refused(name: str) -> None:
    """What the study itself gives to its trials, and what is no plain name."""
    with pytest.raises(UsageError, match="search space, ") as refused:
        from_tables({**CLASSIC_TABLES, name: 3}, "mine")
    assert is_one_sentence(str(refused.value))
