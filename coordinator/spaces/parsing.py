"""Reads a search space of JSON: a study file's table, what the store has, what Python gives."""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence

from hyperhive.common.errors import UsageError
from hyperhive.common.values import number
from hyperhive.coordinator.spaces.search_space import (
    BOUNDS,
    DISTRIBUTIONS,
    LARGEST_LOG,
    LOG_BOUNDS,
    NORMAL,
    WHOLE,
    Choice,
    Fixed,
    Node,
    Parameter,
    Series,
    Table,
    is_whole,
    joined,
    searched,
)

_EXAMPLE = '{distribution = "uniform", low = 0, high = 0.9}'


_DEEPEST = 50


def parse(space: Any) -> Node:
    """Return the tree of a space as JSON; raises ``UsageError``, which names the label."""
    _require_shallow(space)
    root = _parsed(space, "", None)
    _require_one_meaning(root)
    return root


def _require_shallow(space: Any) -> None:
    """Require what the database can hold: it has a limit of 100 levels, and a trial adds some."""
    level = [space]
    for _ in range(_DEEPEST):
        level = [
            part
            for each in level
            if isinstance(each, (Mapping, list, tuple))
            for part in (each.values() if isinstance(each, Mapping) else each)
        ]
    if level:
        raise UsageError(f"search space: it is nested more than {_DEEPEST} levels deep")


def _require_one_meaning(root: Node) -> None:
    """Require that a label means one thing: the same parameter may stand at several places."""
    seen: dict[str, Parameter | Choice] = {}
    for each, _ in searched(root):
        if seen.setdefault(each.label, each) != each:
            raise UsageError(
                f"search space: two different parameters have the label {each.label!r}: give one "
                'of them another, as in {label = "..."}'
            )
    if not seen:
        raise UsageError(
            "search space: nothing is searched, and all trials would be the same: give one value a "
            f"distribution, as in {_EXAMPLE}, or choices"
        )


def _parsed(space: Any, where: str, key: str | None) -> Node:
    """Return the tree of a part.

    Args:
        space: the part as JSON.
        where: its path, for messages.
        key: under which it stands in a table: the label that a parameter has by default.
    """
    if isinstance(space, Mapping):
        for word, read in (("distribution", _parameter), ("choices", _choice)):
            if word in space:
                return read(space, where, _label(space, where, key))
        _require_distribution(space, where)
        if set(space) == {"value"}:
            return Fixed(_plain(space["value"], where))
        parts = space["table"] if set(space) == {"table"} else space
        return _table(parts, where)
    if isinstance(space, (list, tuple)):
        return _simplest(
            Series(tuple(_parsed(part, f"{where}[{i}]", None) for i, part in enumerate(space)))
        )
    return Fixed(_plain(space, where))


def _table(parts: Any, where: str) -> Node:
    if not isinstance(parts, Mapping) or not all(isinstance(name, str) for name in parts):
        raise UsageError(f"{_at(where)}a table's keys must be text")
    for name in parts:
        _require_key(name, where)
    return _simplest(
        Table({name: _parsed(part, joined(where, name), name) for name, part in parts.items()})
    )


def _simplest(node: Table | Series) -> Node:
    """Return a part in which nothing is searched as a fixed value."""
    if isinstance(node, Table) and all(isinstance(part, Fixed) for part in node.parts.values()):
        return Fixed({name: part.value for name, part in node.parts.items()})  # type: ignore
    if isinstance(node, Series) and all(isinstance(part, Fixed) for part in node.parts):
        return Fixed([part.value for part in node.parts])  # type: ignore[union-attr]
    return node


def _parameter(table: Mapping[str, Any], where: str, label: str) -> Node:
    distribution = table["distribution"]
    if distribution not in DISTRIBUTIONS:
        raise UsageError(
            f"{_at(where)}there is no distribution {distribution!r:.40}: choose one of "
            f"{', '.join(DISTRIBUTIONS)}"
        )
    needed: Sequence[str] = DISTRIBUTIONS[distribution]
    if "loguniform" in distribution and set(LOG_BOUNDS) & set(table):
        needed = (*LOG_BOUNDS, *needed[2:])
    given = {name: value for name, value in table.items() if name not in ("distribution", "label")}
    if set(given) != set(needed):
        raise UsageError(
            f"{_at(where)}{distribution} needs {_listed(needed)}, and nothing else but a label, as "
            f"in {_EXAMPLE}"
        )
    for name in needed:
        if not _is_finite(given[name]):
            raise UsageError(f"{_at(where)}{name} must be a finite number, not {given[name]!r:.40}")
    parameter = Parameter(label, distribution, {name: given[name] for name in needed})
    low, high = given.get("low"), given.get("high")
    if low is not None and low == high and distribution != "randint":
        return Fixed(round(low) if is_whole(parameter) else low)  # it is held still
    _require_sense(parameter, where)
    return parameter


