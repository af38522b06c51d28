"""A trained model's files: what it is as a card (JSON), and its numbers in one or more forms.

A file is trusted only after its hash agrees with the card. Nothing here needs PyTorch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Mapping

from hyperhive.common import files
from hyperhive.common.errors import CheckpointError
from hyperhive.common.values import is_number, is_sha256
from hyperhive.model.calibration import Calibration
from hyperhive.model.data.dataset import Dataset

SUFFIX = ".safetensors"
"""Of the form that all others are made from."""

WEIGHTS_FILE = "model" + SUFFIX
CARD_FILE = "model.json"
LARGEST = 64 << 20
"""LeNet-5 has 250 kB of weights; with 64 MiB there is no file worth reading."""


@dataclass(frozen=True)
class Card:
    """What a model is, as plain JSON.

    ``mean`` and ``std`` are the normalisation of each channel, in 0..1. ``weights_sha256`` is that
    of the safetensors file, ``exports`` that of each further form of the model, by its suffix.
    ``test_accuracy`` is None until the one evaluation on the test split. ``calibration`` is None of
    a model that never had one: its softmax is taken as it is.
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
    architecture: str = "lenet5"
    format: int = 1

    @classmethod
    def of(cls, data: Dataset, weights_sha256: str, config: dict[str, Any], **more: Any) -> Card:
        """Return the card of a model that was trained on a data set with a configuration.

        Args:
            data: its classes, channels and normalisation are the model's.
            weights_sha256: of the safetensors file.
            config: as JSON.
            more: further fields; ``dataset`` where the data set's own card will not do.
        """
        mean, std = data.normalisation()
        described = {"dataset": data.card(), **more}
        classes = list(data.classes)
        return cls(classes, data.channels, mean, std, weights_sha256, config=config, **described)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Card:
        """Build a card from untrusted JSON; raises ``CheckpointError``."""
        try:
            card = cls(**values)
        except TypeError as error:
            raise CheckpointError(f"the model's card is not one of ours: {error}") from error
        if (card.architecture, card.format) != ("lenet5", 1):
            raise CheckpointError(
                f"the model's card is of architecture {card.architecture!r}, format "
                f"{card.format!r}: this hyperhive reads "
                "'lenet5', 1"
            )
        card._require_sound()
        card._require_described()
        if card.calibration is None:
            return card
        return replace(card, calibration=Calibration.from_json(card.calibration, card.channels))

    def _require_sound(self) -> None:
        """Raise ``CheckpointError`` where a field that labelling depends on is none of its kind."""
        if not _is_normalisation(self.mean, self.channels, least=0.0):
            raise CheckpointError("the model's card has no mean for each channel")
        if not _is_normalisation(self.std, self.channels, least=1e-9):
            raise CheckpointError("the model's card has no standard deviation for each channel")
        if not isinstance(self.weights_sha256, str):
            raise CheckpointError("the model's card has no hash of its weights")
        if self.channels not in (1, 3) or type(self.channels) is not int:
            raise CheckpointError("the model's card has no number of channels")
        if not _is_names(self.classes):
            raise CheckpointError("the model's card has no class names")

    def _require_described(self) -> None:
        """Raise ``CheckpointError`` where a field that a person is told of is none of its kind."""
        sound = {
            "hashes of its other forms": _is_hashes(self.exports),
            "data set": isinstance(self.dataset, dict),
            "configuration": isinstance(self.config, dict),
            "validation accuracy in 0..1": _is_share(self.validation_accuracy),
            "test accuracy in 0..1": _is_share(self.test_accuracy),
            "number of a trial": self.trial is None or type(self.trial) is int,
            "name of a study": isinstance(self.study, (str, type(None))),
        }
        for what, is_sound in sound.items():
            if not is_sound:
                raise CheckpointError(f"the model's card has no {what}")

    def sha256(self, suffix: str) -> str | None:
        """Return the hash of the model's file with this suffix; None if it has no such form."""
        return self.weights_sha256 if suffix == SUFFIX else self.exports.get(suffix)

    def to_json(self) -> dict[str, Any]:
        """Return the card as plain JSON, which ``from_json`` reads back."""
        return asdict(self)


def card_file(path: Path) -> Path:
    """Return where the card of a model's file lies."""
    return path.with_suffix(".json")


def read(path: Path) -> tuple[bytes, Card]:
    """Return the bytes of a model's file and its card, whose hash of them agrees.

    Raises ``CheckpointError``, which begins with the path.
    """
    require_there(path)
    require_there(card_file(path))
    try:
        if path.stat().st_size > LARGEST:
            raise CheckpointError("it is too large to be a LeNet-5")
        card = read_card(card_file(path))
        packed = path.read_bytes()
        require_hash(packed, card.sha256(path.suffix))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return packed, card


def require_there(path: Path) -> None:
    """Raise ``CheckpointError`` unless there is such a file."""
    if not path.is_file():
        raise CheckpointError(
            f"there is no {path}: a model is a weights file and its card, as hyperhive leaves them "
            "in models/STUDY/"
        )


def read_card(file: Path) -> Card:
    """Return the card in a file; raises ``CheckpointError`` or ``OSError``."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"the model's card is no JSON: {error}") from error
    return Card.from_json(values if isinstance(values, dict) else {})


def write(path: Path, packed: bytes, card: Card) -> None:
    """Write a form of a model and its card, the card last; raises ``OSError``.

    Whoever reads meanwhile finds the old model, the new one, or a card that does not match and is
    refused: never one for the other. What the card that is there knows of further forms of this
    model, it goes on to know.
    """
    file = card_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    there = _card_of(card.weights_sha256, file)
    exports = {**(there.exports if there else {}), **card.exports}
    files.write(path, packed)
    values = replace(card, exports=exports).to_json()
    files.write(file, json.dumps(values, indent=2).encode() + b"\n")


def require_hash(packed: bytes, sha256: str | None) -> None:
    """Raise ``CheckpointError`` unless these are the bytes that a card knows by this hash."""
    if sha256 is None:
        raise CheckpointError(
            "the card beside it is that of another model, or of other forms of this one: export "
            "it anew with `hyperhive best --export`"
        )
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise CheckpointError(
            f"the weights are not those of the card: their SHA-256 is not {sha256[:12]}..."
        )


def _card_of(weights_sha256: str, file: Path) -> Card | None:
    """Return the card in a file if it is of a model with these weights."""
    try:
        card = read_card(file)
    except (CheckpointError, OSError):
        return None
    return card if card.weights_sha256 == weights_sha256 else None


def _is_normalisation(values: Any, channels: Any, least: float) -> bool:
    """Whether there is a number in ``least``..1 for each of 1 or 3 channels."""
    if channels not in (1, 3) or not isinstance(values, list) or len(values) != channels:
        return False
    return all(isinstance(value, (int, float)) and least <= value <= 1 for value in values)


def _is_names(values: Any) -> bool:
    named = isinstance(values, list) and all(isinstance(value, str) for value in values)
    return named and len(values) >= 2


def _is_hashes(values: Any) -> bool:
    """Whether each value is a SHA-256 in hexadecimal; JSON's keys are strings."""
    return isinstance(values, dict) and all(is_sha256(value) for value in values.values())


def _is_share(value: Any) -> bool:
    """Whether it is None or a number from 0 to 1."""
    return value is None or (is_number(value) and 0 <= value <= 1)
