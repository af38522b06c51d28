"""The objectives of this installation, by name.

A trial names its objective (``["objective", "lenet5"]``) and has a configuration as plain JSON; the
worker looks the name up here, so no code comes from the database. Packages add objectives of their
own with the entry point group ``hyperhive.objectives``. The jobs of hyperopt's ``fmin`` are an
exception: they bring their code as a pickle. Only a worker with ``--allow-pickled-objectives``
claims them.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Mapping

from hyperhive.common.errors import DeviceError
from hyperhive.store.trials.trial import HYPEROPT, LENET5
from hyperhive.worker.objectives.api import Context, Objective, Outcome

if sys.version_info >= (3, 10):
    from importlib.metadata import entry_points
else:
    from importlib.metadata import entry_points as _all_entry_points

    def entry_points(group: str) -> Any:
        """Return the entry points of a group, as the function of Python 3.10 does."""
        return _all_entry_points().get(group, ())


log = logging.getLogger(__name__)

GROUP = "hyperhive.objectives"


def registered(allow_pickled: bool = False) -> dict[str, Objective]:
    """Return the objectives of this installation by name, ``lenet5`` among them.

    With ``allow_pickled``, also the objective that runs the code that hyperopt's jobs bring.
    """
    objectives: dict[str, Objective] = {
        point.name: point.load() for point in entry_points(group=GROUP)
    }
    objectives[LENET5] = _LeNet5()
    objectives.pop(HYPEROPT, None)  # no package may claim hyperopt's jobs
    if allow_pickled:
        from hyperhive.worker.objectives.hyperopt_job import PickledObjective

        objectives[HYPEROPT] = PickledObjective()
    return objectives


class _LeNet5:
    """LeNet-5. Imports PyTorch on the first trial only: it costs 200 MB and several seconds."""

    def __init__(self) -> None:
        self._objective: Objective | None = None

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        if self._objective is None:
            self._objective = self._load()
        return self._objective(config, context)

    def _load(self) -> Objective:
        if "torch" not in sys.modules:
            log.info("loading PyTorch for the first trial, which takes seconds")
        try:
            from hyperhive.worker.objectives.lenet5 import LeNet5Objective
        except (ImportError, OSError) as error:  # a library is missing or damaged
            raise DeviceError(f"PyTorch cannot be used here: {error}") from error
        return LeNet5Objective()
