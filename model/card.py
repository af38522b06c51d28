"""A model's card: what the model is and how it came about, as JSON. Nothing here needs PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Mapping

import numpy as np

from hyperhive.common.errors import CheckpointError
from hyperhive.common.values import is_fraction, is_sha256, sequence, whole
from hyperhive.model.calibration import Calibration
from hyperhive.model.config import LENET5, OF_LENET5, VIEWS
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.images import SIZE, is_image_size
from hyperhive.model.interval import mean_recall

SAFETENSORS = ".safetensors"
"""Suffix of the weights that every other form of a model is exported from."""

_SMALLEST_STD = 1e-9

_LATER = {"image_size": SIZE, "views": "one"}
"""Fields that the first version did not have, with what all its models have.

It refuses a card with one of them, so they are written for those models only that it cannot run."""


@dataclass(frozen=True)
class Card:
    """What a model is, as plain JSON.

    ``mean`` and ``std`` are the normalisation of each channel, in 0..1. ``weights_sha256`` is the
    hash of the safetensors file; ``exports`` has the hash of each exported form, by its suffix.
    ``test_accuracy`` is None until the one evaluation on the test split. ``calibration`` is None if
    the model never had one: its plain softmax is used, and it never says ``unknown``.
    ``architecture`` is the name of the network, ``image_size`` the side of its input in pixels.
    Its answer is the mean of the logits of all ``views`` of a picture, see ``views_of``.
    """

    classes: list[str]
    channels: int
    mean: list[float]
    std: list[float]
    weights_sha256: str
    dataset: dict[str, Any]
    config: dict[str, Any]
    study: str | None = None
    trial: int | None = None
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    confusion: list[list[int]] | None = None
    trained_on: dict[str, str] | None = None
    calibration: Calibration | None = None
    exports: dict[str, str] = field(default_factory=dict)
    architecture: str = LENET5
    format: int = 1
    image_size: int = SIZE
    views: str = "one"

    @classmethod
    def of(cls, data: Dataset, weights_sha256: str, config: dict[str, Any], **more: Any) -> Card:
        """Return the card of a model that was trained on a data set with a configuration.

        Args:
            data: its classes, channels and normalisation are the model's.
            weights_sha256: hash of the safetensors file.
            config: the training configuration, as JSON.
            more: further fields; ``dataset`` replaces the data set's own card.
        """
        mean, std = data.normalisation()
        given = {
            "architecture": str(config.get("network", LENET5)),
            "image_size": data.image_size,
            "views": config.get("views", "one"),
        }
        fields = {"dataset": data.card(), **given, **more}
        classes = list(data.classes)
        return cls(classes, data.channels, mean, std, weights_sha256, config=config, **fields)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Card:
        """Build a card from untrusted JSON; raises ``CheckpointError``."""
        try:
            card = cls(**values)
        except TypeError as error:
            raise CheckpointError(
                f"the model's card has missing or unknown fields: {error}"
            ) from error
        if card.format != 1:
            raise CheckpointError(
                f"the model's card has format {card.format!r:.60}: this hyperhive reads 1"
            )
        card._require_valid()
        if card.calibration is None:
            return card
        return replace(card, calibration=Calibration.from_json(card.calibration, card.channels))

    def _require_valid(self) -> None:
        """Raise ``CheckpointError`` if a field has a value that no model of ours can have."""
        accuracies = (self.validation_accuracy, self.test_accuracy)
        valid = {
            "a mean for each channel": _is_per_channel(self.mean, self.channels, least=0.0),
            "a standard deviation for each channel": _is_per_channel(
                self.std, self.channels, least=_SMALLEST_STD
            ),
            "the name of a network": isinstance(self.architecture, str),
            "a valid image size": is_image_size(self.image_size),
            f"views that are one of {', '.join(VIEWS)}": self.views in VIEWS,
            "a hash of its weights": isinstance(self.weights_sha256, str),
            "a number of channels": type(self.channels) is int,
            "names of two or more classes": _is_class_names(self.classes),
            "valid hashes of its exported forms": _is_hashes(self.exports),
            "a description of its data set": isinstance(self.dataset, dict),
            "a training configuration": isinstance(self.config, dict),
            "accuracies from 0 to 1": all(a is None or is_fraction(a) for a in accuracies),
            "a valid trial number": self.trial is None or type(self.trial) is int,
            "a valid study name": self.study is None or isinstance(self.study, str),
        }
        for what, is_valid in valid.items():
            if not is_valid:
                raise CheckpointError(f"the model's card does not have {what}")

    def blank(self, count: int) -> np.ndarray:
        """Return so many black pictures as the model takes them: uint8 ``[N, S, S, C]``."""
        return np.zeros((count, self.image_size, self.image_size, self.channels), np.uint8)

    @property
    def test_images(self) -> int:
        """The number of test images, which its confusion counts; 0 if it was not tested."""
        return sum(whole(count, 0) for row in sequence(self.confusion) for count in sequence(row))

    @property
    def test_balanced_accuracy(self) -> float | None:
        """The mean over the classes of the accuracy on their test images; None untested.

        It follows from the confusion, so no file has it: an earlier version refuses a card with a
        field that it does not know.
        """
        return mean_recall(self.confusion)

    def sha256(self, suffix: str) -> str | None:
        """Return the hash of the model's file with this suffix; None if it has no such form."""
        return self.weights_sha256 if suffix == SAFETENSORS else self.exports.get(suffix)

    def to_json(self) -> dict[str, Any]:
        """Return the card as plain JSON, which ``from_json`` reads back.

        An earlier version reads the cards of models that it can run, and refuses all others. With
        tanh the weights are those of a plain LeNet-5, and it would not see the difference.
        """
        values = asdict(self)
        given = self.config
        is_plain = all(given.get(name, words[0]) == words[0] for name, words in OF_LENET5.items())
        omitted = _LATER if is_plain else {}
        return {n: each for n, each in values.items() if omitted.get(n, "differs") != each}


def _is_per_channel(values: Any, channels: Any, least: float) -> bool:
    """Return whether there is a number in ``least``..1 for each of 1 or 3 channels."""
    if channels not in (1, 3) or not isinstance(values, list) or len(values) != channels:
        return False
    return all(is_fraction(value) and value >= least for value in values)


def _is_class_names(values: Any) -> bool:
    is_names = isinstance(values, list) and all(isinstance(value, str) for value in values)
    return is_names and len(values) >= 2


def _is_hashes(values: Any) -> bool:
    """Return whether every value is a SHA-256; JSON's keys are always strings."""
    return isinstance(values, dict) and all(is_sha256(value) for value in values.values())
