"""A trained model as two files: weights (safetensors) and a card (JSON) that says what they are.

A model is trusted only after the hash, the size, the names and the shapes of its weights agree with
its card. Neither format can carry code.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np
import safetensors
import safetensors.numpy
import torch

from model import atomic
from model.calibration import Calibration
from model.errors import CheckpointError
from model.lenet import LeNet5
from model.normalise import Normaliser

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "model.json"
_LARGEST_WEIGHTS = 64 << 20
"""LeNet-5 has 250 kB of weights; with 64 MiB there is no file worth reading."""


@dataclass(frozen=True)
class Card:
    """What a model is, as plain JSON.

    ``mean`` and ``std`` are the normalisation of each channel, in 0..1. ``weights_sha256`` is that
    of the safetensors file. ``test_accuracy`` is None until the one evaluation on the test split.
    ``calibration`` is None of a model that never had one: its softmax is to be taken as it is.
    """

    classes: List[str]
    channels: int
    mean: List[float]
    std: List[float]
    weights_sha256: str
    dataset: Dict[str, Any]
    config: Dict[str, Any]
    study: Optional[str] = None
    trial: Optional[int] = None
    validation_accuracy: Optional[float] = None
    test_accuracy: Optional[float] = None
    confusion: Optional[List[List[int]]] = None
    trained_on: Optional[Dict[str, str]] = None
    calibration: Optional[Calibration] = None
    architecture: str = "lenet5"
    format: int = 1

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Card":
        """Build a card from untrusted JSON; raises ``CheckpointError``."""
        try:
            card = cls(**values)
        except TypeError as error:
            raise CheckpointError(
                "the model's card is not one of ours: {}".format(error)
            ) from error
        if (card.architecture, card.format) != ("lenet5", 1):
            raise CheckpointError(
                "the model's card is of architecture {!r}, format {!r}: this hyperhive reads "
                "'lenet5', 1".format(card.architecture, card.format)
            )
        if not _is_normalisation(card.mean, card.channels, least=0.0):
            raise CheckpointError("the model's card has no mean for each channel")
        if not _is_normalisation(card.std, card.channels, least=1e-9):
            raise CheckpointError("the model's card has no standard deviation for each channel")
        if not isinstance(card.weights_sha256, str):
            raise CheckpointError("the model's card has no hash of its weights")
        if card.channels not in (1, 3) or type(card.channels) is not int:
            raise CheckpointError("the model's card has no number of channels")
        if not _is_names(card.classes):
            raise CheckpointError("the model's card has no class names")
        if card.calibration is None:
            return card
        calibration = Calibration.from_json(card.calibration, card.channels)
        return dataclasses.replace(card, calibration=calibration)

    def to_json(self) -> Dict[str, Any]:
        """Return the card as plain JSON, which ``from_json`` reads back."""
        return dataclasses.asdict(self)


def pack_weights(model: torch.nn.Module) -> bytes:
    """Return a model's weights as the bytes of a safetensors file."""
    state = {name: _to_array(tensor) for name, tensor in model.state_dict().items()}
    packed: bytes = safetensors.numpy.save(state)
    return packed


def unpack_weights(packed: bytes, card: Card, device: torch.device) -> LeNet5:
    """Return the model of a card with these weights, in evaluation mode.

    Raises ``CheckpointError`` unless hash, size, names, shapes and types are those of the card.
    """
    if len(packed) > _LARGEST_WEIGHTS:
        raise CheckpointError("weights of {} MB are no LeNet-5".format(len(packed) >> 20))
    if hashlib.sha256(packed).hexdigest() != card.weights_sha256:
        raise CheckpointError(
            "the weights are not those of the card: their SHA-256 is not {}...".format(
                card.weights_sha256[:12]
            )
        )
    try:
        arrays = safetensors.numpy.load(packed)
    except (safetensors.SafetensorError, KeyError) as error:
        raise CheckpointError("the weights are no safetensors file: {}".format(error)) from error
    model = LeNet5(card.channels, len(card.classes))
    _require_same(_signature(arrays), _signature(model.state_dict()))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return model.to(device).eval()


def save(directory: Path, packed: bytes, card: Card) -> Path:
    """Write weights and card into a directory, the card last; return the weights' path.

    Whoever reads meanwhile finds the old model, the new one, or a card that does not match and is
    refused: never one for the other.
    """
    directory.mkdir(parents=True, exist_ok=True)
    atomic.write(directory / WEIGHTS_FILE, packed)
    atomic.write(directory / CARD_FILE, json.dumps(card.to_json(), indent=2).encode() + b"\n")
    return directory / WEIGHTS_FILE


def load(path: Path, device: torch.device) -> Tuple[LeNet5, Card]:
    """Return the model in a directory, or of a weights file with its card beside it."""
    directory, weights = (path, path / WEIGHTS_FILE) if path.is_dir() else (path.parent, path)
    card_file = directory / CARD_FILE if path.is_dir() else path.with_suffix(".json")
    for file in (weights, card_file):
        if not file.is_file():
            raise CheckpointError(
                "there is no {}: a model is a weights file and its card, as hyperhive leaves them "
                "in models/STUDY/".format(file)
            )
    if weights.stat().st_size > _LARGEST_WEIGHTS:
        raise CheckpointError("{} is too large to be a LeNet-5".format(weights))
    try:
        values = json.loads(card_file.read_text(encoding="utf-8"))
        card = Card.from_json(values if isinstance(values, dict) else {})
        return unpack_weights(weights.read_bytes(), card, device), card
    except OSError as error:
        raise CheckpointError("{} cannot be read: {}".format(weights, error.strerror)) from error
    except (CheckpointError, ValueError, RecursionError) as error:
        raise CheckpointError("{}: {}".format(weights, error)) from error


def normaliser(card: Card, device: torch.device) -> Normaliser:
    """Return the normalisation a card's model was trained with."""
    return Normaliser(card.mean, card.std, device)


def _to_array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().contiguous().numpy()
    return array


def _signature(tensors: Mapping[str, Any]) -> Dict[str, str]:
    return {
        name: "{} {}".format(str(tensor.dtype).replace("torch.", ""), tuple(tensor.shape))
        for name, tensor in tensors.items()
    }


def _require_same(found: Dict[str, str], expected: Dict[str, str]) -> None:
    for name in sorted(set(found) | set(expected)):
        if found.get(name) != expected.get(name):
            raise CheckpointError(
                "the weights do not fit their card: {} is {}, not {}".format(
                    name, found.get(name, "missing"), expected.get(name, "there")
                )
            )


def _is_normalisation(values: Any, channels: Any, least: float) -> bool:
    """Whether there is a number in ``least``..1 for each of 1 or 3 channels."""
    if channels not in (1, 3) or not isinstance(values, list) or len(values) != channels:
        return False
    return all(isinstance(value, (int, float)) and least <= value <= 1 for value in values)


def _is_names(values: Any) -> bool:
    named = isinstance(values, list) and all(isinstance(value, str) for value in values)
    return named and len(values) >= 2
