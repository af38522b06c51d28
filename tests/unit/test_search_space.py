"""A search space is the same in a study file, in the store, and as hyperopt's graph."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

import numpy as np
import pytest
from hyperopt import Trials, hp, rand, space_eval
from hyperopt.base import Domain
from hyperopt.pyll import scope

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.spaces.hyperopt_space import from_hyperopt, to_hyperopt
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.python_space import from_python
from hyperhive.coordinator.spaces.search_space import configuration, parameters, to_json


class RandomSpace:
    """Makes spaces of every distribution, nested in dictionaries, lists and choices."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._labels = 0
        self._shared: list[Any] = []

    def make(self, depth: int = 0) -> Any:
        """Return a part of a space."""
        kinds = [self._number] * 4 + ([] if depth > 3 else [self._table, self._list, self._choice])
        return self._table(0) if depth == 0 else self._dice.choice(kinds)(depth)

    def _label(self) -> str:
        self._labels += 1
        return f"p{self._labels}"

    def _table(self, depth: int) -> dict[str, Any]:
        names = self._dice.sample("abcdefgh", 3) + ["value"] * self._dice.randint(0, 1)
        return {name: self.make(depth + 1) for name in names}

    def _list(self, depth: int) -> list[Any]:
        return [self.make(depth + 1), self._dice.choice([1, 2.5, "text", None, True, {"x": [1]}])]

    def _choice(self, depth: int) -> Any:
        options = [self.make(depth + 1) for _ in range(self._dice.randint(1, 3))]
        if self._dice.random() < 0.5:
            return hp.choice(self._label(), options)
        weights = np.random.RandomState(len(options)).dirichlet([1] * len(options))
        return hp.pchoice(self._label(), [(float(w), o) for w, o in zip(weights, options)])

    def _number(self, depth: int) -> Any:
        if self._shared and self._dice.random() < 0.15:
            return self._dice.choice(self._shared)
        label, low = self._label(), self._dice.uniform(-3, 1)
        high, step = low + self._dice.uniform(0.5, 4), self._dice.choice([0.25, 1, 2])
        draw = self._dice.choice(
            [
                lambda: hp.uniform(label, low, high),
                lambda: hp.quniform(label, low, high, step),
                lambda: hp.loguniform(label, low, high),
                lambda: hp.qloguniform(label, low, high, step),
                lambda: hp.normal(label, low, high - low),
                lambda: hp.qnormal(label, low, high - low, step),
                lambda: hp.lognormal(label, low, high - low),
                lambda: hp.qlognormal(label, low, high - low, step),
                lambda: hp.randint(label, 4),
                lambda: hp.randint(label, 3, 9),
                lambda: hp.uniformint(label, 2, 7),
                lambda: scope.int(hp.quniform(label, 0, 8, 2)),
            ]
        )()
        self._shared.append(draw)
        return draw


def test_a_space_through_json_gives_the_same_values() -> None:
    """Of 50 random spaces: hyperopt draws the same, and a trial gets the same configuration."""
    for seed in range(50):
        space = RandomSpace(seed).make()
        tree = parse(json.loads(json.dumps(to_json(from_hyperopt(space)))))
        theirs, ours = (Domain(lambda config: 0.0, each) for each in (space, to_hyperopt(tree)))
        for number in range(3):
            [drawn] = rand.suggest([0], theirs, Trials(), number)
            [again] = rand.suggest([0], ours, Trials(), number)
            assert again["misc"]["vals"] == drawn["misc"]["vals"]
            values = {label: each[0] for label, each in drawn["misc"]["vals"].items() if each}
            expected = json.loads(json.dumps(space_eval(space, values)))
            assert json.loads(json.dumps(configuration(tree, values))) == expected


def test_a_study_file_and_hyperopt_write_the_same_space() -> None:
    """A conditional space; a bound is in the value's own unit, or that of its logarithm."""
    written = parse(
        {
            "epochs": {"distribution": "quniform", "low": 2, "high": 30, "step": 1},
            "optimizer": {
                "choices": [
                    {
                        "kind": "sgd",
                        "momentum": {"distribution": "uniform", "low": 0, "high": 0.95},
                    },
                    {"kind": "adam"},
                ]
            },
        }
    )
    space = {
        "epochs": hp.quniform("epochs", 2, 30, 1),
        "optimizer": hp.choice(
            "optimizer",
            [{"kind": "sgd", "momentum": hp.uniform("momentum", 0, 0.95)}, {"kind": "adam"}],
        ),
    }
    assert written == from_hyperopt(space)
    assert list(parameters(written)) == ["epochs", "optimizer", "momentum"]
    config = configuration(written, {"epochs": 7.0, "optimizer": 1})
    assert config == {"epochs": 7, "optimizer": {"kind": "adam"}}
    assert isinstance(config["epochs"], int)


def test_a_trials_configuration_is_its_own() -> None:
    """A function that changes its configuration changes no other trial's."""
    tree = parse({"layers": [1, 2], "x": {"distribution": "uniform", "low": 0, "high": 1}})
    configuration(tree, {"x": 0.5})["layers"].append(3)
    assert configuration(tree, {"x": 0.5})["layers"] == [1, 2]


