"""A search space as an algorithm sees it: variables, in the order in which they are drawn.

A random stream gives the same suggestions only if all draws come in the same order. It is that of
hyperopt: labels from the last to the first of the alphabet, but before a variable the choices on
which it depends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Sequence, Tuple, Union

import numpy as np

from hyperhive.coordinator.spaces.search_space import Choice, Node, Parameter, Series, Table

Place = Mapping[str, int]
"""The options, by the labels of their choices, under which a variable stands."""


@dataclass(frozen=True)
class Number:
    """A real number. Its logarithm, if ``is_log``, else itself is uniform or normal.

    Attributes:
        low, high: the bounds of a uniform one, on the scale on which it is uniform; infinite if it
            is normal.
        centre, width: mean and standard deviation of a normal one; middle and length of the range
            of a uniform one. A model takes them as the prior's mean and standard deviation.
        step: of which values are multiples, None if it has no step.
    """

    label: str
    places: tuple[Place, ...]
    low: float
    high: float
    centre: float
    width: float
    is_log: bool
    step: float | None

    @property
    def is_bounded(self) -> bool:
        """Whether it is uniform."""
        return self.low > -math.inf

    def draw(self, rng: np.random.Generator) -> float:
        """Draw a value from the prior."""
        if self.is_bounded:
            return self.uniform(rng, self.low, self.high)
        return self.normal(rng, self.centre, self.width)

    def uniform(self, rng: np.random.Generator, low: float, high: float) -> float:
        """Draw a value whose scaled form is uniform from ``low`` to ``high``."""
        return float(self.as_value(rng.uniform(low, high)))

    def normal(self, rng: np.random.Generator, mean: float, deviation: float) -> float:
        """Draw a value whose scaled form is normal."""
        return float(self.as_value(rng.normal(mean, deviation)))

    def as_value(self, scaled: Any) -> Any:
        """Return what a trial gets for a number on the scale of the bounds, or an array of them."""
        values = np.exp(scaled) if self.is_log else scaled
        return values if self.step is None else np.round(values / self.step) * self.step


@dataclass(frozen=True)
class Index:
    """A whole number, from ``first`` on; of a choice, the index of its option.

    ``weights`` are the probabilities, float64 of shape (count,); None if all are alike.
    """

    label: str
    places: tuple[Place, ...]
    first: int
    count: int
    weights: np.ndarray | None

    def draw(self, rng: np.random.Generator) -> int:
        """Draw a value from the prior."""
        if self.weights is None:
            return int(rng.integers(self.first, self.first + self.count))
        return self.categorical(rng, self.weights)

    def categorical(self, rng: np.random.Generator, weights: np.ndarray) -> int:
        """Draw a value with these probabilities, of shape (count,)."""
        return self.first + int(rng.multinomial(1, weights).argmax())


Variable = Union[Number, Index]
Variables = Tuple[Variable, ...]
Values = Mapping[str, float]


def drawn(variables: Variables, draw: Callable[[Variable], float]) -> dict[str, float]:
    """Draw each variable that is active, given what was drawn before; return values by label."""
    values: dict[str, float] = {}
    for variable in variables:
        if is_active(variable, values):
            values[variable.label] = draw(variable)
    return dict(sorted(values.items()))


def is_active(variable: Variable, values: Values) -> bool:
    """Return whether the options of at least one of a variable's places are chosen."""
    return any(
        all(values.get(label) == index for label, index in place.items())
        for place in variable.places
    )


def variables_of(root: Node) -> Variables:
    """Return a space's variables in the order in which they are drawn."""
    nodes: dict[str, Parameter | Choice] = {}
    places: dict[str, list[Place]] = {}
    for node, place in _occurrences(root, {}):
        nodes[node.label] = node
        places.setdefault(node.label, []).append(place)
    order: dict[str, Variable] = {}

    def visit(label: str) -> None:
        for place in reversed(places[label]):
            for choice in reversed(tuple(place)):
                if choice not in order:
                    visit(choice)
        order.setdefault(label, _variable(nodes[label], tuple(places[label])))

    for label in sorted(nodes, reverse=True):
        visit(label)
    return tuple(order.values())


def _occurrences(node: Node, place: Place) -> Iterator[tuple[Parameter | Choice, Place]]:
    """Yield what is searched, wherever it stands; of tables, in the order of their keys."""
    parts: Sequence[Node] = ()
    if isinstance(node, (Parameter, Choice)):
        yield node, place
    if isinstance(node, Choice):
        for index, option in enumerate(node.options):
            yield from _occurrences(option, {**place, node.label: index})
    elif isinstance(node, Table):
        parts = [node.parts[name] for name in sorted(node.parts)]
    elif isinstance(node, Series):
        parts = node.parts
    for part in parts:
        yield from _occurrences(part, place)


def _variable(node: Parameter | Choice, places: tuple[Place, ...]) -> Variable:
    if isinstance(node, Choice):
        weights = None if node.weights is None else np.array(node.weights)
        return Index(node.label, places, 0, len(node.options), weights)
    name, given = node.distribution, node.arguments
    if name == "randint":
        first = int(given["low"])
        return Index(node.label, places, first, int(given["high"]) - first, None)
    is_log = "log" in name
    step = 1.0 if name == "uniformint" else given.get("step")
    low, high = -math.inf, math.inf
    if "sigma" in given:
        centre, width = float(given["mu"]), float(given["sigma"])
    else:
        low, high = _bounds(given, is_log)
        centre, width = 0.5 * (high + low), high - low
    return Number(node.label, places, low, high, centre, width, is_log, step)


def _bounds(given: Mapping[str, float], is_log: bool) -> tuple[float, float]:
    if "log_low" in given:
        return float(given["log_low"]), float(given["log_high"])
    low, high = given["low"], given["high"]
    return (math.log(low), math.log(high)) if is_log else (float(low), float(high))
