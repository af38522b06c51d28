"""Functions in the form of hyperopt's ``suggest``, behind the interface of ours.

    suggest(new_ids, domain, trials, seed) -> [the document of a trial]

hyperopt's own modules ``tpe``, ``anneal``, ``rand`` and ``atpe`` have such a function. ``domain``
is hyperopt's ``Domain`` of the space and ``trials`` a ``Trials`` of what is known, made anew for
each suggestion. A trial that has not ended is there as ``fmin`` has it: running, without a loss.

A function is imported only by ``use``, which is called with names that a person has typed for this
process. One that stands only in the store, where others can write, is not.
"""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any, Callable, Dict, List

import numpy as np

from hyperhive.common.errors import UsageError
from hyperhive.common.extras import require_installed
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import Index, Variables
from hyperhive.coordinator.spaces.search_space import Node, is_possible

if TYPE_CHECKING:
    from hyperopt import Trials

PREFIX = "hyperopt:"

Function = Callable[[List[int], Any, Any, int], List[Dict[str, Any]]]

_in_use: dict[str, Function] = {}
"""The functions that a person has named for this process, by their algorithm."""


def use(algorithm: str) -> None:
    """Import the function of ``hyperopt:MODULE.FUNCTION``, which a person has typed.

    Raises ``UsageError`` if there is none, ``ModuleNotFoundError`` without hyperopt.
    """
    require_installed("hyperopt")
    where, _, name = algorithm[len(PREFIX) :].rpartition(".")
    try:
        module = importlib.import_module(where)
    except Exception as error:  # the module is a person's own, and may raise anything
        raise UsageError(
            f"algorithm {algorithm}: module {where} cannot be imported ({type(error).__name__}: "
            f"{error}): mend it, install it, or add its folder to PYTHONPATH"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(f"algorithm {algorithm}: module {where} has no function {name}")
    _in_use[algorithm] = function


class Plugged:
    """Suggests as such a function does.

    Args:
        algorithm: its name, ``hyperopt:MODULE.FUNCTION``.
        space: the search space.
    """

    def __init__(self, algorithm: str, space: Node) -> None:
        self._algorithm = algorithm
        self._space = space
        self._domain: Any = None

    def suggest(self, variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
        """Return the values of the next trial.

        Raises ``UsageError`` if nobody has named the function for this process, and for values that
        the space does not have.
        """
        from hyperopt.base import Domain

        from hyperhive.coordinator.spaces.hyperopt_space import to_hyperopt

        function = self._function()
        if self._domain is None:
            self._domain = Domain(lambda config: 0.0, to_hyperopt(self._space))
        documents = function([tid], self._domain, as_trials(variables, known), seed)
        try:
            (document,) = documents
            vals = document["misc"]["vals"]
            found = {label: float(each[0]) for label, each in sorted(vals.items()) if len(each)}
        except (TypeError, ValueError, LookupError) as error:
            raise UsageError(
                f"algorithm {self._algorithm} returned no trial: it must return a list with the "
                "document of one, as hyperopt's tpe.suggest does"
            ) from error
        if not is_possible(self._space, found):
            raise UsageError(
                f"algorithm {self._algorithm} returned {found!r:.80} for trial {tid}, which the "
                "search space cannot have: it must return a value for each active parameter"
            )
        whole = {each.label for each in variables if isinstance(each, Index)}
        return {label: int(each) if label in whole else each for label, each in found.items()}

    def _function(self) -> Function:
        if self._algorithm not in _in_use:
            raise UsageError(
                f"the study's algorithm is {self._algorithm}, and a function is imported only "
                f"where a person names it: run a coordinator with --algorithm {self._algorithm}, "
                f'or open the study with its space and algorithm="{self._algorithm}"'
            )
        return _in_use[self._algorithm]


def as_trials(variables: Variables, known: Known) -> Trials:
    """Return what is known as hyperopt's ``Trials``."""
    from hyperopt import Trials
    from hyperopt.base import JOB_STATE_DONE, JOB_STATE_RUNNING, STATUS_NEW, STATUS_OK

    trials = Trials()
    columns = {
        each.label: (known.values(each.label), int if isinstance(each, Index) else float)
        for each in variables
    }
    documents = []
    for row, (tid, loss) in enumerate(zip(known.tids, known.losses.tolist())):
        vals = {
            label: [] if np.isnan(values[row]) else [kind(values[row])]
            for label, (values, kind) in columns.items()
        }
        idxs = {label: [tid] * len(values) for label, values in vals.items()}
        misc = {"tid": tid, "cmd": None, "workdir": None, "idxs": idxs, "vals": vals}
        is_done = not math.isnan(loss)
        result = {"status": STATUS_OK, "loss": loss} if is_done else {"status": STATUS_NEW}
        (document,) = trials.new_trial_docs([tid], [None], [result], [misc])
        document["state"] = JOB_STATE_DONE if is_done else JOB_STATE_RUNNING
        documents.append(document)
    trials.insert_trial_docs(documents)
    trials.refresh()
    return trials
