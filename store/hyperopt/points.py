"""The points that a search begins with, checked against its space before anything is posted."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Sequence

import numpy as np
from hyperopt import pyll

from hyperhive.common.values import number

_REALS = "any number"
_CLOSE = 1e-9
"""Relative error of a bound or a multiple that was computed with floats."""


def fitting(points: Any, space: Any) -> list[dict[str, Any]]:
    """Return points with plain numbers, each with the labels that it uses and no others.

    A label of a choice that the point does not take has no effect, so it may be there or not.

    Args:
        points: a list of dicts: values by label, with the index of the option for ``hp.choice``.
        space: hyperopt's search space.

    Raises ``ValueError``, which says which point, which label and what is allowed.
    """
    if not isinstance(points, (list, tuple)):
        raise ValueError(
            "points_to_evaluate must be a list of dicts, each with the values of one point by "
            f"label; it is of the type {type(points).__name__}"
        )
    expression = pyll.as_apply(space)
    labels = _labels(expression)
    fit = []
    for index, point in enumerate(points):
        try:
            fit.append(_fitting(point, expression, labels))
        except _Misfit as error:
            raise ValueError(f"points_to_evaluate[{index}]: {error}") from None
    return fit


class _Misfit(Exception):
    """A point that does not fit the space."""


@dataclass(frozen=True)
class _Label:
    """A hyperparameter: its distribution, and its options if it is the index of a choice."""

    distribution: Any
    options: Sequence[Any] | None


def _labels(expression: Any) -> dict[str, _Label]:
    labels: dict[str, _Label] = {}
    options = {}
    for node in pyll.dfs(expression):
        if node.name == "hyperopt_param":
            labels[node.arg["label"].obj] = _Label(node.arg["obj"], None)
        elif node.name == "switch" and node.inputs()[0].name == "hyperopt_param":
            options[node.inputs()[0].arg["label"].obj] = node.inputs()[1:]
    return {name: _Label(labels[name].distribution, options.get(name)) for name in sorted(labels)}


def _fitting(point: Any, expression: Any, labels: Mapping[str, _Label]) -> dict[str, Any]:
    if not isinstance(point, Mapping):
        raise _Misfit(f"it must be a dict with values by label, not {point!r:.80}")
    for name in point:
        if name not in labels:
            raise _Misfit(_unknown(name, labels))
    values = {name: _value(name, labels[name], value) for name, value in point.items()}
    used = _used(expression, values)
    for name in labels:
        if name in used and name not in values:
            raise _Misfit(f"{name!r} is missing; it takes {_rule(labels[name])[0]}")
    return {name: value for name, value in values.items() if name in used}


def _unknown(name: Any, labels: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), labels)
    known = " or ".join(map(repr, near)) if near else ", ".join(map(repr, labels))
    return f"the space has no label {name!r:.80}: did you mean {known}?"


def _used(expression: Any, values: Mapping[str, Any]) -> set[str]:
    """Return the labels that a point with these values needs."""
    used: set[str] = set()
    waiting, seen = [expression], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        inputs = node.inputs()
        if node.name == "hyperopt_param":
            used.add(node.arg["label"].obj)
        elif node.name == "switch" and inputs[0].name == "hyperopt_param":
            index = values.get(inputs[0].arg["label"].obj)
            inputs = inputs[:1] if index is None else [inputs[0], inputs[1 + index]]
        waiting += inputs
    return used


def _value(name: str, label: _Label, value: Any) -> Any:
    """Return a value as a plain number; raise ``_Misfit`` if its distribution never gives it."""
    allowed, fits = _rule(label)
    real = number(value.item() if isinstance(value, np.generic) else value)
    if real is not None and fits(real):
        return int(real) if _is_index(label) else real
    raise _Misfit(f"{name!r} is {value!r:.80}, and takes {allowed}{_hint(label, value)}")


def _hint(label: _Label, value: Any) -> str:
    """Return which index stands for the option that was written in its place, if it is one."""
    for index, option in enumerate(label.options or ()):
        # As text: comparing options of any type may do anything.
        if isinstance(option, pyll.Literal) and repr(option.obj) == repr(value):
            return f"; write {index} for {value!r:.80}"
    return ""


def _is_index(label: _Label) -> bool:
    return label.options is not None or label.distribution.name in ("randint", "categorical")


def _rule(label: _Label) -> tuple[str, Callable[[float], bool]]:
    """Return what a label takes, in words and as a test of a finite number."""
    node = label.distribution
    if label.options is not None:
        last = len(label.options) - 1
        words = f"the index of one of the options of hp.choice, 0 to {last}"
        return words, lambda value: value.is_integer() and 0 <= value <= last
    bounds = {name: _literal(node, name) for name in ("low", "high", "q", "upper")}
    low, high, step = bounds["low"], bounds["high"], bounds["q"]
    if node.name == "randint":
        low, high = (0, low) if high is None else (low, high)
        high = None if high is None else high - 1
        step = 1
    elif node.name in ("loguniform", "qloguniform"):
        low, high = (None if bound is None else math.exp(bound) for bound in (low, high))
    elif node.name in ("lognormal", "qlognormal"):
        low = 0
    elif node.name not in ("uniform", "quniform", "normal", "qnormal"):
        return _REALS, lambda value: True  # a distribution that we do not know
    return _range_in_words(low, high, step), lambda value: _is_within(value, low, high, step)


def _literal(node: Any, name: str) -> float | None:
    """Return a distribution's argument; None if it has none, or one that is drawn itself."""
    argument = node.arg.get(name)
    return number(argument.obj) if isinstance(argument, pyll.Literal) else None


def _range_in_words(low: float | None, high: float | None, step: float | None) -> str:
    if step == 1:
        words = "a whole number"
    else:
        words = "a number" if step is None else f"a multiple of {step:g}"
    if low is None or high is None:
        return words if low is None else f"{words}, {low:g} or more"
    return f"{words} from {low:g} to {high:g}"


def _is_within(value: float, low: float | None, high: float | None, step: float | None) -> bool:
    if step is not None:
        steps = round(value / step)
        if not math.isclose(value, steps * step, rel_tol=_CLOSE, abs_tol=_CLOSE * step):
            return False
        # hyperopt rounds a draw to the nearest multiple, which may lie beyond the bounds.
        low = None if low is None else min(low, round(low / step) * step)
        high = None if high is None else max(high, round(high / step) * step)
    slack = _CLOSE * abs(value)
    return (low is None or value >= low - slack) and (high is None or value <= high + slack)
