"""Runs models with PyTorch: safetensors weights, and models exported as TorchScript."""

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
from hyperhive.model.device import CPU
from hyperhive.model.engines.deployed import DeployedModel
from hyperhive.model.normalise import to_tensor


class TorchEngine:
    """An ``Engine`` that runs a ``DeployedModel``, or its export as TorchScript.

    Args:
        module: has the input and the output of a ``DeployedModel``.
        device: where to compute.
    """

    name = "torch"

    def __init__(self, module: torch.nn.Module, device: torch.device) -> None:
        self._module = module.to(device)
        self._device = device

    @classmethod
    def from_weights(cls, packed: bytes, card: Card, device: torch.device) -> TorchEngine:
        """Return the engine for a safetensors file; raises ``CheckpointError``."""
        return cls(DeployedModel(unpack_weights(packed, card, CPU), card), device)

    @classmethod
    def from_torchscript(cls, packed: bytes, card: Card, device: torch.device) -> TorchEngine:
        """Return the engine for a TorchScript file. The file is a program, see docs/camera.md.

        Raises ``CheckpointError`` if this PyTorch cannot read the file, and if the program does not
        accept the pictures that its card describes.
        """
        try:
            with without_deprecations():
                engine = cls(torch.jit.load(io.BytesIO(packed), map_location="cpu"), device)
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"PyTorch {torch.__version__} cannot read it: export it again, with a PyTorch that "
                "is not newer"
            ) from error
        try:
            engine._compute(card.blank(1))
        except (RuntimeError, AttributeError) as error:  # the program is another network
            raise CheckpointError(
                f"PyTorch cannot run it: {str(error).strip().splitlines()[-1]}"
            ) from error
        return engine

    def run(self, pictures: np.ndarray) -> np.ndarray:
        """Return logits; see ``Engine.run``. Raises ``DeviceError`` if the device fails."""
        try:
            return self._compute(pictures)
        except RuntimeError as error:  # the model ran before, so the device or its memory failed
            raise DeviceError(
                f"{self._device} failed: {str(error).strip().splitlines()[0]}; choose --device cpu"
            ) from error

    def _compute(self, pictures: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits: np.ndarray = (
                self._module(to_tensor(pictures, self._device).float()).cpu().numpy()
            )
        return logits


@contextlib.contextmanager
def without_deprecations() -> Iterator[None]:
    """Silence PyTorch's warnings about TorchScript, which 2.9 deprecates and old devices need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield
