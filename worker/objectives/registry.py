"""The objectives of this installation, by name.

A trial names its objective (``["objective", "lenet5"]``) and has a configuration as plain JSON; the
worker looks the name up here, so no code comes from the database. Packages add objectives of their
own with the entry point group ``hyperhive.objectives``, a worker's owner adds a file of functions,
and a program gives a function to the workers that it starts. What is published under a key that the
worker was given comes and goes while it runs (``hyperhive.worker.signed``). The jobs of hyperopt's
``fmin`` are an exception: they bring their code as a pickle. Only a worker with
``--allow-pickled-objectives`` claims them.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from typing import Any, Mapping

from hyperhive.common.errors import DeviceError
from hyperhive.common.extras import entry_points
from hyperhive.store.trials.terms import HYPEROPT, LENET5
from hyperhive.worker.objectives.api import Context, Objective, Outcome
from hyperhive.worker.objectives.command import Command
from hyperhive.worker.objectives.files import load
from hyperhive.worker.objectives.function import FunctionObjective
from hyperhive.worker.settings import WorkerSettings

log = logging.getLogger(__name__)

GROUP = "hyperhive.objectives"


def available(settings: WorkerSettings) -> dict[str, Objective]:
    """Return what a worker with these settings can run, by name.

    Raises ``ObjectiveError`` or ``DeviceError`` for a file or a function that fails here.
    """
    objectives = registered(settings.allow_pickled)
    for file in settings.objectives:
        objectives.update(load(file))
    if settings.given is not None:
        objectives[settings.given.name] = settings.given.load()
    return objectives


def needs_torch(settings: WorkerSettings) -> bool:
    """Return whether a worker with these settings has nothing to run but LeNet-5."""
    others = settings.objectives or settings.given or settings.allow_pickled or settings.trust
    return not (others or list(entry_points(group=GROUP)))


def registered(allow_pickled: bool = False) -> dict[str, Objective]:
    """Return the objectives of this installation by name, with PyTorch ``lenet5`` among them.

    With ``allow_pickled``, also the objective that runs the code that hyperopt's jobs bring.
    """
    loaded = {point.name: point.load() for point in entry_points(group=GROUP)}
    objectives: dict[str, Objective] = {
        name: FunctionObjective(each) if isinstance(each, Command) else each
        for name, each in loaded.items()
    }
    for taken in (HYPEROPT, LENET5):  # no package may claim hyperopt's jobs, or LeNet-5
        objectives.pop(taken, None)
    if importlib.util.find_spec("torch") is not None:
        objectives[LENET5] = _LeNet5()
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
