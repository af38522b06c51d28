"""Other forms of a trained model, for devices that lack what trained it: ONNX and TorchScript.

What is made was compared with the model on its test images, by what will run it: PyTorch, and
OpenCV for ONNX. A safetensors file is the model itself, and there is nothing to compare.
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
from hyperhive.model import card as cards
from hyperhive.model.card import SUFFIX, Card
from hyperhive.model.checkpoint import unpack_weights
from hyperhive.model.data.images import SIZE
from hyperhive.model.engines.choice import ONNX, TORCHSCRIPT, differing_labels, engine_of
from hyperhive.model.engines.deployed import Deployed
from hyperhive.model.engines.torch_engine import TorchEngine, without_deprecations
from hyperhive.model.lenet import LeNet5

OPSET = 11
"""Of ONNX 1.6, from 2019, for devices with an OpenCV that old."""

_CPU = torch.device("cpu")


class ExportFailed(InputError):
    """An exported model would not say what the model says."""


def require_path(path: Path) -> None:
    """Raise ``UsageError`` for a path whose suffix names no form of a model."""
    if path.suffix not in (SUFFIX, *_MAKERS):
        raise UsageError(
            "--export {}: the name must end in {}".format(path, ", ".join([SUFFIX, *_MAKERS]))
        )


def is_compared(path: Path) -> bool:
    """Return whether a path names a form that has to be compared with the model."""
    return path.suffix != SUFFIX


def export(path: Path, packed: bytes, card: Card, pictures: np.ndarray | None = None) -> None:
    """Write a model in the form that a path's suffix names, with its card beside it.

    Args:
        path: see ``require_path``.
        packed: the model's weights, a safetensors file.
        card: of these weights.
        pictures: uint8 ``[N, 28, 28, C]`` that both forms must give the same label, each of them;
            N of 1 or more. Only what ``is_compared`` needs them.

    Raises ``ExportFailed`` where they do not or there are none, ``CheckpointError`` for a model
    whose answers are no numbers, ``UsageError`` where another model's file has the same card; then
    nothing is written.
    """
    _require_free(path, card)
    model = unpack_weights(packed, card, _CPU)
    if not is_compared(path):
        cards.write(path, packed, card)
        return
    if pictures is None or not len(pictures):
        raise ExportFailed("nothing was exported: there are no test images to compare it on")
    made = _MAKERS[path.suffix](model, card)
    card = replace(card, exports={path.suffix: hashlib.sha256(made).hexdigest()})
    exported = engine_of(made, path.suffix, card, "cpu")
    differing = differing_labels(TorchEngine(Deployed(model, card), _CPU), exported, pictures)
    if differing:
        raise ExportFailed(
            f"nothing was exported: for {differing} of {len(pictures)} test images "
            f"{exported.name} gives another label than "
            "PyTorch"
        )
    cards.write(path, made, card)


def to_torchscript(model: LeNet5, card: Card) -> bytes:
    """Return a ``Deployed`` model as TorchScript, which older versions of PyTorch read too."""
    packed = io.BytesIO()
    with without_deprecations():
        torch.jit.save(torch.jit.trace(Deployed(model, card), _example(card)), packed)
    return packed.getvalue()


def to_onnx(model: LeNet5, card: Card) -> bytes:
    """Return a ``Deployed`` model as ONNX, for ``cv2.dnn``.

    Its input is called ``pixels``, its output ``logits``; N is free. It carries the class names and
    the hash of the weights it was made of.
    """
    import onnx

    with tempfile.TemporaryDirectory() as folder, without_deprecations():
        file = str(Path(folder) / "model.onnx")
        torch.onnx.export(
            Deployed(model, card),
            (_example(card),),
            file,
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_axes={"pixels": {0: "n"}, "logits": {0: "n"}},
            opset_version=OPSET,
            **_plain_exporter(),
        )
        made = onnx.load(file)
    properties = {"classes": json.dumps(card.classes), "weights_sha256": card.weights_sha256}
    onnx.helper.set_model_props(made, properties)
    onnx.checker.check_model(made, full_check=True)
    packed: bytes = made.SerializeToString()
    return packed


_MAKERS: dict[str, Callable[[LeNet5, Card], bytes]] = {
    ONNX: to_onnx,
    **dict.fromkeys(TORCHSCRIPT, to_torchscript),
}


def _require_free(path: Path, card: Card) -> None:
    """Refuse to take the card away from another model's file, or from what is no card."""
    file = cards.card_file(path)
    try:
        if not file.exists() or cards.read_card(file).weights_sha256 == card.weights_sha256:
            return
    except CheckpointError as error:
        raise UsageError(
            f"{file} is in the way of the card of {path} ({error}): choose another name"
        ) from error
    others = [path.with_suffix(suffix) for suffix in (SUFFIX, *_MAKERS) if suffix != path.suffix]
    taken = [str(other) for other in others if other.exists()]
    if taken:
        raise UsageError(
            "{} is the card of {}, another model: choose another name or folder".format(
                file, " and ".join(taken)
            )
        )


def _example(card: Card) -> torch.Tensor:
    return torch.zeros(2, card.channels, SIZE, SIZE)


def _plain_exporter() -> dict[str, Any]:
    """Return what asks for the exporter by TorchScript, where PyTorch has two of them.

    The other needs another package, and writes opsets that old OpenCVs do not know.
    """
    has_two = "dynamo" in inspect.signature(torch.onnx.export).parameters
    return {"dynamo": False} if has_two else {}
