"""Exports a trained model for other devices: as ONNX, as TorchScript, or as safetensors.

An exported file is written only if it labels the test images as the model does, run by the engine
that will run it: PyTorch for TorchScript, OpenCV for ONNX. A safetensors file is the model itself,
so there is nothing to compare.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch

from hyperhive.common.errors import CheckpointError, InputError, UsageError
from hyperhive.model import model_files
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.model.checkpoint import unpack_weights
from hyperhive.model.device import CPU
from hyperhive.model.engines.choice import (
    ONNX,
    SUFFIXES,
    TORCHSCRIPT,
    differing_labels,
    engine_of,
)
from hyperhive.model.engines.deployed import DeployedModel
from hyperhive.model.engines.torch_engine import without_deprecations

OPSET = 11
"""The opset of ONNX 1.6, from 2019, for devices with an OpenCV of that age."""


class ExportFailed(InputError):
    """The exported model would not give the answers of the model."""


def require_path(path: Path) -> None:
    """Raise ``UsageError`` unless a path's suffix is that of one of a model's forms."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--export {path}: the name must end in {', '.join(SUFFIXES)}")


def is_compared(path: Path) -> bool:
    """Return whether a path's form must be compared with the model before it is written."""
    return path.suffix != SAFETENSORS


def export(path: Path, packed: bytes, card: Card, pictures: np.ndarray | None = None) -> None:
    """Write a model in the form of a path's suffix, with its card beside it.

    Raises ``ExportFailed`` if the labels differ or there are no pictures, ``CheckpointError`` if
    the model's answers are not numbers, ``UsageError`` if the card of another model is in the way.
    Then nothing is written.

    Args:
        path: see ``require_path``.
        packed: the model's weights, the bytes of a safetensors file.
        card: the card of these weights.
        pictures: uint8 ``[N, S, S, C]``, N of 1 or more. Both forms must give the same label to
            each. They are needed only if ``is_compared``.
    """
    _require_free(path, card)
    model = unpack_weights(packed, card, CPU)
    if not is_compared(path):
        model_files.write(path, packed, card)
        return
    if pictures is None or not len(pictures):
        raise ExportFailed("nothing was exported: there are no test images to compare it with")
    exported = _MAKERS[path.suffix](model, card)
    card = replace(card, exports={path.suffix: hashlib.sha256(exported).hexdigest()})
    engine = engine_of(exported, path.suffix, card, "cpu")
    differing = differing_labels(engine_of(packed, SAFETENSORS, card, "cpu"), engine, pictures)
    if differing:
        raise ExportFailed(
            f"nothing was exported: for {differing} of {len(pictures)} test images {engine.name} "
            "gives another label than PyTorch"
        )
    model_files.write(path, exported, card)


def to_torchscript(model: torch.nn.Module, card: Card) -> bytes:
    """Return a model as TorchScript, which older versions of PyTorch can read too."""
    packed = io.BytesIO()
    with without_deprecations():
        torch.jit.save(torch.jit.trace(DeployedModel(model, card), _example(card)), packed)
    return packed.getvalue()


def to_onnx(model: torch.nn.Module, card: Card) -> bytes:
    """Return a model as ONNX, for ``cv2.dnn``.

    Its input is called ``pixels``, its output ``logits``; N is free. Its metadata has the class
    names and the hash of the weights.
    """
    import onnx

    with tempfile.TemporaryDirectory() as folder, without_deprecations():
        file = str(Path(folder) / "model.onnx")
        torch.onnx.export(
            DeployedModel(model, card),
            (_example(card),),
            file,
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_axes={"pixels": {0: "n"}, "logits": {0: "n"}},
            opset_version=OPSET,
            **_plain_exporter(),
        )
        exported = onnx.load(file)
    properties = {"classes": json.dumps(card.classes), "weights_sha256": card.weights_sha256}
    onnx.helper.set_model_props(exported, properties)
    onnx.checker.check_model(exported, full_check=True)
    packed: bytes = exported.SerializeToString()
    return packed


_MAKERS: dict[str, Callable[[torch.nn.Module, Card], bytes]] = {
    ONNX: to_onnx,
    **dict.fromkeys(TORCHSCRIPT, to_torchscript),
}


def _require_free(path: Path, card: Card) -> None:
    """Raise ``UsageError`` if the card would replace another model's, or a file that is not a card.

    A card without a model's file beside it may be replaced.
    """
    file = model_files.card_file(path)
    try:
        if not file.exists() or model_files.read_card(file).weights_sha256 == card.weights_sha256:
            return
    except CheckpointError as error:
        raise UsageError(
            f"{file} is in the way of the card of {path} ({error}): choose another name"
        ) from error
    others = [path.with_suffix(suffix) for suffix in SUFFIXES if suffix != path.suffix]
    existing = " and ".join(str(other) for other in others if other.exists())
    if existing:
        raise UsageError(
            f"{file} is the card of {existing}, another model: choose another name or folder"
        )


def _example(card: Card) -> torch.Tensor:
    return torch.zeros(2, card.channels, card.image_size, card.image_size)


def _plain_exporter() -> dict[str, Any]:
    """Return the argument that selects the exporter by TorchScript, if PyTorch has two exporters.

    The newer exporter needs another package, and writes opsets that old OpenCVs do not know.
    """
    has_two = "dynamo" in inspect.signature(torch.onnx.export).parameters
    return {"dynamo": False} if has_two else {}
