"""A plain function as an objective: ``train(config, trial)``, in a file of the user's."""

from __future__ import annotations

import math
from typing import Any, Callable, Mapping

from hyperhive.common.errors import HyperhiveError
from hyperhive.common.values import is_number, number
from hyperhive.worker.objectives.api import Context, Outcome, Stopped

_MOST_REPORTS = 10_000
"""The history of a trial is kept with its result, whose size is limited."""

_UNKNOWN_S = 1.0
"""A function does not say how long it will take. With any time left, a worker that must pause holds
it at a report, and one that is stopped lets it run for the whole grace."""


class BadResult(HyperhiveError):
    """An objective returned, or reported, what is no result: another run would not help."""


class RunningTrial:
    """The trial that a function is called for.

    ``number`` counts the study's trials from 0, ``device`` is ``cpu``, ``cuda`` or ``mps``.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._last_step: float = -math.inf
        self.number: int = context.trial.tid
        self.device: str = context.device
        self.history: list[dict[str, Any]] = []
        self.was_told_to_stop = False

    def report(self, step: float, **metrics: Any) -> None:
        """Report metrics after a step, such as an epoch; they are shown live and kept.

        Args:
            step: rises from report to report.
            metrics: a number each, of Python's, NumPy's or PyTorch's.

        Raises ``Stopped`` if the trial has to end; let it pass. Raises ``BadResult`` for a step
        that does not rise, and for a metric that is no number.
        """
        at = number(plain(step))
        if at is None or at <= self._last_step:
            raise BadResult(
                f"trial.report: step {step!r} came after {self._last_step:g}: steps must be "
                "numbers that rise"
            )
        values = {name: plain(value) for name, value in metrics.items()}
        for name, value in values.items():
            if not is_number(value):
                raise BadResult(f"trial.report: {name} must be a number, not {_kind(value)}")
        if len(self.history) == _MOST_REPORTS:
            raise BadResult(f"trial.report: more than {_MOST_REPORTS:,} reports; report less often")
        self._last_step = at
        entry = {"step": plain(step), **values}
        self.history.append(entry)
        self._context.report(entry, _UNKNOWN_S)
        if self.should_stop():
            raise Stopped

    def should_stop(self) -> bool:
        """Return whether the trial has to end; then return from the function, or report."""
        self.was_told_to_stop = self.was_told_to_stop or self._context.should_stop()
        return self.was_told_to_stop


class FunctionObjective:
    """Runs a function of a configuration and a trial.

    The function returns its loss, or a dictionary with ``loss`` and whatever else is to be kept.

    Args:
        name: of the objective, for messages.
        function: is called with the configuration, as the search space describes it, and with a
            ``RunningTrial``.
    """

    def __init__(self, name: str, function: Callable[[Any, RunningTrial], Any]) -> None:
        self._name = name
        self._function = function

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        """Run the function; raises whatever it raises, and ``BadResult`` for what is no result."""
        trial = RunningTrial(context)
        returned = self._function(config, trial)
        if trial.was_told_to_stop:  # so what it returned may be half done
            raise Stopped
        return Outcome(self._result(plain(returned), trial))

    def _result(self, returned: Any, trial: RunningTrial) -> dict[str, Any]:
        found = {"loss": returned} if is_number(returned) else returned
        if not isinstance(found, dict):
            raise BadResult(
                f"{self._name} returned {_kind(found)}: it must return its loss, a number, or a "
                'dictionary such as {"loss": 0.1}'
            )
        if not is_number(found.get("loss")):
            said = _kind(found["loss"]) + " as its loss" if "loss" in found else "no loss"
            raise BadResult(
                f"{self._name} returned {said}: the dictionary must have a number, loss, that is "
                "to be small"
            )
        result = {"status": "ok", **found, "diverged": not math.isfinite(found["loss"])}
        return {**result, "history": trial.history} if trial.history else result


def plain(value: Any) -> Any:
    """Return a value with the numbers of NumPy and PyTorch in it as Python's."""
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if hasattr(value, "item"):
        numbers = value.numel() if hasattr(value, "numel") else value.size
        return value.item() if numbers == 1 else value
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (None)"
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    return f"{kind} of shape {list(shape)}" if shape is not None else f"{kind} {value!r:.40}"
