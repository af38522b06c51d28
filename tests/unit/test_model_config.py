"""Training configurations are complete, well-typed and in range, or they are refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperhive.common.errors import ConfigError
from hyperhive.model.config import UNTUNED, TrainConfig

GIVEN: dict[str, Any] = {"dataset": "abc", "learning_rate": 0.1, "epochs": 3, "momentum": 0.9}


def test_the_default_configuration_needs_four_values() -> None:
    """Only data set, learning rate, epochs and momentum are required."""
    config = TrainConfig.from_json(GIVEN)
    assert {key: config.to_json()[key] for key in GIVEN} == GIVEN
    assert config.batch_size == 64
    assert config.validation_fraction == 0.2
    assert not config.train_on_all
    assert TrainConfig.from_json({"dataset": "abc", **UNTUNED}).momentum == 0.0
    assert set(UNTUNED) <= set(config.to_json())


@pytest.mark.parametrize("key", sorted(GIVEN))
def test_a_missing_key_is_named(key: str) -> None:
    """The error names a required key that is missing."""
    with pytest.raises(ConfigError, match="missing.*" + key):
        TrainConfig.from_json({name: value for name, value in GIVEN.items() if name != key})


def test_an_unknown_key_is_named() -> None:
    """A key of another version is refused: ignoring it would train something else."""
    with pytest.raises(ConfigError, match=r"unknown.*weight_growth"):
        TrainConfig.from_json({**GIVEN, "weight_growth": 0.1})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 0),
        ("learning_rate", -0.1),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "0.1"),
        ("learning_rate", None),
        ("learning_rate", True),
        ("learning_rate", [0.1]),
        ("epochs", 0),
        ("epochs", -1),
        ("epochs", 2.5),
        ("epochs", math.inf),
        ("epochs", math.nan),
        ("epochs", "3"),
        ("epochs", True),
        ("momentum", -0.1),
        ("momentum", 1),
        ("momentum", math.nan),
        ("momentum", None),
        ("batch_size", 0),
        ("batch_size", 1.5),
        ("schedule", "exponential"),
        ("schedule", 1),
        ("seed", 0.5),
        ("seed", "0"),
        ("seed", 2**70),
        ("split_seed", -1),
        ("split_seed", 2**32),
        ("validation_fraction", 0),
        ("validation_fraction", 1),
        ("validation_fraction", math.nan),
        ("augment", "blur"),
        ("augment", None),
        ("train_on_all", 1),
        ("train_on_all", "yes"),
        ("dataset", None),
        ("dataset", 7),
    ],
)
def test_a_bad_value_is_refused_with_its_key(key: str, value: object) -> None:
    """A value of the wrong type or out of range raises a ConfigError that names its key."""
    with pytest.raises(ConfigError, match=key):
        TrainConfig.from_json({**GIVEN, key: value})


def test_a_configuration_made_in_code_is_checked_as_well() -> None:
    """The constructor checks the same rules as ``from_json``."""
    with pytest.raises(ConfigError, match="epochs"):
        TrainConfig("abc", learning_rate=0.1, epochs=0, momentum=0.9)
    with pytest.raises(ConfigError, match="momentum"):
        TrainConfig("abc", learning_rate=0.1, epochs=1, momentum=math.nan)


def test_whole_numbers_may_come_as_floats() -> None:
    """The quniform of hyperopt gives 12.0 for 12, and a learning rate may be written as 1."""
    config = TrainConfig.from_json({**GIVEN, "epochs": 12.0, "learning_rate": 1})
    assert (config.epochs, type(config.epochs)) == (12, int)
    assert (config.learning_rate, type(config.learning_rate)) == (1.0, float)


@given(
    learning_rate=st.floats(1e-8, 1e3),
    epochs=st.integers(1, 1000),
    momentum=st.floats(0, 1, exclude_max=True),
    batch_size=st.integers(1, 4096),
    schedule=st.sampled_from(["cosine", "constant"]),
    seed=st.integers(0, 2**31 - 1),
    train_on_all=st.booleans(),
    augment=st.sampled_from(["none", "camera"]),
)
def test_a_configuration_survives_json(**values: Any) -> None:
    """A configuration comes back equal from JSON, with equal numbers."""
    config = TrainConfig(dataset="abc", **values)
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_only_augmentation_is_news_to_an_old_worker() -> None:
    """The key that old workers refuse is written only if images are augmented."""
    assert "augment" not in TrainConfig("abc", 0.1, 3, 0.9).to_json()
    assert TrainConfig("abc", 0.1, 3, 0.9, augment="camera").to_json()["augment"] == "camera"
    assert TrainConfig.from_json({**GIVEN, "augment": "none"}) == TrainConfig.from_json(GIVEN)
