"""A network's weights as safetensors bytes, which cannot carry code, and back.

Weights are trusted only if their hash, size, names, shapes and types agree with their card.
"""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np
import safetensors
import safetensors.numpy
import torch

from hyperhive.common.errors import CheckpointError, ConfigError
from hyperhive.model.card import Card
from hyperhive.model.model_files import LARGEST, require_hash
from hyperhive.model.networks import build, of_lenet5
from hyperhive.model.normalise import Normaliser


def pack_weights(model: torch.nn.Module) -> bytes:
    """Return a model's weights as the bytes of a safetensors file."""
    state = {name: _to_array(tensor) for name, tensor in model.state_dict().items()}
    packed: bytes = safetensors.numpy.save(state)
    return packed


def unpack_weights(packed: bytes, card: Card, device: torch.device) -> torch.nn.Module:
    """Return the model of a card with these weights, on a device, in evaluation mode.

    Raises ``CheckpointError`` unless hash, size, names, shapes and types agree with the card, and
    if the card's network cannot be made here. Only installed code makes it, none of the card's.
    """
    if len(packed) > LARGEST:
        raise CheckpointError(f"weights of {len(packed) >> 20} MB are too large for a model")
    require_hash(packed, card.weights_sha256)
    try:
        arrays = safetensors.numpy.load(packed)
    except (safetensors.SafetensorError, KeyError) as error:
        raise CheckpointError(f"the weights are not a safetensors file: {error}") from error
    try:
        own = of_lenet5(card.config)
        model = build(card.architecture, card.channels, len(card.classes), card.image_size, **own)
    except ConfigError as error:
        raise CheckpointError(f"no weights fit the model's card: {error}") from error
    _require_same(_signature(arrays), _signature(model.state_dict()))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return model.to(device).eval()


def normaliser(card: Card, device: torch.device) -> Normaliser:
    """Return the normalisation that a card's model was trained with."""
    return Normaliser(card.mean, card.std, device)


def _to_array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().contiguous().numpy()
    return array


def _signature(tensors: Mapping[str, Any]) -> dict[str, str]:
    """Return the type and shape of each tensor, written the same for NumPy and PyTorch."""
    return {
        name: "{} {}".format(str(tensor.dtype).replace("torch.", ""), tuple(tensor.shape))
        for name, tensor in tensors.items()
    }


def _require_same(actual: dict[str, str], expected: dict[str, str]) -> None:
    for name in sorted(set(actual) | set(expected)):
        if actual.get(name) != expected.get(name):
            raise CheckpointError(
                f"the weights do not fit their card: {name} is {actual.get(name, 'missing')}, "
                f"expected {expected.get(name, 'nothing')}"
            )
