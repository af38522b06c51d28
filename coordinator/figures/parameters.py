"""What a study searches: each parameter with its kind and bounds, and where each trial has it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping

from hyperhive.common.values import number
from hyperhive.coordinator.figures.numbers import rounded, text
from hyperhive.coordinator.spaces.search_space import (
    BOUNDS,
    Choice,
    Fixed,
    Node,
    Parameter,
    Table,
    is_whole,
    to_json,
)
from hyperhive.coordinator.spaces.search_space import parameters as searched
from hyperhive.store.trials.trial import Trial

_LONGEST_OPTION = 40
_DECADES = 2
"""An axis is logarithmic, where no space says so, if positive values span more powers of ten."""


@dataclass(frozen=True)
class Axis:
    """A parameter as its figures show it.

    Args:
        name: its label.
        kind: ``number``, ``integer`` or ``category``.
        is_log: whether it is drawn on a logarithmic scale.
        low: the least value; None of a category.
        high: the greatest.
        categories: the options' names; a trial's value is the index of one.
    """

    name: str
    kind: str
    is_log: bool = False
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as the figures' JSON has it."""
        return {
            "name": text(self.name),
            "kind": self.kind,
            "log": self.is_log,
            "low": rounded(self.low),
            "high": rounded(self.high),
            "categories": None if self.categories is None else list(self.categories),
        }

    def position(self, trial: Trial) -> float | int | None:
        """Return a trial's value, or the index of its category; None if it has none."""
        value = number(trial.vals.get(self.name))
        if value is None or self.categories is None:
            return rounded(value)
        is_index = value.is_integer() and 0 <= value < len(self.categories)
        return int(value) if is_index else None


def axes(space: Node | None, trials: Iterable[Trial]) -> list[Axis]:
    """Return the parameters of a space, in the order in which it is written.

    Of an experiment of hyperopt's, whose space is in a pickle, they are what its trials have.
    """
    values = _values(trials)
    if space is None:
        return [_guessed(name, each) for name, each in values.items()]
    return [_axis(each, values.get(name, [])) for name, each in searched(space).items()]


def _values(trials: Iterable[Trial]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for trial in trials:
        for name, value in trial.vals.items():
            known = number(value)
            if known is not None:
                found.setdefault(name, []).append(known)
    return found


def _guessed(name: str, values: list[float]) -> Axis:
    low, high = min(values), max(values)
    is_log = low > 0 and math.log10(high) - math.log10(low) > _DECADES
    is_integer = all(value.is_integer() for value in values)
    return Axis(name, "integer" if is_integer else "number", is_log, low, high)


def _axis(each: Parameter | Choice, values: list[float]) -> Axis:
    if isinstance(each, Choice):
        return Axis(each.label, "category", categories=tuple(map(_option, each.options)))
    low, high = _bounds(each, values)
    is_log = "log" in each.distribution and low > 0
    return Axis(each.label, "integer" if is_whole(each) else "number", is_log, low, high)


def _bounds(each: Parameter, values: list[float]) -> tuple[float, float]:
    """Return the least and the greatest value: of the space or, where it has none, of the trials.

    A trial may be beyond the space's: somebody tried a configuration that they knew.
    """
    arguments = each.arguments
    if "sigma" in arguments:
        return (min(values), max(values)) if values else _of_normal(each)
    low, high = (
        math.exp(arguments[f"log_{bound}"]) if f"log_{bound}" in arguments else arguments[bound]
        for bound in BOUNDS
    )
    high -= each.distribution == "randint"  # its upper bound is excluded
    return min([low, *values]), max([high, *values])


def _of_normal(each: Parameter) -> tuple[float, float]:
    scale: Callable[[float], float] = math.exp if "log" in each.distribution else float
    middle, spread = each.arguments["mu"], each.arguments["sigma"]
    return scale(middle - 3 * spread), scale(middle + 3 * spread)


def _option(option: Node) -> str:
    """Return the name of an option: its value or, of a table, its first fixed part."""
    shown: Any = option.value if isinstance(option, Fixed) else None
    if isinstance(option, Table):
        fixed = [part.value for part in option.parts.values() if isinstance(part, Fixed)]
        shown = fixed[0] if fixed else None
    if isinstance(shown, Mapping) and shown:
        shown = next(iter(shown.values()))
    if shown is None and not isinstance(option, Fixed):
        shown = json.dumps(to_json(option))
    word = json.dumps(shown) if isinstance(shown, (bool, type(None), list)) else shown
    return text(word, _LONGEST_OPTION)
