"""Our algorithms suggest what hyperopt's suggest for the same history and seed, to the last bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from support.oracle import Hyperopt

from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import Node, parameters
from hyperhive.coordinator.suggest import OWN, Suggester

HYPEROPTS = ("tpe", "random", "anneal")
"""Those that hyperopt has too."""


class RandomSpace:
    """Makes spaces of all distributions, nested in tables, lists and choices.

    A parameter may stand at several places.
    """

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._made: list[Any] = []

    def make(self) -> Node:
        """Return a space of at least one parameter."""
        parts = [self._part(depth=0) for _ in range(self._dice.randint(1, 5))]
        return parse({"x": self._number(), "parts": parts})

    def _part(self, depth: int) -> Any:
        kind = "number" if depth > 2 else self._dice.choice(["number", "number", "choice", "table"])
        if kind == "table":
            keys = self._dice.sample("abcdef", k=2)  # not in the order of the alphabet
            return {key: self._part(depth + 1) for key in keys}
        if self._made and self._dice.random() < 0.2:
            return self._dice.choice(self._made)
        made = self._choice(depth) if kind == "choice" else self._number()
        self._made.append(made)
        return made

    def _label(self) -> str:
        return f"{self._dice.choice('abcdef')}{self._dice.randrange(10**9)}"

    def _choice(self, depth: int) -> Any:
        options = [self._part(depth + 1) for _ in range(self._dice.randint(1, 3))]
        choice = {"choices": options, "label": self._label()}
        if self._dice.random() < 0.5:
            weights = np.random.RandomState(len(options)).dirichlet([1] * len(options))
            choice["weights"] = [float(weight) for weight in weights]
        return choice

    def _number(self) -> Any:
        dice = self._dice
        name = dice.choice(
            ["uniform", "loguniform", "normal", "lognormal", "uniformint", "randint"]
        )
        low = dice.choice([-2.0, 0.0, 1e-3, 1.5])
        if name in ("uniformint", "randint"):
            arguments: dict[str, float] = {"low": dice.randint(-3, 3), "high": dice.randint(4, 9)}
        elif "normal" in name:
            arguments = {"mu": low, "sigma": dice.uniform(0.1, 2)}
        elif name == "loguniform" and low > 0:
            arguments = {"low": low, "high": low * 50}
        else:
            names = ("log_low", "log_high") if name == "loguniform" else ("low", "high")
            arguments = dict(zip(names, (low, low + dice.uniform(0.5, 4))))
        if name not in ("uniformint", "randint") and dice.random() < 0.4:
            name, arguments["step"] = f"q{name}", dice.choice([0.25, 1, 2])
        return {"distribution": name, **arguments, "label": self._label()}


def searched(space: Node, seed: int, count: int) -> list[Observation]:
    """Return the trials of a search; some are pending, and in every third one losses are tied."""
    dice = random.Random(seed)
    suggesters = [Suggester(algorithm, space, seed, startup=4) for algorithm in HYPEROPTS]
    known, history = Known(space), []
    for tid in range(count):
        vals = dice.choice(suggesters).suggest(tid, known)
        loss = sum(abs(value - 1) for value in vals.values()) + dice.random()
        found = None if tid and dice.random() < 0.15 else round(loss) if seed % 3 == 0 else loss
        history.append(Observation(tid, vals, found))
        known.put(history[-1])
    return history


@pytest.mark.filterwarnings("error", "ignore::RuntimeWarning:hyperopt")
def test_suggestions_are_hyperopts() -> None:
    """In 200 random spaces, after few and many trials, by every algorithm."""
    used = set()
    for seed in range(200):
        space = RandomSpace(seed).make()
        used |= {getattr(each, "distribution", "choice") for each in parameters(space).values()}
        count = (1, 2, 3, 7, 15, 40)[seed % 6] if seed % 50 else 300
        require_equal(space, seed, count)
    assert len(used) == 11


def require_equal(space: Node, seed: int, count: int) -> None:
    history = searched(space, seed, count)
    known, oracle = Known(space, history), Hyperopt(space, seed)
    trials = oracle.trials(history)
    for algorithm in HYPEROPTS:
        expected = oracle.suggest(algorithm, count, trials)
        found = Suggester(algorithm, space, seed, startup=1).suggest(count, known)
        assert {label: (type(value), value) for label, value in found.items()} == {
            label: (type(value), value) for label, value in expected.items()
        }


def test_a_part_of_a_choice_at_several_places_is_drawn_when_hyperopt_draws_it() -> None:
    """A choice that stands twice in a list counts once; a table of its option is entered once."""

    def choice(label: str, option: Any) -> Any:
        return {"choices": [option, 0], "label": label}

    number = {"distribution": "uniform", "low": 0, "high": 1, "label": "x"}
    inner = choice("inner", number)
    twice = [choice("b", inner), choice("a", inner), choice("b", inner)]
    shared = choice("shared", {"key": number})
    table = [choice("a", shared), choice("c", number), choice("b", shared)]
    for space in (twice, table):
        for seed in range(10):
            require_equal(parse(space), seed, count=3)


@pytest.mark.parametrize("algorithm", OWN)
def test_a_number_of_which_nothing_can_be_learned_is_drawn_at_random(algorithm: str) -> None:
    """A seed, say: a probability for each of its values would need terabytes."""
    space = parse({"seed": {"distribution": "randint", "low": 0, "high": 2**40}})
    known = Known(space, [Observation(tid, {"seed": tid}, float(tid)) for tid in range(3)])
    assert 0 <= Suggester(algorithm, space, 0, startup=1).suggest(3, known)["seed"] < 2**40


@pytest.mark.parametrize("algorithm", OWN)
def test_weights_may_be_rounded(algorithm: str) -> None:
    """Those before the last may add up to a little over 1, as far as a space may have them."""
    space = parse({"x": {"choices": [1, 2, 3], "weights": [0.5, 0.5000005, 0.0]}})
    known = Known(space, [Observation(0, {"x": 0}, 1.0)])
    for startup in (1, 2):
        assert Suggester(algorithm, space, 0, startup).suggest(1, known)["x"] in (0, 1)
