"""Search spaces: the values that a trial's configuration may take, for hyperopt and for us."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Tuple

from hyperhive.common.errors import ConfigError, UsageError
from hyperhive.common.values import is_number, number
from hyperhive.model.config import TrainConfig
from hyperhive.store.trials.trial import LENET5

_WHOLE = "quniform"
DISTRIBUTIONS = ("uniform", "loguniform", _WHOLE)
_WHOLE_NUMBERS = ("epochs", "batch_size")
TUNABLE = ("learning_rate", "epochs", "momentum", "batch_size")
_USABLE = {"epochs": 1, "learning_rate": 0.1, "momentum": 0.0}
"""What LeNet-5 cannot do without, and a value of each that is in range."""

GIVEN = ("dataset", "seed", "validation_fraction", "split_seed")
"""What every configuration has from its study, so no hyperparameter may have such a name."""

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,63}")
_EXAMPLE = '{ distribution = "uniform", low = 0, high = 0.9 }'
_WHOLE_EXAMPLE = '{ distribution = "quniform", low = 2, high = 30, step = 1 }'


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter: values from ``low`` to ``high``, both in its own unit.

    ``uniform`` and ``loguniform`` are hyperopt's, but the bounds of ``loguniform`` are the values
    and not their logarithms. ``quniform`` gives whole multiples of ``step``, as a whole number. If
    the bounds are equal the hyperparameter is held still: it is in every configuration, and the
    search does not see it. Such a one may have no distribution; see ``held``.

    Raises ``UsageError`` for a distribution or bounds that cannot be used.
    """

    name: str
    distribution: str | None
    low: float
    high: float
    step: int | None = None

    def __post_init__(self) -> None:
        self._require(
            isinstance(self.name, str) and _NAME.fullmatch(self.name) is not None,
            "a hyperparameter's name is 1 to 64 letters, digits or '_', and no digit is first",
        )
        self._require(
            is_number(self.low) and is_number(self.high) and not self.low > self.high,
            "low and high must be numbers, low below high (or equal, to hold it still)",
        )
        for bound in (self.low, self.high):
            is_finite = number(bound) is not None
            self._require(is_finite, f"{self.name} must be a number, not {bound!r:.40}")
        self._require(number(self.high - self.low) is not None, "low and high are too far apart")
        self._require(
            self.distribution in (DISTRIBUTIONS if self.is_searched else (None, *DISTRIBUTIONS)),
            f"distribution must be one of {', '.join(DISTRIBUTIONS)}, as in {_EXAMPLE}",
        )
        positive = self.distribution != "loguniform" or self.low > 0
        self._require(positive, "loguniform needs bounds above 0")
        self._require_step()
        if self.distribution == _WHOLE or not isinstance(self.low + self.high, float):
            # A float has no larger whole number that is exact, and hyperopt draws floats.
            is_exact = max(abs(self.low), abs(self.high), self.step or 0) < 2**53
            self._require(is_exact, f"{self.name} must be a number below 2**53")

    @classmethod
    def held(cls, name: str, value: float) -> Dimension:
        """Return a hyperparameter that has this value in every trial."""
        return cls(name, None, value, value)

    @property
    def is_searched(self) -> bool:
        """Whether trials differ in it."""
        return self.low != self.high

    def to_config(self, value: float) -> Any:
        """Return a value, hyperopt's or the one that is held, as the configuration has it."""
        if self.distribution is None:
            return value
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

    def to_json(self) -> Any:
        """Return the dimension as a study file has it: a table, or the number that is held."""
        if self.distribution is None:
            return self.low
        table = {"distribution": self.distribution, "low": self.low, "high": self.high}
        return table if self.step is None else {**table, "step": self.step}

    def _require_step(self) -> None:
        step = self.step
        self._require(
            (self.distribution == _WHOLE) == (step is not None),
            f"quniform needs a step, as in {_WHOLE_EXAMPLE}, and no other distribution has one",
        )
        if step is not None:
            is_whole = isinstance(step, int) and not isinstance(step, bool)
            self._require(is_whole and step >= 1, "step must be a whole number, 1 or more")
            # hyperopt rounds a draw to the nearest multiple, which may lie outside other bounds.
            are_multiples = self.low % step == 0 and self.high % step == 0
            self._require(are_multiples, "low and high must be multiples of step")

    def _require(self, holds: bool, rule: str) -> None:
        if not holds:
            raise UsageError(f"search space, {self.name}: {rule}")


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


def from_tables(tables: Mapping[str, Any], objective: str = LENET5) -> Space:
    """Build a space from the table ``[space]`` of a study file.

    A number holds a hyperparameter still. Raises ``UsageError``, also for a space that the
    objective cannot use.
    """
    space = tuple(_dimension(name, entry) for name, entry in sorted(tables.items()))
    require_usable(space, objective)
    return space


def require_usable(space: Space, objective: str) -> None:
    """Raise ``UsageError`` if an objective's trials cannot have the values of a space.

    What other objectives than LeNet-5 make of a value is known to them alone.
    """
    if objective == LENET5:
        _require_lenet5(space)
    else:
        taken = [each.name for each in space if each.name in GIVEN]
        if taken:
            raise UsageError(
                f"search space, {taken[0]}: a study gives its trials {', '.join(GIVEN)}: choose "
                "another name"
            )
    if not any(each.is_searched for each in space):
        raise UsageError(
            "search space: nothing is searched, and all trials would be the same: give one "
            f"hyperparameter a distribution, as in {_EXAMPLE}"
        )


def _dimension(name: str, entry: Any) -> Dimension:
    if is_number(entry):
        return Dimension.held(name, entry)
    needed = {"distribution", "low", "high"}
    if not isinstance(entry, dict) or not needed <= set(entry) <= needed | {"step"}:
        raise UsageError(
            f"search space, {name}: it must have distribution, low and high, as in {_EXAMPLE}, or "
            f"be a number; distributions are {', '.join(DISTRIBUTIONS)} (with step)"
        )
    return Dimension(name=name, **entry)


def _require_lenet5(space: Space) -> None:
    for each in space:
        where = f"search space, {each.name}: "
        if each.name not in TUNABLE:
            raise UsageError(
                f"{where}no such hyperparameter: choose one of {', '.join(TUNABLE)}, or set an "
                "objective of your own"
            )
        if each.name in _WHOLE_NUMBERS and each.distribution not in (_WHOLE, None):
            raise UsageError(
                f"{where}this is a whole number, so its distribution must be quniform, as in "
                f"{_WHOLE_EXAMPLE}"
            )
        try:
            for bound in (each.low, each.high):
                TrainConfig.from_json({"dataset": "", **_USABLE, each.name: bound})
        except ConfigError as error:
            raise UsageError(f"{where}{error}") from error
    missing = [name for name in _USABLE if name not in {each.name for each in space}]
    if missing:
        raise UsageError(
            f"search space: {', '.join(missing)} is missing: give it a number, or a table such as "
            f"{_EXAMPLE}"
        )
