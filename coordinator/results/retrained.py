"""A model trained again from its card: whether its weights are the same, or how far off it is."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Callable, ContextManager, Iterator, Mapping

import torch
from rich.text import Text

from hyperhive.common.console import Screen, tell
from hyperhive.common.errors import ConfigError, InputError
from hyperhive.common.wording import counted, in_words, percent
from hyperhive.coordinator.evaluation import judge
from hyperhive.coordinator.views.wording import facts, time_left
from hyperhive.model.card import Card
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.cache import DatasetCache
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.device import choose
from hyperhive.model.teacher import unpack_answers
from hyperhive.model.training import Epoch, TrainingData, train
from hyperhive.store.errors import StoreError
from hyperhive.worker.device import describe, threads_of_slot, versions

Fetch = Callable[[str], bytes]
"""Returns the bytes of a hash from the store. Raises ``StoreError``."""


class NotRetrainable(InputError):
    """A model cannot be trained again from its card; a sentence that says why."""


@dataclass(frozen=True)
class Retrained:
    """The weights of a training that was repeated, with their card, and what they differ in.

    ``labels`` is on how many of the test images the two models answer differently; ``accuracy`` is
    the first one's on these images, measured on this machine. Both are None for identical weights,
    which need no comparison.
    """

    packed: bytes
    card: Card
    accuracy: float | None = None
    labels: int | None = None


def retrain(
    packed: bytes, card: Card, fetch: Fetch, fetch_answers: Fetch, console: Screen
) -> Retrained:
    """Train a model again on this machine's device, as a worker does, and compare the two.

    Of a configuration with folds only the first is trained: the weights are of that.

    Args:
        packed: the model's weights.
        card: theirs.
        fetch: for a packed data set that this machine's cache does not have.
        fetch_answers: for those of the teacher from which the model has learned, if it has.
        console: is told how far the training is.

    Raises ``NotRetrainable``, and ``CheckpointError`` for weights that do not fit their card.
    """
    config = _config(card)
    device = choose("auto")
    data = _data(config, device, fetch, fetch_answers)
    torch.set_num_threads(threads_of_slot(device.type))
    trained_on = {**versions(), "device": describe(device.type)}
    many = counted(config.epochs, "epoch")
    tell(f"training it again for {many} on {in_words(_in_order(trained_on))}", to=console)
    try:
        with _telling(config.epochs, console) as report:
            trained = train(config, data, report)
    except ConfigError as error:
        raise NotRetrainable(f"the model's card cannot be followed here: {error}") from error
    if trained.diverged:
        raise NotRetrainable(
            f"training it again has diverged here, in epoch {trained.epochs[-1].number} of "
            f"{config.epochs}: nothing can be compared"
        )
    again = pack_weights(trained.model)
    sha256 = hashlib.sha256(again).hexdigest()
    if sha256 == card.weights_sha256:
        return Retrained(again, card)
    return _compared(packed, card, again, sha256, data.dataset, trained_on)


def _compared(
    packed: bytes,
    card: Card,
    again: bytes,
    sha256: str,
    dataset: Dataset,
    trained_on: dict[str, str],
) -> Retrained:
    first = judge(packed, card, dataset)
    # The calibration stays, as a refit has that of the trial that it repeats.
    its_card = dataclasses.replace(
        card, weights_sha256=sha256, exports={}, trained_on=trained_on, confusion=None
    )
    second = judge(again, its_card, dataset)
    its_card = dataclasses.replace(
        its_card, test_accuracy=second.accuracy, confusion=second.confusion
    )
    labels = int((first.logits.argmax(axis=1) != second.logits.argmax(axis=1)).sum())
    return Retrained(again, its_card, first.accuracy, labels)


def comparison(card: Card, retrained: Retrained) -> Text:
    """Return what became of training a model again, as a few lines."""
    again = retrained.card
    if retrained.labels is None or retrained.accuracy is None or again.test_accuracy is None:
        return facts({"again": f"the weights are identical, SHA-256 {again.weights_sha256}"})
    points = 100 * (again.test_accuracy - retrained.accuracy)
    before = percent(retrained.accuracy)
    return facts(
        {
            "again": f"other weights: {percent(again.test_accuracy)} of test images, {before} with "
            f"the model's own ({points:+.1f} points)",
            "labels": f"another one on {retrained.labels:,} of {again.test_images:,} test images",
            "trained": f"the model on {in_words(_in_order(card.trained_on or {})) or 'unknown'}; "
            f"now on {in_words(_in_order(again.trained_on or {}))}",
        }
    )


def _in_order(trained_on: Mapping[str, str]) -> dict[str, str]:
    return {name: trained_on[name] for name in sorted(trained_on)}


def _config(card: Card) -> TrainConfig:
    try:
        return TrainConfig.from_json(card.config)
    except ConfigError as error:
        raise NotRetrainable(
            f"the model cannot be trained again, for its card is not one of this hyperhive: {error}"
        ) from error


def _data(
    config: TrainConfig, device: torch.device, fetch: Fetch, fetch_answers: Fetch
) -> TrainingData:
    """Return what the model was trained on, with its teacher's answers if it had one."""
    try:
        dataset = DatasetCache().get(config.dataset, fetch)
    except StoreError as error:
        raise NotRetrainable(
            "the model cannot be trained again, for its data set is neither on this machine nor in "
            f"the store: {error}"
        ) from error
    data = TrainingData(dataset, device)
    if not config.teacher:
        return data
    try:
        return data.with_answers(unpack_answers(fetch_answers(config.teacher)))
    except (StoreError, ConfigError) as error:
        raise NotRetrainable(
            f"the model cannot be trained again, for it has learned from a teacher: {error}"
        ) from error


def _telling(epochs: int, console: Screen) -> ContextManager[Callable[[Epoch], None]]:
    """Give what is told of each epoch: a line on a terminal says how far the training is."""
    return _line(epochs, console) if console.redraws else contextlib.nullcontext(lambda epoch: None)


@contextlib.contextmanager
def _line(epochs: int, console: Screen) -> Iterator[Callable[[Epoch], None]]:
    with console.status("epoch 1") as line:

        def report(epoch: Epoch) -> None:
            found = epoch.validation_accuracy
            accuracy = "" if found is None else percent(found)
            left = time_left(epoch.seconds * (epochs - epoch.number))
            said = (f"epoch {epoch.number} of {epochs}", accuracy, left)
            line.update(", ".join(filter(None, said)))

        yield report
