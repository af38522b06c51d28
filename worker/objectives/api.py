"""The interface between a worker and an objective: what an objective receives and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Mapping

from hyperhive.common.errors import HyperhiveError

if TYPE_CHECKING:  # these load PyMongo and NumPy, which an objective of one's own may not need
    from hyperhive.model.data.dataset import Dataset
    from hyperhive.store.store import Store
    from hyperhive.store.trials.trial import Trial
    from hyperhive.worker.objectives.saving import SavedFiles


class Stopped(Exception):
    """An objective raises this when it ends early because ``should_stop`` returned true."""


class BadResult(HyperhiveError):
    """An objective returned, or reported, what is no result: another attempt would do the same."""


@dataclass(frozen=True)
class Outcome:
    """What an objective found.

    ``result`` is a result as hyperopt defines it: plain JSON with ``status``, and with ``loss`` if
    the status is ``ok``; where the study has another metric as its goal, that metric is enough.
    ``weights`` are the bytes of a safetensors file, or None. Raises ``BadResult`` for a result
    without a status.

    All else in a result is optional. A study uses:

    - ``refit``, if the objective can train a winner again on all data: what changes in the trial's
      configuration for that, such as ``{"train_on_all": True}``. Without it there is no refit.
    - ``validation_accuracy`` (0..1), which people are shown in place of the loss.
    - ``trained_on`` (``hyperhive.worker.device.versions``). If it is there with the validation
      accuracy, and the weights are those of the configuration's network for the study's images, the
      winner becomes a model for ``predict-cam``. Any other weights are kept as they are.
    """

    result: dict[str, Any]
    weights: bytes | None = None

    def __post_init__(self) -> None:
        if self.result.get("status") is None:
            raise BadResult("an objective's result needs a status")


@dataclass(frozen=True)
class Context:
    """What an objective may use of its worker.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``.
        dataset: returns the data set with a content hash; fetches it from the store if necessary.
        report: takes progress as plain JSON, and an estimate of the seconds that are left. It
            returns after the pause if the worker must pause (``hyperhive.worker.pausing``).
            ``done`` in the progress is how much of the trial's cost is done: a worker's pace and
            second copies of slow runs are computed from it. Report ``{"done": 0}`` first: then a
            device that is slow in its first unit is known to be slow. ``epoch``, ``epochs`` and
            ``validation_accuracy`` are shown to the user. All are optional.
        should_stop: call it often; when it returns true, raise ``Stopped``.
        trial: the trial to run.
        store: the store that the trial is in.
        files: ``files.save(name, content)`` keeps bytes, or the file of a path, as an artifact of
            the trial, to be delivered with the outcome. None where nothing can be kept.
        is_pruned: tells, once ``should_stop`` has returned true, whether that is because others
            were better at the same point. Then an objective may return in place of raising
            ``Stopped``: its outcome is kept, but for the weights, with the last reported value.
    """

    device: str
    dataset: Callable[[str], Dataset]
    report: Callable[[Mapping[str, Any], float], None]
    should_stop: Callable[[], bool]
    trial: Trial
    store: Store
    files: SavedFiles | None = None
    is_pruned: Callable[[], bool] = lambda: False


Objective = Callable[[Mapping[str, Any], Context], Outcome]
"""Called with a trial's configuration; raises ``ConfigError`` if no worker can run that."""
