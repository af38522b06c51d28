"""A study as Python's API gives it, as a plan."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from hyperopt.pyll.base import Apply

from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.spaces.hyperopt_space import from_hyperopt
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import Node

ASK = "ask-and-tell"
"""The objective of studies whose trials programs ask for: no worker has it."""


def plan_of(
    name: str,
    objective: str,
    space: Any,
    trials: int = 50,
    *,
    algorithm: str = "tpe",
    seed: int = 0,
    startup: int = 10,
    max_attempts: int = 3,
    metric: str = "loss",
    direction: str = "minimize",
    target: float | str | None = None,
    max_time: float | str | None = None,
    patience: int | None = None,
    try_first: Sequence[Mapping[str, Any]] = (),
) -> Plan:
    """Return a plan; its fields say what the arguments mean. Raises ``UsageError``.

    ``space`` holds what hyperopt's ``hp`` returns, or is JSON as in a study file.
    """
    return Plan(
        name=name,
        objective=objective,
        space=node_of(space),
        trials=trials,
        algorithm=algorithm,
        seed=seed,
        startup=startup,
        max_attempts=max_attempts,
        metric=metric,
        direction=direction,
        target=target,
        max_time=max_time,
        patience=patience,
        known=tuple(try_first),
    )


def node_of(space: Any) -> Node:
    """Return the tree of a space. Raises ``UsageError``, which names the label."""
    return from_hyperopt(space) if _is_hyperopts(space) else parse(space)


def _is_hyperopts(part: Any) -> bool:
    """Return whether anything in a space is an expression of hyperopt's."""
    if isinstance(part, Mapping):
        return any(map(_is_hyperopts, part.values()))
    if isinstance(part, (list, tuple)):
        return any(map(_is_hyperopts, part))
    return isinstance(part, Apply)
