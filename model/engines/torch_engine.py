"""Models computed by PyTorch: our own, and those that were exported as TorchScript."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Iterator

import numpy as np
import torch

from hyperhive.common.errors import CheckpointError, DeviceError
from hyperhive.model.card import Card
from hyperhive.model.checkpoint import unpack_weights
from hyperhive.model.data.images import SIZE
from hyperhive.model.engines.deployed import Deployed
from hyperhive.model.normalise import to_tensor


class TorchEngine:
    """An ``Engine`` around a ``Deployed`` model, or what such a one was exported to.

    Args:
        module: takes and gives what ``Deployed`` does.
        device: where to compute.
    """

    name = "torch"

    def __init__(self, module: torch.nn.Module, device: torch.device) -> None:
        self._module = module.to(device)
        self._device = device

    @classmethod
    def from_weights(cls, packed: bytes, card: Card, device: torch.device) -> TorchEngine:
        """Return the engine of a safetensors file; raises ``CheckpointError``."""
        return cls(Deployed(unpack_weights(packed, card, torch.device("cpu")), card), device)

    @classmethod
    def from_torchscript(cls, packed: bytes, card: Card, device: torch.device) -> TorchEngine:
        """Return the engine of a TorchScript file, which is a program: docs/camera.md.

        Raises ``CheckpointError`` for what this PyTorch cannot read, and for a program that does
        not take the pictures of its card.
        """
        try:
            with without_deprecations():
                engine = cls(torch.jit.load(io.BytesIO(packed), map_location="cpu"), device)
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"PyTorch {torch.__version__} cannot read it: export it anew, with a "
                "PyTorch that is no newer"
            ) from error
        try:
            engine._compute(np.zeros((1, SIZE, SIZE, card.channels), np.uint8))
        except (RuntimeError, AttributeError) as error:  # it is another network
            raise CheckpointError(
                f"PyTorch cannot compute it: {str(error).strip().splitlines()[-1]}"
            ) from error
        return engine

    def run(self, pictures: np.ndarray) -> np.ndarray:
        """Return logits; see ``Engine.run``. Raises ``DeviceError`` if the device cannot."""
        try:
            return self._compute(pictures)
        except RuntimeError as error:  # the model was tried before: it is the device, or its memory
            raise DeviceError(
                f"{self._device} failed: {str(error).strip().splitlines()[0]}; --device cpu "
                "does without it"
            ) from error

    def _compute(self, pictures: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits: np.ndarray = (
                self._module(to_tensor(pictures, self._device).float()).cpu().numpy()
            )
        return logits


@contextlib.contextmanager
def without_deprecations() -> Iterator[None]:
    """Keep PyTorch from telling users of TorchScript, deprecated in 2.9, what no Nano can have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield
