"""Search spaces: the values that a trial's configuration may take, for hyperopt and for us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Tuple

from hyperhive.common.errors import ConfigError, UsageError
from hyperhive.common.values import is_number
from hyperhive.model.config import TrainConfig

_WHOLE = "quniform"
DISTRIBUTIONS = ("uniform", "loguniform", _WHOLE)
_WHOLE_NUMBERS = ("epochs", "batch_size")
TUNABLE = ("learning_rate", "epochs", "momentum", "batch_size")


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter: values from ``low`` to ``high``, both in its own unit.

    ``uniform`` and ``loguniform`` are hyperopt's, but the bounds of ``loguniform`` are the values
    and not their logarithms. ``quniform`` gives whole multiples of ``step``, as a whole number.

    Raises ``UsageError`` for a distribution or bounds that cannot be used.
    """

    name: str
    distribution: str
    low: float
    high: float
    step: int | None = None

    def __post_init__(self) -> None:
        where = f"search space, {self.name}: "
        if self.name not in TUNABLE:
            raise UsageError(
                "{}no such hyperparameter: choose one of {}".format(where, ", ".join(TUNABLE))
            )
        if self.distribution not in DISTRIBUTIONS:
            raise UsageError(
                "{}distribution must be one of {}".format(where, ", ".join(DISTRIBUTIONS))
            )
        if not all(is_number(bound) for bound in (self.low, self.high)) or self.low >= self.high:
            raise UsageError(f"{where}low and high must be numbers, low below high")
        if (self.distribution == _WHOLE) != (self.step is not None):
            raise UsageError(f"{where}quniform needs a step, and no other distribution has one")
        if self.step is not None and (not isinstance(self.step, int) or self.step < 1):
            raise UsageError(f"{where}step must be a whole number, 1 or more")
        for bound in (self.low, self.high):
            self._require_usable(bound)
        if self.step and (self.low % self.step or self.high % self.step):
            # hyperopt rounds a draw to the nearest multiple, which may lie outside other bounds.
            raise UsageError(f"{where}low and high must be multiples of step")
        if self.name in _WHOLE_NUMBERS and self.distribution != _WHOLE:
            raise UsageError(f"{where}this is a whole number, so its distribution must be quniform")

    def to_config(self, value: float) -> Any:
        """Return hyperopt's value in the type that the configuration has."""
        return int(value) if self.distribution == _WHOLE else float(value)

    def to_hyperopt(self) -> Any:
        """Return the dimension as a node of hyperopt's search space."""
        import numpy as np
        from hyperopt import hp

        if self.distribution == "loguniform":
            return hp.loguniform(self.name, np.log(self.low), np.log(self.high))
        if self.distribution == _WHOLE:
            return hp.quniform(self.name, self.low, self.high, self.step)
        return hp.uniform(self.name, self.low, self.high)

    def to_json(self) -> dict[str, Any]:
        """Return the dimension as a table in a study file."""
        table = {"distribution": self.distribution, "low": self.low, "high": self.high}
        return table if self.step is None else {**table, "step": self.step}

    def _require_usable(self, bound: float) -> None:
        usable = {"learning_rate": 0.1, "epochs": 1, "momentum": 0.0, "batch_size": 1}
        try:
            if self.distribution == "loguniform" and bound <= 0:
                raise ConfigError("loguniform needs bounds above 0")
            TrainConfig.from_json({"dataset": "", **usable, self.name: bound})
        except ConfigError as error:
            raise UsageError(f"search space, {self.name}: {error}") from error


Space = Tuple[Dimension, ...]

CLASSIC: Space = (
    Dimension("learning_rate", "loguniform", 0.001, 0.1),
    Dimension("epochs", _WHOLE, 2, 30, step=1),
    Dimension("momentum", "uniform", 0.0, 0.95),
)
"""The three hyperparameters that matter for LeNet-5."""

ROBUST: Space = (
    CLASSIC[0],
    Dimension("epochs", _WHOLE, 10, 60, step=1),
    CLASSIC[2],
)
"""The same three; augmented images differ in every epoch, so more epochs are worthwhile."""

NAMED: dict[str, dict[str, Any]] = {
    "classic": {"space": CLASSIC, "augment": "none"},
    "robust": {"space": ROBUST, "augment": "camera"},
}
"""The fields of a ``Plan`` that each name of a space stands for."""


def named(name: str) -> dict[str, Any]:
    """Return the fields of a ``Plan`` that a space's name stands for; raises ``UsageError``."""
    if name not in NAMED:
        raise UsageError(
            "no space is called {!r}: choose one of {}, or give its tables in a study file".format(
                name, ", ".join(NAMED)
            )
        )
    return dict(NAMED[name])


def from_tables(tables: Mapping[str, Any]) -> Space:
    """Build a space from the ``[space.*]`` tables of a study file; raises ``UsageError``."""
    dimensions = []
    for name, table in sorted(tables.items()):
        known = {"distribution", "low", "high", "step"}
        if (
            not isinstance(table, dict)
            or not {"distribution", "low", "high"} <= set(table) <= known
        ):
            raise UsageError(
                f"search space, {name}: it must have distribution, low and high, may have step, "
                "and nothing else"
            )
        dimensions.append(Dimension(name=name, **table))
    missing = {"learning_rate", "epochs", "momentum"} - {each.name for each in dimensions}
    if missing:
        raise UsageError("search space: {} is missing".format(", ".join(sorted(missing))))
    return tuple(dimensions)
