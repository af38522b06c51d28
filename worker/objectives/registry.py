"""What a trial runs: objectives, by name. No code comes from the database, unless that is allowed.

A trial says ``["objective", "lenet5"]`` and brings a configuration as plain JSON; the worker looks
the name up here. Packages add objectives of their own by the entry point group
``hyperhive.objectives``. The jobs that hyperopt's ``fmin`` posts are an exception: they bring their
code, as a pickle, and only a worker that was told ``--allow-pickled-objectives`` takes them.
"""

from __future__ import annotations

import sys
from typing import Any, Mapping

from hyperhive.common.errors import DeviceError
from hyperhive.store.trial import HYPEROPT
from hyperhive.worker.objectives.api import Context, Objective, Outcome

if sys.version_info >= (3, 10):
    from importlib.metadata import entry_points
else:
    from importlib.metadata import entry_points as _all_entry_points

    def entry_points(group: str) -> Any:
        """Return the entry points of a group, as Python 3.10's function does."""
        return _all_entry_points().get(group, ())


GROUP = "hyperhive.objectives"


def registered(allow_pickled: bool = False) -> dict[str, Objective]:
    """Return the objectives of this installation by name, our own among them.

    With ``allow_pickled``, also the one that runs whatever code hyperopt's jobs bring.
    """
    objectives: dict[str, Objective] = {
        point.name: point.load() for point in entry_points(group=GROUP)
    }
    objectives["lenet5"] = _LeNet5()
    objectives.pop(HYPEROPT, None)  # hyperopt's jobs are nobody else's
    if allow_pickled:
        from hyperhive.worker.objectives.hyperopt_job import PickledObjective

        objectives[HYPEROPT] = PickledObjective()
    return objectives


class _LeNet5:
    """LeNet-5, of which a slot has PyTorch with its first trial: it takes 200 MB, and seconds."""

    def __init__(self) -> None:
        self._objective: Objective | None = None

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        if self._objective is None:
            self._objective = self._load()
        return self._objective(config, context)

    def _load(self) -> Objective:
        try:
            from hyperhive.worker.objectives.lenet5 import LeNet5Objective
        except (ImportError, OSError) as error:  # a library that it needs is not here, or not whole
            raise DeviceError(f"PyTorch cannot be used here: {error}") from error
        return LeNet5Objective()
