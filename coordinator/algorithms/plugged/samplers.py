"""Optuna's samplers, behind the interface of ours.

Akiba, Sano, Yanase, Ohta and Koyama, Optuna: A Next-generation Hyperparameter Optimization
Framework, KDD 2019.

For each suggestion a study in memory is made of what is known, with a sampler whose seed is the
suggestion's, and asked once. Trials that have not ended are running in it. So there are only
samplers that learn from trials alone: the others keep something in Optuna's own storage, and would
begin anew each time.

A parameter has the distribution of Optuna that is the same. Where there is none, for normal numbers
and logarithmic ones with a step, Optuna suggests the number's place between 0 and 1, as in
``cube.py``. It knows no weights of options. It is asked for a parameter only if its option was
chosen, as by a program of its own users: what stands in an option, ``GPSampler`` draws at random,
and ``TPESampler`` models by itself.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from typing import Any, Iterator

import numpy as np

from hyperhive.common import extras
from hyperhive.common.errors import UsageError
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import (
    Index,
    Number,
    Variable,
    Variables,
    drawn,
)

PREFIX = "optuna:"

SAMPLERS = {
    "GPSampler": ("optuna", "scipy", "torch"),
    "TPESampler": ("optuna", "scipy"),
    "RandomSampler": ("optuna", "scipy"),
}
"""Those that learn from trials alone, and what each needs; ``cube.py`` needs SciPy."""


def require_installed(algorithm: str) -> None:
    """Raise ``ModuleNotFoundError`` for a missing package, ``UsageError`` for an old Optuna."""
    name = algorithm[len(PREFIX) :]
    extras.require_installed(*SAMPLERS[name])
    import optuna

    if not hasattr(optuna.samplers, name):
        raise UsageError(
            f"algorithm {algorithm}: Optuna {optuna.__version__} has no {name}: update it"
        )


def suggest(
    algorithm: str, variables: Variables, known: Known, tid: int, seed: int
) -> dict[str, float]:
    """Return the values of the next trial, whatever is known.

    Args:
        algorithm: ``optuna:SAMPLER``; the other arguments are those of every algorithm.
    """
    with _quiet():
        study = study_of(algorithm[len(PREFIX) :], variables, known, seed)
        return ask(study, variables)[1]


def study_of(sampler: str, variables: Variables, known: Known, seed: int) -> Any:
    """Return a study of Optuna's with what is known, and a sampler of this name and seed."""
    import optuna

    study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=seed))
    study.add_trials(_trials(variables, known))
    return study


def ask(study: Any, variables: Variables) -> tuple[Any, dict[str, float]]:
    """Ask a study for the next trial; return Optuna's, and our values of it."""
    trial = study.ask()
    return trial, drawn(variables, lambda variable: _Axis(variable).ask(trial))


def _trials(variables: Variables, known: Known) -> Iterator[Any]:
    """Yield what is known as trials of Optuna's, by number."""
    from optuna.trial import TrialState, create_trial

    axes = {variable.label: _Axis(variable) for variable in variables}
    columns = {label: known.values(label).tolist() for label in axes}
    for row, loss in enumerate(known.losses.tolist()):
        active = [label for label, values in columns.items() if not math.isnan(values[row])]
        is_done = not math.isnan(loss)
        yield create_trial(
            state=TrialState.COMPLETE if is_done else TrialState.RUNNING,
            params={label: axes[label].as_param(columns[label][row]) for label in active},
            distributions={label: axes[label].distribution for label in active},
            value=loss if is_done else None,
        )


class _Axis:
    """A variable, and the distribution of Optuna that stands for it."""

    def __init__(self, variable: Variable) -> None:
        self._variable = variable
        self._is_place = isinstance(variable, Number) and not _has_its_like(variable)
        self.distribution = _distribution(variable)

    def as_param(self, value: float) -> float:
        """Return a value as Optuna has it."""
        if isinstance(self._variable, Index):
            return int(value)
        if self._is_place:
            from hyperhive.coordinator.algorithms import cube

            value = float(cube.shares(self._variable, np.array([value]))[0])
        # It may be beyond a bound by the last digit of a logarithm.
        return float(np.clip(value, self.distribution.low, self.distribution.high))

    def ask(self, trial: Any) -> float:
        """Return the value that a trial of Optuna's suggests."""
        variable, of = self._variable, self.distribution
        if isinstance(variable, Index):
            if variable.is_choice:
                return int(trial.suggest_categorical(variable.label, of.choices))
            return int(trial.suggest_int(variable.label, of.low, of.high))
        found = trial.suggest_float(variable.label, of.low, of.high, step=of.step, log=of.log)
        if self._is_place:
            from hyperhive.coordinator.algorithms import cube

            return float(cube.at_shares(variable, np.array([found]))[0])
        return float(found if variable.step is None else variable.as_value(found))


def _has_its_like(variable: Number) -> bool:
    """Return whether Optuna has the same distribution."""
    return variable.is_bounded and not (variable.is_log and variable.step is not None)


def _distribution(variable: Variable) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(variable, Index):
        end = variable.first + variable.count
        if variable.is_choice:
            return CategoricalDistribution(tuple(range(variable.first, end)))
        return IntDistribution(variable.first, end - 1)
    if not _has_its_like(variable):
        return FloatDistribution(0.0, 1.0)
    low, high = (float(variable.as_value(bound)) for bound in (variable.low, variable.high))
    if variable.step is not None:  # it compares decimal digits: 3 * 0.1 is not 0.3
        low, high = (float(f"{bound:.12g}") for bound in (low, high))
    return FloatDistribution(low, high, log=variable.is_log, step=variable.step)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Have Optuna tell nothing of its studies in memory, and warn of no experimental sampler."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
