"""A plain function as an objective: ``train(config, trial)``, in a file of the user's."""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from hyperhive.common.values import is_number, number
from hyperhive.store.trials.draft import Goal
from hyperhive.worker.objectives.api import BadResult, Context, Outcome, Stopped
from hyperhive.worker.objectives.goal import WORST_LOSS

if TYPE_CHECKING:  # it loads PyMongo, which an objective of one's own may not need
    from hyperhive.worker.objectives.saving import Content

_MOST_NUMBERS = 100_000
"""Of the reports that are kept with a result, whose size is limited: about 3 MB."""

_DEEPEST = 50
"""Levels of a result; the database has a limit of its own, of 100."""

_UNKNOWN_S = 1.0
"""A function does not say how long it will take. With any time left, a worker that must pause holds
it at a report, and one that is stopped lets it run for the whole grace."""


class RunningTrial:
    """The trial that a function is called for.

    ``number`` counts the study's trials from 0, ``device`` is ``cpu``, ``cuda`` or ``mps``.
    ``seed``, from 0 to 2**32 - 1, is the study's, and another one in each repeat.

    Args:
        context: of the trial.
        who: what runs it, for the beginning of a sentence; by default its objective.
    """

    def __init__(self, context: Context, who: str | None = None) -> None:
        self._context = context
        self._who = who or str(context.trial.objective)
        self._process = os.getpid()
        self._last_step = -math.inf
        self._kept = 0
        self.number: int = context.trial.tid
        self.seed: int = context.trial.seed or 0  # a coordinator of an earlier version gave none
        self.device: str = context.device
        self.history: list[dict[str, Any]] = []
        self.was_told_to_stop = False

    def report(self, step: float, *, of: float | None = None, **metrics: Any) -> None:
        """Report metrics after a step, such as an epoch; they are shown live and kept.

        Of a hundred thousand numbers and more, every second report is forgotten.

        Args:
            step: rises from report to report.
            of: the last step. Trials of unlike length are then compared at the same share of it,
                when the study's pruner ends some early.
            metrics: a number each, of Python's, NumPy's or PyTorch's.

        Raises ``Stopped`` if the trial has to end; let it pass. The report at which it is pruned
        returns, so that a function can ask ``should_stop`` and end without an exception; the next
        one raises. Raises ``BadResult`` for a step that does not rise, and for a metric that is no
        number.
        """
        self._require_own_process("trial.report")
        entry = {name: _scalar(value) for name, value in {"step": step, **metrics}.items()}
        length = {} if of is None else {"of": _scalar(of)}
        for name, value in {**entry, **length}.items():
            if not is_number(value):
                raise self._refusal(f"reported {_kind(value)} as {name}: it must be a number")
        at = number(entry["step"])
        if at is None or at <= self._last_step:
            raise self._refusal(
                f"reported step {entry['step']} after step {self._last_step:g}: steps must rise"
            )
        if of is not None and not length["of"] > 0:
            raise self._refusal(f"reported a step of={length['of']}: that must be above 0")
        self._last_step = at
        self._keep(entry)
        was_pruned = self._context.is_pruned()
        self._context.report({"step": entry["step"], **length, **entry}, _UNKNOWN_S)
        if self.should_stop() and (was_pruned or not self._context.is_pruned()):
            raise Stopped

    def save(self, name: str, content: Content) -> None:
        """Keep a file with the trial's result: ``study.best.artifact(name)`` returns it.

        It is copied at once. One that has this name already is replaced.

        Args:
            name: 1 to 100 letters, digits, dots, underscores and hyphens; no dot begins it.
            content: bytes, or the path of a file.

        Raises ``BadResult`` for a name, a content or a size that no artifact may have, and for a
        path without a file, ``OSError`` or ``InputError`` if the file cannot be read, and
        ``DeviceError`` if this device has no room for the copy.
        """
        self._require_own_process("trial.save")
        if self._context.files is None:
            raise RuntimeError("trial.save works only in a trial that a worker or a program runs")
        self._context.files.save(name, content)

    def artifact_folder(self) -> contextlib.AbstractContextManager[Path | None]:
        """Return a context that gives an empty folder, or None; its files are saved at the end."""
        files = self._context.files
        return contextlib.nullcontext() if files is None else files.folder()

    def should_stop(self) -> bool:
        """Return whether the trial has to end; then return from the function, or report."""
        self.was_told_to_stop = self.was_told_to_stop or self._context.should_stop()
        return self.was_told_to_stop

    def _keep(self, entry: dict[str, Any]) -> None:
        self.history.append(entry)
        self._kept += len(entry)
        if self._kept > _MOST_NUMBERS:
            self.history = self.history[::-2][::-1]  # the last one stays
            self._kept = sum(map(len, self.history))

    def _require_own_process(self, what: str) -> None:
        if os.getpid() != self._process:
            raise RuntimeError(f"{what} works only in the process in which the function began")

    def _refusal(self, said: str) -> BadResult:
        return BadResult(f"{self._who} {said}")


