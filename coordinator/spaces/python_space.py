"""A search space as Python gives it: with what ``hp`` returned, or as JSON."""

from __future__ import annotations

import sys
from typing import Any, Mapping

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import DISTRIBUTIONS, Node


def from_python(space: Any) -> Node:
    """Return the tree of a space as Python gives it: with expressions of hyperopt's, or as JSON.

    Raises ``UsageError``.
    """
    if not _has_expression(space):
        return parse(space)
    from hyperhive.coordinator.spaces.hyperopt_space import from_hyperopt

    _require_no_json(space)
    return from_hyperopt(space)


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


def _has_expression(space: Any) -> bool:
    if isinstance(space, Mapping):
        return any(map(_has_expression, space.values()))
    if isinstance(space, (list, tuple)):
        return any(map(_has_expression, space))
    # Whoever made an expression has imported hyperopt, which takes a second and 75 MB.
    base = sys.modules.get("hyperopt.pyll.base")
    return base is not None and isinstance(space, base.Apply)
