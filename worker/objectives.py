"""What a trial runs: objectives, by name. No code comes from the database, unless that is allowed.

A trial says ``["objective", "lenet5"]`` and brings a configuration as plain JSON; the worker looks
the name up here. Packages add objectives of their own by the entry point group
``hyperhive.objectives``. The jobs that hyperopt's ``fmin`` posts are an exception: they bring their
code, as a pickle, and only a worker that was told ``--allow-pickled-objectives`` takes them.
"""

import sys
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional

from model.dataset import Dataset
from model.errors import DeviceError
from store.connection import Store
from store.trial import HYPEROPT, Trial

if sys.version_info >= (3, 10):
    from importlib.metadata import entry_points
else:
    from importlib.metadata import entry_points as _all_entry_points

    def entry_points(group: str) -> Any:
        """Return the entry points of a group, as Python 3.10's function does."""
        return _all_entry_points().get(group, ())


GROUP = "hyperhive.objectives"


class Stopped(Exception):
    """Raised by an objective that ended early because ``should_stop`` said so."""


@dataclass(frozen=True)
class Outcome:
    """What an objective found.

    ``result`` is hyperopt's result: plain JSON with ``status``, and ``loss`` if that is ``ok``, at
    least. ``weights`` are the bytes of a safetensors file, or None. Raises ``ValueError`` for any
    other result.

    A study's winner becomes a model for ``predict-cam`` if its weights are a LeNet-5's and its
    result has ``validation_accuracy`` (0..1) and ``trained_on`` (``worker.device.versions``).
    """

    result: Dict[str, Any]
    weights: Optional[bytes] = None

    def __post_init__(self) -> None:
        status, loss = self.result.get("status"), self.result.get("loss")
        if status is None or (status == "ok" and not isinstance(loss, (int, float))):
            raise ValueError("an objective's result needs a status and a loss that is a number")


@dataclass(frozen=True)
class Context:
    """What an objective may use of its worker.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``.
        dataset: gives the data set of a content hash, fetched from the store if need be.
        report: takes progress as plain JSON, and the seconds that are probably left. Of progress,
            ``epoch``, ``epochs`` and ``validation_accuracy`` are shown, if they are there. Returns
            after the pause where the machine is to be left alone (``worker.courtesy``).
        should_stop: asked often; an objective that hears yes raises ``Stopped``.
        trial: the trial in hand.
        store: where it came from.
    """

    device: str
    dataset: Callable[[str], Dataset]
    report: Callable[[Mapping[str, Any], float], None]
    should_stop: Callable[[], bool]
    trial: Trial
    store: Store


Objective = Callable[[Mapping[str, Any], Context], Outcome]


def registered(allow_pickled: bool = False) -> Dict[str, Objective]:
    """Return the objectives of this installation by name, our own among them.

    With ``allow_pickled``, also the one that runs whatever code hyperopt's jobs bring.
    """
    objectives: Dict[str, Objective] = {
        point.name: point.load() for point in entry_points(group=GROUP)
    }
    objectives["lenet5"] = _LeNet5()
    objectives.pop(HYPEROPT, None)  # hyperopt's jobs are nobody else's
    if allow_pickled:
        from worker.pickled import PickledObjective

        objectives[HYPEROPT] = PickledObjective()
    return objectives


class _LeNet5:
    """LeNet-5, of which a slot has PyTorch with its first trial: it takes 200 MB, and seconds."""

    def __init__(self) -> None:
        self._objective: Optional[Objective] = None

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        if self._objective is None:
            self._objective = self._load()
        return self._objective(config, context)

    def _load(self) -> Objective:
        try:
            from worker.lenet5 import LeNet5Objective
        except (ImportError, OSError) as error:  # a library that it needs is not here, or not whole
            raise DeviceError("PyTorch cannot be used here: {}".format(error)) from error
        return LeNet5Objective()
