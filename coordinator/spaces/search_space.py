"""A search space: a tree that is plain JSON in a study's file and in the store.

A space is a tree, written as its configuration will be. A table with ``distribution`` is a
parameter, one with ``choices`` chooses one of its options, and any other value stands for itself:

    {
        "lr": {"distribution": "loguniform", "low": 1e-4, "high": 0.1},
        "layers": 3,
        "optimizer": {
            "choices": [
                {"kind": "adam"},
                {"kind": "sgd", "momentum": {"distribution": "uniform", "low": 0, "high": 0.95}},
            ]
        },
    }

The same tree is the ``[space]`` of a study file. Each parameter has a label, by which its values
are stored: its key, unless the table has another ``label``. A plain table that has one of our words
as a key is written as ``{"table": {...}}``, and a value that looks like a parameter as
``{"value": ...}``.

``parsing.py`` reads such JSON. Nothing here needs hyperopt: ``hyperopt_space.py`` reads its graphs.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Union

from hyperhive.common.values import number

BOUNDS = ("low", "high")
LOG_BOUNDS = ("log_low", "log_high")
NORMAL = ("mu", "sigma")

DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "uniform": BOUNDS,
    "quniform": (*BOUNDS, "step"),
    "loguniform": BOUNDS,
    "qloguniform": (*BOUNDS, "step"),
    "uniformint": BOUNDS,
    "randint": BOUNDS,
    "normal": NORMAL,
    "qnormal": (*NORMAL, "step"),
    "lognormal": NORMAL,
    "qlognormal": (*NORMAL, "step"),
}
"""hyperopt's distributions, and what each needs.

