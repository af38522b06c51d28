"""What to try next in a study: its algorithm, its first trials, and its random streams."""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
from dataclasses import dataclass
from typing import Any, Callable, Dict

import numpy as np

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.algorithms import random_search
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.plugged import functions, samplers
from hyperhive.coordinator.algorithms.variables import Variables, variables_of
from hyperhive.coordinator.spaces.search_space import Node
from hyperhive.store.trials.terms import AUTO


@dataclass(frozen=True)
class Own:
    """One of hyperhive's algorithms.

    Attributes:
        module: in ``coordinator/algorithms/``.
        learns: whether its suggestions depend on what is known.
        is_spread: whether the first trials are spread evenly over the space, as those of ``sobol``
            are; otherwise they are drawn at random.
    """

    module: str
    learns: bool = True
    is_spread: bool = True


OWN = {
    "tpe": Own("tpe", is_spread=False),
    "random": Own("random_search", learns=False, is_spread=False),
    "anneal": Own("anneal", is_spread=False),
    "gp": Own("gaussian.gp"),
    "turbo": Own("gaussian.turbo"),
    "turbo+tpe": Own("gaussian.turbo_tpe"),
    "rbf": Own("rbf"),
    "mtpe": Own("mtpe"),
    "cma": Own("cma"),
    "sobol": Own("sobol", learns=False),
}
"""By name. docs/algorithms.md says which to choose."""

_FUNCTION = re.compile(re.escape(functions.PREFIX) + r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")

_Suggest = Callable[[Variables, Known, int, int], Dict[str, float]]
"""See ``algorithms/__init__.py``."""


def require_name(algorithm: Any) -> None:
    """Raise ``UsageError`` for what is no algorithm's name. Nothing is imported."""
    name = algorithm if isinstance(algorithm, str) else ""
    if name.startswith(samplers.PREFIX):
        if name[len(samplers.PREFIX) :] not in samplers.SAMPLERS:
            raise UsageError(
                f"algorithm {name}: of Optuna's samplers there are {', '.join(samplers.SAMPLERS)}, "
                "which learn from trials alone"
            )
    elif name not in (*OWN, AUTO) and _FUNCTION.fullmatch(name) is None:
        raise UsageError(
            f"algorithm must be one of {', '.join((*OWN, AUTO))}, optuna:SAMPLER, or "
            "hyperopt:MODULE.FUNCTION"
        )


def use(algorithm: str) -> None:
    """Import an algorithm that a person has typed, so that what is missing is told at once.

    No other function of hyperopt's form is imported: see ``plugged/functions.py``. Raises
    ``UsageError`` for what cannot be used, ``ModuleNotFoundError`` for a missing package.
    """
    if algorithm.startswith(functions.PREFIX):
        functions.use(algorithm)
    elif algorithm.startswith(samplers.PREFIX):
        samplers.require_installed(algorithm)
    else:
        _imported(OWN[algorithm].module)
        if OWN[algorithm].is_spread:
            _imported("sobol")


class Suggester:
    """Suggests configurations for one study.

    Args:
        algorithm: its name, but not ``auto``: see ``Plan.chosen_algorithm``.
        space: the search space.
        seed: of the study. Suggestion number k draws from a random stream of its own, derived from
            the seed and k, so a resumed study goes on as if it had never stopped.
        startup: the number of finished trials before the algorithm takes over from random or evenly
            spread trials. Pending ones do not count: with 25 trials running and none finished, it
            would model nothing. Algorithms of others begin in their own way.
    """

    def __init__(self, algorithm: str, space: Node, seed: int, startup: int) -> None:
        own = OWN.get(algorithm)
        self.learns = own is None or own.learns
        """Whether suggestions depend on what is known."""
        self._variables = variables_of(space)
        self._seed = seed
        self._startup = 0 if own is None else startup
        self._first = self._spread if own is not None and own.is_spread else random_search.suggest
        self._algorithm = self._first if algorithm == "sobol" else _suggest_of(algorithm, space)
        self._one_thread = _one_thread(own)

    def suggest(self, tid: int, known: Known) -> dict[str, float]:
        """Return values for trial ``tid``, given what is known of those posted before it.

        They are by label, of a choice the index of its option, and only of parameters that are
        active: one of an option that was not chosen has none. Raises ``UsageError`` for a function
        of hyperopt's form that was not named here, or suggests what the space cannot have.
        """
        suggest = self._first if known.finished < self._startup else self._algorithm
        seed = int(np.random.SeedSequence([self._seed, tid]).generate_state(1)[0])
        with self._one_thread():
            return suggest(self._variables, known, tid, seed)

    def _spread(self, variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
        """Return the values of a point of the study's own sequence, by the number of the trial."""
        vals: dict[str, float] = _imported("sobol").point(variables, self._seed, tid)
        return vals


def _suggest_of(algorithm: str, space: Node) -> _Suggest:
    if algorithm.startswith(functions.PREFIX):
        return functions.Plugged(algorithm, space).suggest
    if algorithm.startswith(samplers.PREFIX):
        return functools.partial(samplers.suggest, algorithm)
    suggest: _Suggest = _imported(OWN[algorithm].module).suggest
    return suggest


def _one_thread(own: Own | None) -> Callable[[], contextlib.AbstractContextManager[Any]]:
    """Return what has a suggestion use one thread.

    Matrices are small, and this machine may train: then threads wait for each other, and a
    suggestion of ``gp`` takes ten times as long.
    """
    if own is not None and not own.is_spread:
        return contextlib.nullcontext
    import threadpoolctl

    if own is None:  # it may load a library at any time
        return functools.partial(threadpoolctl.threadpool_limits, limits=1)
    return functools.partial(threadpoolctl.ThreadpoolController().limit, limits=1)


def _imported(module: str) -> Any:
    """Import one of our algorithms: most need SciPy, and some more."""
    return importlib.import_module(f"hyperhive.coordinator.algorithms.{module}")