def _require_sense(parameter: Parameter, where: str) -> None:
    arguments, at = parameter.arguments, _at(where)
    low, high = (
        next((arguments[name] for name in names if name in arguments), None)
        for names in (("low", "log_low"), ("high", "log_high"))
    )
    if low is not None and high is not None and not low < high:
        raise UsageError(f"{at}low must be below high")
    if "loguniform" in parameter.distribution and arguments.get("low", 1) <= 0:
        raise UsageError(f"{at}low of {parameter.distribution} must be above 0")
    _require_finite(parameter, at)
    if parameter.distribution in WHOLE and not all(
        float(bound).is_integer() for bound in arguments.values()
    ):
        raise UsageError(f"{at}low and high of {parameter.distribution} must be whole numbers")
    for name in ("step", "sigma"):
        if arguments.get(name, 1) <= 0:
            raise UsageError(f"{at}{name} must be above 0")
    if low is not None and high is not None and not math.isfinite(high - low):
        raise UsageError(f"{at}low and high are too far apart")
    rounded = parameter.distribution in WHOLE or "step" in arguments
    if rounded and max(map(abs, arguments.values())) >= 2**53:
        # A float has no larger whole number that is exact, and hyperopt draws floats.
        raise UsageError(f"{at}its numbers must be below 2**53")


def _require_finite(parameter: Parameter, at: str) -> None:
    """Raise ``UsageError`` for logarithms of numbers that Python does not have."""
    arguments = parameter.arguments
    if arguments.get("log_high", 0) > LARGEST_LOG:
        raise UsageError(
            f"{at}log_high is a natural logarithm, and {arguments['log_high']:g} is too large: for "
            f"values up to that, log_high is {math.log(arguments['log_high']):.4g}"
        )
    if "lognormal" in parameter.distribution:
        # Nearly all values of a normal distribution are within ten standard deviations.
        highest = arguments["mu"] + 10 * arguments["sigma"]
        if highest > LARGEST_LOG:
            raise UsageError(
                f"{at}mu and sigma are of the natural logarithm: values up to exp({highest:g}) are "
                "too large"
            )


def _choice(table: Mapping[str, Any], where: str, label: str) -> Choice:
    options, weights = table["choices"], table.get("weights")
    if set(table) - {"choices", "weights", "label"}:
        raise UsageError(f"{_at(where)}beside choices there may be weights and a label only")
    if not isinstance(options, (list, tuple)) or not options:
        raise UsageError(f"{_at(where)}choices must be a list of at least one option")
    if weights is not None:
        is_list = isinstance(weights, (list, tuple)) and len(weights) == len(options)
        if not is_list or not all(_is_finite(weight) and weight >= 0 for weight in weights):
            raise UsageError(f"{_at(where)}weights must be a list of one number for each option")
        if not math.isclose(sum(weights), 1, abs_tol=1e-6):
            raise UsageError(f"{_at(where)}weights must add up to 1, not to {sum(weights):.6g}")
        weights = tuple(float(weight) for weight in weights)
    read = (_parsed(option, f"{where}.choices[{i}]", None) for i, option in enumerate(options))
    return Choice(label, tuple(read), weights)


def _label(table: Mapping[str, Any], where: str, key: str | None) -> str:
    label = table.get("label", key)
    if label is None:
        raise UsageError(
            f"{_at(where)}a parameter in a list has no key that would be its label: give it one, "
            'as in {label = "..."}'
        )
    if not isinstance(label, str):
        raise UsageError(f"{_at(where)}the label {label!r} must be text")
    _require_key(label, where)
    return label


def _require_key(name: str, where: str) -> None:
    """Require that a name can be a key of MongoDB's documents, and a part of a dotted name."""
    if not 0 < len(name) <= 64 or name.startswith("$") or set(".\0") & set(name):
        raise UsageError(
            f"{_at(where)}the name {name!r:.80} must have 1 to 64 characters, no '.' among them, "
            "and not begin with '$'"
        )


def _require_distribution(table: Mapping[str, Any], where: str) -> None:
    """Refuse a table that is a parameter, but for its distribution."""
    for needed in (BOUNDS, NORMAL):
        if set(needed) <= set(table):
            raise UsageError(
                f"{_at(where)}a table with {_listed(needed)} needs a distribution, as in "
                f"{_EXAMPLE}; if they are values of its own, write {{table = {{...}}}}"
            )


def _plain(value: Any, where: str) -> Any:
    """Return a fixed value as JSON; raises ``UsageError`` for anything that JSON has not."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(part, where) for part in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(part, where) for name, part in value.items()}
    raise UsageError(
        f"{_at(where)}{value!r} is no JSON value: a trial's configuration is text, numbers, true, "
        "false, null, lists and tables; name what else it needs by a text"
    )


def _is_finite(value: Any) -> bool:
    return number(value) is not None


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _at(where: str) -> str:
    return f"search space, {where}: " if where else "search space: "
