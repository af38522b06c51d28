"""What an objective takes and gives: the interface between a worker and what a trial runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping

from hyperhive.model.data.dataset import Dataset
from hyperhive.store.store import Store
from hyperhive.store.trial import Trial


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

    result: dict[str, Any]
    weights: bytes | None = None

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
            after the pause where the machine is to be left alone (``hyperhive.worker.pausing``).
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