UNIFORM = {"distribution": "uniform", "low": 0, "high": 1}


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({"lr": {"distribution": "unifrom", "low": 0, "high": 1}}, "lr: there is no distribution"),
        ({"lr": {"distribution": "uniform", "low": 0}}, "lr: uniform needs low and high"),
        ({"lr": {**UNIFORM, "step": 1}}, "lr: uniform needs low and high, and nothing else"),
        ({"lr": {**UNIFORM, "low": "0"}}, "lr: low must be a finite number, not '0'"),
        ({"lr": {**UNIFORM, "high": float("inf")}}, "lr: high must be a finite number"),
        ({"lr": {**UNIFORM, "low": 1.5}}, "lr: low must be below high"),
        ({"a": {"b": {**UNIFORM, "low": 2}}}, "a.b: low must be below high"),
        ({"lr": {"distribution": "loguniform", "low": 0, "high": 1}}, "must be above 0"),
        ({"n": {"distribution": "randint", "low": 0.5, "high": 3}}, "must be whole numbers"),
        ({"n": {"distribution": "normal", "mu": 0, "sigma": 0}}, "n: sigma must be above 0"),
        ({"c": {"choices": []}}, "c: choices must be a list"),
        ({"c": {"choices": [1, 2], "weights": [1]}}, "c: weights must be a list of one number"),
        ({"c": {"choices": [1, 2], "weights": [0.5, 0.6]}}, "add up to 1, not to 1.1"),
        ({"c": {"choices": [1], "low": 1}}, "c: beside choices there may be"),
        ({"c": {"choices": [UNIFORM]}}, r"c.choices\[0\]: a parameter in a list has no key"),
        ({"x": {**UNIFORM, "label": "a.b"}}, "name 'a.b' must have"),
        ({"x": UNIFORM, "y": {**UNIFORM, "high": 2, "label": "x"}}, "have the label 'x'"),
        ({"x": 1}, "nothing is searched"),
        ({"x": UNIFORM, "f": print}, "f: .* is no JSON value"),
        ({"x": UNIFORM, "f": 2**63}, "f: .* is no JSON value"),
        ({"x": UNIFORM, 1: 2}, "keys must be text"),
        (
            {"x": UNIFORM, "y": functools.reduce(lambda inner, _: [inner], range(999))},
            "levels deep",
        ),
    ],
)
def test_a_space_that_cannot_be_is_refused_by_its_label(space: Any, sentence: str) -> None:
    """One sentence that names the place and the rule."""
    with pytest.raises(UsageError, match=sentence):
        parse(space)


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({"x": 2 * hp.uniform("x", 0, 1)}, r"mul\(...\) cannot be in a space"),
        ({"x": scope.int(hp.uniform("x", 0, 9))}, "x: int.. of a uniform"),
        ({"x": hp.uniform("x", 0, 1), "y": hp.uniform("x", 0, 2)}, "have the label 'x'"),
        ({"x": hp.choice("x", [print, 2])}, "is no JSON value"),
        ({"x": hp.randint("x", 3, 3)}, "x: low must be below high"),
        ({"x": hp.loguniform("x", 1, 1000)}, "log_high is a natural logarithm, and 1000 is too"),
        ({"x": hp.lognormal("x", 800, 1)}, "mu and sigma are of the natural logarithm"),
        ({"x": hp.uniform("x", 0, 1), "y": UNIFORM}, "stands beside expressions of hp"),
    ],
)
def test_what_hyperopts_graph_may_hold_and_a_space_may_not(space: Any, sentence: str) -> None:
    """A computation, and what is no JSON, belong into the objective."""
    with pytest.raises(UsageError, match=sentence):
        from_python(space)


def test_half_a_parameter_is_a_value_where_it_is_written_so() -> None:
    """The form that the refusal recommends comes back from the store as it was."""
    crop, noise = {"low": 0, "high": 1}, {"mu": 0, "sigma": 1}
    tree = parse({"x": UNIFORM, "crop": {"table": crop}, "noise": {"value": noise}})
    assert parse(json.loads(json.dumps(to_json(tree)))) == tree
    assert configuration(tree, {"x": 0.5})["crop"] == crop
    mixed = from_python({"x": hp.uniform("x", 0, 1), "crop": crop})
    assert parse(to_json(mixed)) == mixed


def test_words_of_ours_may_be_names_and_values() -> None:
    """A table with such keys, and a value that looks like a parameter, come back as they were."""
    space = {
        "value": hp.uniform("value", 0, 1),
        "choices": 3,
        "literal": {"distribution": "uniform", "low": 0},
        "nested": hp.choice("nested", [{"table": 1}, {"label": "x"}]),
    }
    tree = from_hyperopt(space)
    assert parse(json.loads(json.dumps(to_json(tree)))) == tree
    assert configuration(tree, {"value": 0.5, "nested": 0}) == {
        "value": 0.5,
        "choices": 3,
        "literal": {"distribution": "uniform", "low": 0},
        "nested": {"table": 1},
    }
