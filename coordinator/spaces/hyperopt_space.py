"""hyperopt's graph as a search space, and a search space as hyperopt's graph."""

from __future__ import annotations

import math
from typing import Any, Callable

from hyperopt import hp
from hyperopt.pyll.base import Apply, Literal, as_apply

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import (
    Choice,
    Fixed,
    Node,
    Parameter,
    Series,
    Table,
    to_json,
)

_CASTS = ("float", "int")


def from_hyperopt(space: Any) -> Node:
    """Return the tree of a space of hyperopt's: what ``hp`` returned, or dicts and lists of that.

    Raises ``UsageError`` for a part that a search space has no word for.
    """
    return parse(to_json(_read(as_apply(space))))


def _read(graph: Apply) -> Node:
    if isinstance(graph, Literal):
        return Fixed(_python_value(graph.obj))
    if graph.name == "pos_args":
        return Series(tuple(map(_read, graph.pos_args)))
    if graph.name == "dict" and not graph.pos_args:
        return Table({name: _read(part) for name, part in graph.named_args})
    if graph.name == "switch" and graph.pos_args[0].name == "hyperopt_param":
        return _read_choice(graph)
    casts, inner = [], graph
    while inner.name in _CASTS and len(inner.pos_args) == 1:
        casts.append(inner.name)
        inner = inner.pos_args[0]
    if inner.name != "hyperopt_param":
        raise UsageError(
            f"search space: {graph.name}(...) cannot be in a space, only what hp returns: do the "
            "computation in the objective"
        )
    return _read_parameter(inner, is_int="int" in casts)


def _read_choice(switch: Apply) -> Choice:
    label, draw = _label_and_draw(switch.pos_args[0])
    options = tuple(map(_read, switch.pos_args[1:]))
    if draw.name == "randint":
        return Choice(label, options)
    return Choice(label, options, tuple(float(weight.obj) for weight in draw.arg["p"].inputs()))


def _read_parameter(node: Apply, is_int: bool) -> Parameter:
    label, draw = _label_and_draw(node)
    name = draw.name
    arguments = {key: _number(part) for key, part in draw.arg.items() if isinstance(part, Literal)}
    if name == "randint":
        low, high = arguments["low"], arguments.get("high")
        return Parameter(label, name, {"low": 0, "high": low} if high is None else arguments)
    if name in ("loguniform", "qloguniform"):
        arguments = {"log_" + key if key != "q" else key: arguments[key] for key in arguments}
    if "q" in arguments:
        arguments["step"] = arguments.pop("q")
    if is_int and name == "quniform" and arguments["step"] == 1:
        name = "uniformint"
        del arguments["step"]
    elif is_int and not float(arguments.get("step", 0.5)).is_integer():
        raise UsageError(
            f"search space, {label}: int() of a {name} cannot be in a space: use hp.uniformint, or "
            "a quantized distribution with a whole step"
        )
    return Parameter(label, name, arguments)


def _label_and_draw(node: Apply) -> tuple[str, Apply]:
    return str(node.arg["label"].obj), node.arg["obj"]


def _number(literal: Literal) -> Any:
    return _python_value(literal.obj)


def _python_value(value: Any) -> Any:
    """Return a number of NumPy's as Python's; anything else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def to_hyperopt(root: Node) -> Any:
    """Return the graph from which hyperopt suggests values of a space.

    A parameter that stands at several places is one node of the graph: its value is drawn once.
    """
    made: dict[str, Any] = {}

    def build(node: Node) -> Any:
        if isinstance(node, Fixed):
            return node.value
        if isinstance(node, Series):
            return [build(part) for part in node.parts]
        if isinstance(node, Table):
            return {name: build(part) for name, part in node.parts.items()}
        if node.label not in made:
            made[node.label] = (
                _expression(node) if isinstance(node, Parameter) else _choice(node, build)
            )
        return made[node.label]

    return as_apply(build(root))


def _choice(choice: Choice, build: Callable[[Node], Any]) -> Any:
    options = [build(option) for option in choice.options]
    if choice.weights is None:
        return hp.choice(choice.label, options)
    return hp.pchoice(choice.label, list(zip(choice.weights, options)))


def _expression(parameter: Parameter) -> Any:
    arguments = dict(parameter.arguments)
    if parameter.distribution == "randint":
        return hp.randint(parameter.label, *(int(bound) for bound in arguments.values()))
    if "low" in arguments and "loguniform" in parameter.distribution:
        arguments["low"] = math.log(arguments["low"])
        arguments["high"] = math.log(arguments["high"])
    return getattr(hp, parameter.distribution)(parameter.label, *arguments.values())
