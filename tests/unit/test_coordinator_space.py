"""Search spaces: what is accepted, what is refused, and with which messages."""

from __future__ import annotations

from typing import Any

import pytest

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.space import CLASSIC, NAMED, Dimension, from_tables, named
from hyperhive.coordinator.study import Plan, Study
from hyperhive.coordinator.suggest import Suggester
from hyperhive.model.data.loading import DatasetRequest

CLASSIC_TABLES: dict[str, dict[str, Any]] = {
    "learning_rate": {"distribution": "loguniform", "low": 0.001, "high": 0.1},
    "epochs": {"distribution": "quniform", "low": 2, "high": 30, "step": 1},
    "momentum": {"distribution": "uniform", "low": 0.0, "high": 0.95},
}


def dimension(**changed: Any) -> Dimension:
    return Dimension(
        **{"name": "momentum", "distribution": "uniform", "low": 0.1, "high": 0.9, **changed}
    )


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
        ({"low": 0.5, "high": 0.5}, "low below high"),
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
            "epochs must be a whole number",
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
            "epochs must be below 2**32",
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
    [0.5, [1, 2], {}, {"low": 0.1, "high": 0.9}, {**CLASSIC_TABLES["momentum"], "colour": "red"}],
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
    drawn = [study.config(suggester.suggest(tid, [])).epochs for tid in range(40)]
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