``low`` and ``high`` are in the value's own unit; of ``randint``, ``high`` is excluded. ``mu`` and
``sigma`` of the lognormal ones are those of the logarithm. The loguniform ones may have ``log_low``
and ``log_high`` instead, the bounds of the natural logarithm: a bound from hyperopt's API keeps its
last digit in this way.
"""
LARGEST_LOG = 709.0
"""``exp`` of more is no float."""
WHOLE = ("uniformint", "randint")
OURS = {"distribution", "choices", "value", "table"}


@dataclass(frozen=True)
class Fixed:
    """A part that is the same in every trial: any JSON value."""

    value: Any


@dataclass(frozen=True)
class Parameter:
    """A number that is drawn from one of ``DISTRIBUTIONS`` with these arguments."""

    label: str
    distribution: str
    arguments: Mapping[str, float]


@dataclass(frozen=True)
class Choice:
    """One of several options; ``weights`` are their probabilities, None if all are alike."""

    label: str
    options: tuple[Node, ...]
    weights: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Table:
    """A dictionary of parts."""

    parts: Mapping[str, Node]


@dataclass(frozen=True)
class Series:
    """A list of parts."""

    parts: tuple[Node, ...]


Node = Union[Fixed, Parameter, Choice, Table, Series]


def to_json(node: Node, key: str | None = None) -> Any:
    """Return a tree as JSON, from which ``parse`` makes the same tree.

    Args:
        node: the tree.
        key: under which it stands in a table: a parameter with this label need not repeat it.
    """
    if isinstance(node, Fixed):
        return {"value": node.value} if _looks_like_ours(node.value) else node.value
    if isinstance(node, Series):
        return [to_json(part) for part in node.parts]
    if isinstance(node, Table):
        parts = {name: to_json(part, name) for name, part in node.parts.items()}
        return {"table": parts} if _is_ours(parts) else parts
    label = {} if node.label == key else {"label": node.label}
    if isinstance(node, Parameter):
        return {"distribution": node.distribution, **node.arguments, **label}
    weights = {} if node.weights is None else {"weights": list(node.weights)}
    return {"choices": [to_json(option) for option in node.options], **weights, **label}


def parameters(node: Node) -> dict[str, Parameter | Choice]:
    """Return what is searched, by label, in the order in which it is written."""
    return {each.label: each for each, _ in searched(node)}


def configuration(node: Node, values: Mapping[str, Any]) -> Any:
    """Return what a trial is called with, as JSON.

    Args:
        node: the space.
        values: of each parameter that is active, by label, as hyperopt draws them: a choice's is
            the index of its option. A parameter of an option that was not chosen may be absent.

    A number with a whole step is an ``int``, as are those of ``randint`` and ``uniformint``.
    """
    if isinstance(node, Fixed):
        return json.loads(json.dumps(node.value))  # a copy: trials must not share a list
    if isinstance(node, Series):
        return [configuration(part, values) for part in node.parts]
    if isinstance(node, Table):
        return {name: configuration(part, values) for name, part in node.parts.items()}
    if isinstance(node, Choice):
        return configuration(node.options[int(values[node.label])], values)
    value = values[node.label]
    return round(value) if is_whole(node) else float(value)


def is_possible(root: Node, values: Mapping[str, Any]) -> bool:
    """Return whether these are the values of one trial: a number for each active parameter."""
    if None in map(number, values.values()):
        return False
    try:
        used = set(_active(root, values))
    except LookupError:
        return False
    return used == set(values)


def _active(node: Node, values: Mapping[str, Any]) -> Iterator[str]:
    """Return the labels of what is active; raises ``LookupError`` for what cannot be."""
    if isinstance(node, (Parameter, Choice)):
        value = values[node.label]
        yield node.label
        if isinstance(node, Choice):
            _require_index(value, 0, len(node.options))
            yield from _active(node.options[int(value)], values)
        elif node.distribution == "randint":
            _require_index(value, *(int(bound) for bound in node.arguments.values()))
    elif isinstance(node, Table):
        for part in node.parts.values():
            yield from _active(part, values)
    elif isinstance(node, Series):
        for part in node.parts:
            yield from _active(part, values)


def _require_index(value: float, low: int, high: int) -> None:
    if value != int(value) or not low <= value < high:
        raise IndexError(value)


def is_whole(parameter: Parameter) -> bool:
    """Return whether all values of a parameter are whole numbers."""
    step = parameter.arguments.get("step", 0.5)
    return parameter.distribution in WHOLE or float(step).is_integer()


def searched(
    node: Node, chosen: Mapping[str, float] | None = None
) -> Iterator[tuple[Parameter | Choice, Mapping[str, float]]]:
    """Return what is searched, each with the choices that lead to it."""
    chosen = chosen or {}
    if isinstance(node, (Parameter, Choice)):
        yield node, chosen
    if isinstance(node, Choice):
        for index, option in enumerate(node.options):
            yield from searched(option, {**chosen, node.label: index})
    elif isinstance(node, Table):
        for part in node.parts.values():
            yield from searched(part, chosen)
    elif isinstance(node, Series):
        for part in node.parts:
            yield from searched(part, chosen)


def samples(root: Node) -> Iterator[tuple[str | None, Any]]:
    """Return configurations that show whether an objective can use a space, each with a label.

    The first has a value of the middle everywhere, and no label. The others differ from it in the
    parameter of their label: they have its extremes, or one of its options; or in the options of
    two. A normal distribution has no extremes; three standard deviations stand for them.
    """
    middle = {each.label: _notable(each)[0] for each, _ in searched(root)}
    yield None, configuration(root, middle)
    for each, chosen in searched(root):
        for value in _notable(each):
            yield each.label, configuration(root, {**middle, **chosen, each.label: value})
    choices = [found for found in searched(root) if isinstance(found[0], Choice)]
    for (one, to_one), (other, to_other) in itertools.combinations(choices, 2):
        label, base = f"{one.label} and {other.label}", {**middle, **to_one, **to_other}
        for first, second in itertools.product(_notable(one), _notable(other)):
            yield label, configuration(root, {**base, one.label: first, other.label: second})


def _notable(each: Parameter | Choice) -> list[float]:
    """Return a value between a parameter's extremes, and these; of a choice all its indices."""
    if isinstance(each, Choice):
        return [float(index) for index in range(len(each.options))]
    arguments, name = each.arguments, each.distribution
    if "sigma" in arguments:
        middle = arguments["mu"]
        low, high = middle - 3 * arguments["sigma"], middle + 3 * arguments["sigma"]
        values = [middle, low, high]
        values = (
            [math.exp(min(value, LARGEST_LOG)) for value in values] if "log" in name else values
        )
    else:
        low, high = (
            math.exp(arguments[f"log_{bound}"]) if f"log_{bound}" in arguments else arguments[bound]
            for bound in BOUNDS
        )
        values = [low + 0.3819 * (high - low), low, high - (name == "randint")]
        values = [math.floor(value) for value in values] if name in WHOLE else values
    step = arguments.get("step")
    # As hyperopt rounds: beyond a bound, if that is no multiple.
    return values if step is None else [round(value / step) * step for value in values]


def joined(where: str, name: str) -> str:
    """Return the path of a part of a table: ``optimizer.kind``."""
    return f"{where}.{name}" if where else name


def _is_ours(table: Mapping[str, Any]) -> bool:
    """Return whether a table would be read as a parameter, or refused as half of one."""
    halves = any(set(needed) <= set(table) for needed in (BOUNDS, NORMAL))
    return halves or bool(OURS & set(table))


def _looks_like_ours(value: Any) -> bool:
    if isinstance(value, Mapping):
        return _is_ours(value) or any(map(_looks_like_ours, value.values()))
    return isinstance(value, list) and any(map(_looks_like_ours, value))
