"""A model's weights: LeNet-5 to safetensors and back.

A model is trusted only after the hash, the size, the names and the shapes of its weights agree with
its card. Neither format can carry code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

import numpy as np
import safetensors
import safetensors.numpy
import torch

from hyperhive.common.errors import CheckpointError
from hyperhive.model.card import LARGEST, WEIGHTS_FILE, Card, read, require_hash, write
from hyperhive.model.lenet import LeNet5
from hyperhive.model.normalise import Normaliser


def pack_weights(model: torch.nn.Module) -> bytes:
    """Return a model's weights as the bytes of a safetensors file."""
    state = {name: _to_array(tensor) for name, tensor in model.state_dict().items()}
    packed: bytes = safetensors.numpy.save(state)
    return packed


def unpack_weights(packed: bytes, card: Card, device: torch.device) -> LeNet5:
    """Return the model of a card with these weights, in evaluation mode.

    Raises ``CheckpointError`` unless hash, size, names, shapes and types are those of the card.
    """
    if len(packed) > LARGEST:
        raise CheckpointError(f"weights of {len(packed) >> 20} MB are no LeNet-5")
    require_hash(packed, card.weights_sha256)
    try:
        arrays = safetensors.numpy.load(packed)
    except (safetensors.SafetensorError, KeyError) as error:
        raise CheckpointError(f"the weights are no safetensors file: {error}") from error
    model = LeNet5(card.channels, len(card.classes))
    _require_same(_signature(arrays), _signature(model.state_dict()))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return model.to(device).eval()


def save(directory: Path, packed: bytes, card: Card) -> Path:
    """Write weights and card into a directory; return the weights' path. See ``card.write``."""
    write(directory / WEIGHTS_FILE, packed, card)
    return directory / WEIGHTS_FILE


def load(path: Path, device: torch.device) -> tuple[LeNet5, Card]:
    """Return the model in a directory, or of a weights file with its card beside it."""
    weights = path / WEIGHTS_FILE if path.is_dir() else path
    packed, card = read(weights)
    try:
        return unpack_weights(packed, card, device), card
    except CheckpointError as error:
        raise CheckpointError(f"{weights}: {error}") from error


def normaliser(card: Card, device: torch.device) -> Normaliser:
    """Return the normalisation a card's model was trained with."""
    return Normaliser(card.mean, card.std, device)


def _to_array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().contiguous().numpy()
    return array


def _signature(tensors: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: "{} {}".format(str(tensor.dtype).replace("torch.", ""), tuple(tensor.shape))
        for name, tensor in tensors.items()
    }


def _require_same(found: dict[str, str], expected: dict[str, str]) -> None:
    for name in sorted(set(found) | set(expected)):
        if found.get(name) != expected.get(name):
            raise CheckpointError(
                "the weights do not fit their card: {} is {}, not {}".format(
                    name, found.get(name, "missing"), expected.get(name, "there")
                )
            )
