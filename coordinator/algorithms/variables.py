"""A search space as an algorithm sees it: variables, in the order in which they are drawn.

A random stream gives the same suggestions only if all draws come in the same order. It is that of
hyperopt: labels from the last to the first of the alphabet, but before a variable the choices on
which it depends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from hyperhive.coordinator.spaces.search_space import Choice, Node, Parameter, Series, Table

Option = Tuple[str, int]
"""The label of a choice, and the index of one of its options."""
MOST_LEARNED = 2**20
"""Of more whole numbers than that, a model learns nothing: hardly any comes twice. They are drawn
from the prior, as each would need a probability."""
Options = Tuple[Optional[Option], ...]
"""The innermost options in which a variable stands; None where it stands in no option."""


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
    options: Options
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
    ``is_choice`` says whether it is a choice, whose options have no order.
    """

    label: str
    options: Options
    first: int
    count: int
    weights: np.ndarray | None
    is_choice: bool = False

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
    """Return whether a variable stands in no option, or in one that is chosen."""
    return any(option is None or values.get(option[0]) == option[1] for option in variable.options)


def variables_of(root: Node) -> Variables:
    """Return a space's variables in the order in which they are drawn."""
    walk = _Walk()
    walk.enter(root, _Scope())
    order: dict[str, Variable] = {}

    def visit(scopes: Sequence[_Scope]) -> None:
        for scope in reversed(scopes):
            visit(scope.outer)
            if scope.option is not None:
                add(scope.option[0])

    def add(label: str) -> None:
        if label not in order:
            scopes = walk.scopes[label]
            visit(scopes)
            order[label] = _variable(walk.nodes[label], tuple(_options(scopes)))

    for label in sorted(walk.nodes, reverse=True):
        add(label)
    return tuple(order.values())


@dataclass(eq=False)
class _Scope:
    """What parts stand in: the root, a table or a list, or the option of a choice."""

    option: Option | None = None
    outer: list[_Scope] = field(default_factory=list)
    """The scopes of a table or list: several, if it is part of a choice at several places."""


class _Walk:
    """Finds the scopes of each variable, in the order in which hyperopt finds them.

    A choice that stands at several places is one object: what is in a table or list of an option
    is found once, but the option itself wherever the choice stands.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Parameter | Choice] = {}
        self.scopes: dict[str, list[_Scope]] = {}
        self._inner: dict[int, _Scope] = {}  # of tables and lists, by id()

    def enter(self, node: Node, scope: _Scope) -> None:
        """Find what is in a part that stands in a scope."""
        if isinstance(node, (Parameter, Choice)):
            self._enter_variable(self.nodes.setdefault(node.label, node), scope)
        elif isinstance(node, (Table, Series)):
            is_new = id(node) not in self._inner
            inner = self._inner.setdefault(id(node), _Scope())
            inner.outer.append(scope)
            for part in _parts(node) if is_new else ():
                self.enter(part, inner)

    def _enter_variable(self, node: Parameter | Choice, scope: _Scope) -> None:
        scopes = self.scopes.setdefault(node.label, [])
        if scope in scopes:
            return
        scopes.append(scope)
        if isinstance(node, Choice):
            for index, option in enumerate(node.options):
                self.enter(option, _Scope((node.label, index)))


def _parts(node: Table | Series) -> Sequence[Node]:
    """Return the parts; those of a table in the order of their keys."""
    if isinstance(node, Series):
        return node.parts
    return [node.parts[name] for name in sorted(node.parts)]


def _options(scopes: Sequence[_Scope]) -> list[Option | None]:
    """Return the innermost options of scopes, each once."""
    found: dict[Option | None, None] = {}
    for scope in scopes:
        if scope.option is None and scope.outer:
            found.update(dict.fromkeys(_options(scope.outer)))
        else:
            found[scope.option] = None
    return list(found)


def _variable(node: Parameter | Choice, options: Options) -> Variable:
    if isinstance(node, Choice):
        return Index(node.label, options, 0, len(node.options), _weights(node), is_choice=True)
    name, given = node.distribution, node.arguments
    if name == "randint":
        first = int(given["low"])
        return Index(node.label, options, first, int(given["high"]) - first, None)
    is_log = "log" in name
    step = 1.0 if name == "uniformint" else given.get("step")
    low, high = -math.inf, math.inf
    if "sigma" in given:
        centre, width = float(given["mu"]), float(given["sigma"])
    else:
        low, high = _bounds(given, is_log)
        centre, width = 0.5 * (high + low), high - low
    return Number(node.label, options, low, high, centre, width, is_log, step)


def _weights(choice: Choice) -> np.ndarray | None:
    """Return the weights of options; they may have been rounded, and add up to a little over 1."""
    if choice.weights is None:
        return None
    weights = np.array(choice.weights)
    # Only weights that NumPy's multinomial would refuse are changed: hyperopt changes none.
    return weights / weights.sum() if weights[:-1].sum() > 1 + 1e-12 else weights


def _bounds(given: Mapping[str, float], is_log: bool) -> tuple[float, float]:
    if "log_low" in given:
        return float(given["log_low"]), float(given["log_high"])
    low, high = given["low"], given["high"]
    return (math.log(low), math.log(high)) if is_log else (float(low), float(high))
