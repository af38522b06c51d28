"""A search space as Python gives it: with what ``hp`` returned, or as JSON."""

from __future__ import annotations

import sys
from typing import Any, Iterator, Mapping

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.spaces.expressions import Expression, python_value
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import (
    DISTRIBUTIONS,
    Choice,
    Fixed,
    Node,
    Parameter,
    Series,
    Table,
    to_json,
)


def from_python(space: Any) -> Node:
    """Return the tree of a space as Python gives it: with expressions of ``hp``'s, or as JSON.

    Raises ``UsageError``.
    """
    kinds = {type(each) for each in _expressions(space)}
    if not kinds:
        return parse(space)
    _require_no_json(space)
    if kinds != {Expression}:
        from hyperhive.coordinator.spaces.hyperopt_space import from_hyperopt

        return from_hyperopt(space)
    return parse(to_json(_read(space)))


def _expressions(space: Any) -> Iterator[Any]:
    """Return the expressions in a space: ours, and hyperopt's if that was imported."""
    if isinstance(space, Expression):
        yield space
        for argument in space.arguments.values():
            yield from _expressions(argument)
    elif isinstance(space, Mapping):
        for part in space.values():
            yield from _expressions(part)
    elif isinstance(space, (list, tuple)):
        for part in space:
            yield from _expressions(part)
    elif "hyperopt" in sys.modules:
        from hyperopt.pyll.base import Apply

        if isinstance(space, Apply):
            yield space


def _require_no_json(space: Any) -> None:
    """Raise ``UsageError`` for a parameter as JSON beside hp's: it would not be searched."""
    if isinstance(space, Mapping):
        needed = DISTRIBUTIONS.get(str(space.get("distribution")), ("distribution",))
        if {"distribution", *needed} <= set(space) and str(space["distribution"]) in DISTRIBUTIONS:
            raise UsageError(
                f"search space: {dict(space)!r:.80} stands beside expressions of hp: write all of "
                "it with hp, or all of it as JSON"
            )
    parts = space.values() if isinstance(space, Mapping) else space
    if isinstance(space, (Mapping, list, tuple)):
        for part in parts:
            _require_no_json(part)


def _read(space: Any) -> Node:
    if isinstance(space, Expression):
        return _read_call(space.function, space.label, space.arguments)
    if isinstance(space, Mapping):
        return Table({name: _read(space[name]) for name in sorted(space)})  # hyperopt's order
    if isinstance(space, (list, tuple)):
        return Series(tuple(map(_read, space)))
    return Fixed(python_value(space))


def _read_call(function: str, label: str, arguments: Mapping[str, Any]) -> Node:
    if function == "choice":
        return Choice(label, tuple(map(_read, arguments["options"])))
    if function == "pchoice":
        weights, options = zip(*arguments["p_options"])
        return Choice(label, tuple(map(_read, options)), tuple(map(float, weights)))
    values = {name: python_value(value) for name, value in arguments.items()}
    if "low" in values and len(values) == 1:  # of randint
        values = {"low": 0, "high": values["low"]}
    if function in ("loguniform", "qloguniform"):  # the bounds are those of the logarithm
        values = {"log_" + name if name != "q" else name: value for name, value in values.items()}
    if "q" in values:
        values["step"] = values.pop("q")
    return Parameter(label, function, values)