class FunctionObjective:
    """Runs a function of a configuration and a trial.

    The function returns what its study is to make small or large, by default its loss, or a
    dictionary with that and whatever else is to be kept.

    Args:
        function: is called with the configuration, as the search space describes it, and with a
            ``RunningTrial`` if it takes two arguments.

    Raises ``TypeError`` if it takes neither one argument nor two.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        count = arguments(function)
        if count is None:
            raise TypeError(f"{function!r} takes neither (config) nor (config, trial)")
        self._function = function
        self._takes_trial = count == 2

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        """Run the function; raises whatever it raises, and ``BadResult`` for what is no result."""
        trial = RunningTrial(context)
        own = copy.deepcopy(dict(config))  # the function may change it
        try:
            returned = self._function(own, trial) if self._takes_trial else self._function(own)
        except Stopped:
            if not context.is_pruned():
                raise
        if context.is_pruned():
            return Outcome({"status": "ok", "history": trial.history})
        if trial.was_told_to_stop:  # so what it returned may be half done
            raise Stopped
        said, goal = f"{context.trial.objective} returned", context.trial.goal
        return Outcome(result_of(said, returned, goal, trial.history))


def arguments(function: Callable[..., Any]) -> int | None:
    """Return 2 for a function of ``(config, trial)``, 1 for one of ``(config)``, None for others.

    A second argument that need not be given is the trial only if that is its name.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a function written in C need not have one
        return 2
    if _takes(signature, 2):
        second = list(signature.parameters.values())[1:2]
        is_trial = not _takes(signature, 1) or not second or second[0].name == "trial"
        if is_trial or second[0].kind is inspect.Parameter.VAR_POSITIONAL:
            return 2
    return 1 if _takes(signature, 1) else None


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def result_of(
    said: str, returned: Any, goal: Goal, history: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a function's result as ``Outcome`` describes it, with the history of its reports.

    A number is the metric of the goal. Raises ``BadResult``, which begins with ``said``, for what
    is no result: ``digits.py:train returned``.
    """
    scalar = _scalar(returned)
    found = {goal.metric: scalar} if is_number(scalar) else returned
    if not isinstance(found, Mapping):
        raise BadResult(
            f"{said} {_kind(found)}: it must be the {goal.metric}, a number, or a dictionary such "
            f'as {{"{goal.metric}": 0.1}}'
        )
    result = {"status": "ok", **_plain(said, found, ())}
    if result["status"] not in ("ok", "fail"):
        raise BadResult(f"{said} {_kind(result['status'])} as its status: omit it")
    if is_number(result.get("loss")) and number(result["loss"]) is None:
        result.update(loss=WORST_LOSS, diverged=True)
    return {**result, "history": list(history)} if history else result


def _plain(said: str, value: Any, path: tuple[str, ...]) -> Any:
    """Return what a function returned as plain JSON; raises ``BadResult`` if it is none."""
    where = f" in {'.'.join(path[:5])}" if path else ""
    if len(path) > _DEEPEST:
        raise BadResult(f"{said} what contains itself, or is nested too deep{where}")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise BadResult(
                    f"{said} a dictionary with the key {key!r:.40}{where}: keys must be text"
                )
        return {str(key): _plain(said, part, (*path, str(key))) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(said, part, (*path, str(index))) for index, part in enumerate(value)]
    scalar = _scalar(value)
    if scalar is None or isinstance(scalar, (bool, int, float, str)):
        return scalar
    raise BadResult(
        f"{said} {_kind(value)}{where}: a result may hold numbers, text, lists and dictionaries"
    )


def _scalar(value: Any) -> Any:
    """Return a number of NumPy's or PyTorch's as Python's, anything else unchanged."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (None)"
    kind, shape = type(value).__name__, getattr(value, "shape", None)
    return f"{kind} {value!r:.40}" if shape is None else f"{kind} of shape {list(shape)}"
