"""A study as Python's API gives it, as a plan."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.spaces.hyperopt_space import from_python


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
        space=from_python(space),
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
