"""Rules that end a search before its last trial: a target, a time, no improvement for too long."""

from __future__ import annotations

import math
import operator
import re
from bisect import bisect_right, insort
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping

from hyperhive.common.errors import UsageError
from hyperhive.common.values import number
from hyperhive.common.wording import in_words
from hyperhive.coordinator.ranking import usable_loss
from hyperhive.store.trials.draft import Goal
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

_SIDES: Mapping[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}
_TARGET = re.compile(r"\s*([^\s<>=]+)\s*(<=|>=)\s*(\S+)\s*")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_TIME = re.compile(r"\s*([0-9.]+)\s*(s|min|h|d)\s*")


@dataclass(frozen=True)
class Target:
    """A value of a metric that is good enough, such as ``accuracy >= 0.97``."""

    metric: str
    side: str
    value: float

    @classmethod
    def of(cls, given: Any, goal: Goal) -> Target:
        """Read a target: a number is one of the study's goal. Raises ``UsageError``."""
        side = ">=" if goal.direction == "maximize" else "<="
        known = _number(given)
        if known is not None:
            return cls(goal.metric, side, known)
        match = _TARGET.fullmatch(given) if isinstance(given, str) else None
        found = _number(match[3]) if match else None
        if match is None or found is None:
            raise UsageError(
                'target must be a number, or a text such as "accuracy >= 0.97" or "loss <= 0.1", '
                f"not {given!r:.60}"
            )
        return cls(match[1], match[2], found)

    def is_met(self, trial: Trial) -> bool:
        """Return whether a trial reached it."""
        value = self._value(trial)
        return value is not None and _SIDES[self.side](value, self.value)

    def reached(self, trial: Trial) -> str:
        """Return why the search ends with this trial."""
        found = in_words({self.metric: self._value(trial)})
        return f"target reached: {trial.title} has {found} (target: {self.side} {self.value:g})"

    def _value(self, trial: Trial) -> float | None:
        return trial.metrics.get(self.metric)


@dataclass(frozen=True)
class StopRules:
    """The rules of one study.

    Args:
        target: ends the search with the first trial that reaches it.
        max_time: seconds for which coordinators may run the study, together.
        patience: so many trials may end after the best one.
    """

    target: Target | None = None
    max_time: float | None = None
    patience: int | None = None

    @classmethod
    def of(cls, target: Any, max_time: Any, patience: Any, goal: Goal) -> StopRules:
        """Read the rules as a study file or Python gives them. Raises ``UsageError``."""
        if patience is not None and (
            not isinstance(patience, int) or isinstance(patience, bool) or patience < 1
        ):
            raise UsageError("patience must be a whole number of trials, 1 or more")
        return cls(
            None if target is None else Target.of(target, goal),
            None if max_time is None else seconds_of(max_time),
            patience,
        )

    def why_stop(self, ended: Iterable[Trial], spent: float) -> str | None:
        """Return why a search with these trials is to stop, see ``Stopping``."""
        stopping = Stopping(self)
        for trial in ended:
            stopping.take(trial)
        return stopping.why_stop(spent)


class Stopping:
    """Whether the rules of a study end its search, as its trials end one by one.

    Args:
        rules: of the study.
    """

    def __init__(self, rules: StopRules) -> None:
        self._rules = rules
        self._reached: Trial | None = None  # the first to end of those that reached the target
        self._best: Trial | None = None
        self._lowest = (math.inf, 0)  # its loss and number
        self._ends: list[tuple[float, int]] = []  # of those that are done, in order

    def take(self, trial: Trial) -> None:
        """Take a trial that has ended, once."""
        asks = self._rules.target is not None or self._rules.patience is not None
        if not asks or trial.status is not Status.DONE:
            return
        insort(self._ends, end_of(trial))
        loss = usable_loss(trial)
        if loss is None:
            return
        if (loss, trial.tid) < self._lowest:
            self._best, self._lowest = trial, (loss, trial.tid)
        target, first = self._rules.target, self._reached
        if target is not None and target.is_met(trial):
            self._reached = trial if first is None else min(trial, first, key=end_of)

    def why_stop(self, spent: float) -> str | None:
        """Return why the search is to stop, None if it is not.

        Args:
            spent: seconds for which coordinators have run it.
        """
        rules = self._rules
        if rules.target is not None and self._reached is not None:
            return rules.target.reached(self._reached)
        if rules.max_time is not None and spent >= rules.max_time:
            return f"the time is over: it was {_time_in_words(rules.max_time)} (max_time)"
        if rules.patience is not None and self._best is not None:
            later = len(self._ends) - bisect_right(self._ends, end_of(self._best))
            if later >= rules.patience:
                return (
                    f"{later} trials ended without a better one than {self._best.title} (patience)"
                )
        return None


def seconds_of(given: Any) -> float:
    """Return a time in seconds, of a number of them or "90 min". Raises ``UsageError``."""
    match = _TIME.fullmatch(given) if isinstance(given, str) else None
    value = _number(match[1] if match else given)
    seconds = value * _UNITS[match[2]] if match and value is not None else value
    if seconds is None or seconds <= 0:
        raise UsageError(
            'max_time must be a number of seconds above 0, or a text such as "90 s", "30 min", '
            f'"2 h" or "1 d", not {given!r:.60}'
        )
    return seconds


def _number(given: Any) -> float | None:
    """Return a number, or a text that is one as flags are: finite; None for anything else."""
    try:
        return number(float(given)) if isinstance(given, str) else number(given)
    except ValueError:
        return None


def _time_in_words(seconds: float) -> str:
    unit = max((u for u, size in _UNITS.items() if size <= seconds), key=_UNITS.get, default="s")  # type: ignore[arg-type]
    return f"{seconds / _UNITS[unit]:g} {unit}"


def end_of(trial: Trial) -> tuple[float, int]:
    """Return what orders trials by their end; results that were delivered at once by number."""
    at = trial.refresh_time
    return (at.timestamp() if at is not None else 0.0, trial.tid)
