"""The values of the search space that a configuration has: the inverse of ``configuration``.

So a configuration that a person knows can be a trial like any other, and algorithms learn from it.
"""

from __future__ import annotations

import math
from typing import Any, Mapping

from hyperhive.common.errors import UsageError
from hyperhive.common.values import is_number
from hyperhive.coordinator.spaces.search_space import (
    Choice,
    Fixed,
    Node,
    Parameter,
    Series,
    Table,
    is_whole,
    joined,
)


def values_of(space: Node, config: Any, where: str = "") -> dict[str, float]:
    """Return a value for each parameter that is active in a configuration, by label.

    A choice's value is the index of its option. What is the same in every trial may be left out.

    Args:
        space: the search space.
        config: as an objective gets it; nested as the space is.
        where: the path of this part, for messages.

    Raises ``UsageError``, which names the place, for a configuration that no trial could have.
    """
    if isinstance(space, Fixed):
        if config != space.value:
            raise UsageError(f"{where} must be {space.value!r}, as in the search space")
        return {}
    if isinstance(space, Parameter):
        return {space.label: _drawable(space, config, where)}
    if isinstance(space, Choice):
        return _chosen(space, config, where)
    if isinstance(space, Table):
        return _of_table(space, config, where)
    return _of_series(space, config, where)


def _of_table(space: Table, config: Any, where: str) -> dict[str, float]:
    if not isinstance(config, Mapping):
        raise UsageError(f"{where or 'a known point'} must be a table, not {config!r:.60}")
    unknown = [joined(where, str(name)) for name in config if name not in space.parts]
    if unknown:
        raise UsageError(f"{unknown[0]} is not in the search space")
    values: dict[str, float] = {}
    for name, part in space.parts.items():
        if name in config:
            _add(values, values_of(part, config[name], joined(where, name)))
        elif not isinstance(part, Fixed):
            raise UsageError(f"{joined(where, name)} is missing")
    return values


def _of_series(space: Series, config: Any, where: str) -> dict[str, float]:
    if not isinstance(config, (list, tuple)) or len(config) != len(space.parts):
        raise UsageError(f"{where} must be a list of {len(space.parts)} values")
    values: dict[str, float] = {}
    for index, part in enumerate(space.parts):
        _add(values, values_of(part, config[index], f"{where}[{index}]"))
    return values


def _chosen(space: Choice, config: Any, where: str) -> dict[str, float]:
    """Return the index of the first option that can be this configuration, and what is in it."""
    reasons = []
    for index, option in enumerate(space.options):
        try:
            return {space.label: index, **values_of(option, config, where)}
        except UsageError as error:
            reasons.append(str(error))
    raise UsageError(
        f"{where} is none of the {len(space.options)} choices of the search space "
        f"({'; '.join(dict.fromkeys(reasons))})"
    )


def _drawable(parameter: Parameter, value: Any, where: str) -> float:
    if not is_number(value) or not math.isfinite(value):
        raise UsageError(f"{where} must be a number, not {value!r:.60}")
    arguments = parameter.arguments
    low, high = (
        math.exp(arguments[f"log_{name}"]) if f"log_{name}" in arguments else arguments.get(name)
        for name in ("low", "high")
    )
    # Rounding to a step may lead beyond a bound, and a logarithm and back costs the last digits.
    margin = arguments.get("step", 0) / 2 + 1e-9 * abs(value)
    if low is not None and not low - margin <= value <= (high or 0) + margin:
        raise UsageError(f"{where} must be from {low:g} to {high:g}, not {value:g}")
    if parameter.distribution == "randint" and value >= (high or 0):
        raise UsageError(f"{where} must be below {high:g}, not {value:g}")
    if is_whole(parameter) and value != int(value):
        raise UsageError(f"{where} must be a whole number, not {value:g}")
    if "lognormal" in parameter.distribution and value < 0:
        raise UsageError(f"{where} must be 0 or more, not {value:g}")
    return int(value) if parameter.distribution == "randint" else float(value)


def _add(values: dict[str, float], more: Mapping[str, float]) -> None:
    """Add values; one parameter that stands in several places has one value."""
    for label, value in more.items():
        if values.setdefault(label, value) != value:
            raise UsageError(f"{label} has two values, {values[label]:g} and {value:g}")
