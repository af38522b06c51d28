"""What computes a model's numbers: PyTorch or OpenCV, behind one interface.

Neither is imported before it is asked for: a device may have one of the two only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from hyperhive.common.errors import CheckpointError, UsageError
from hyperhive.model.calibration import require_finite
from hyperhive.model.card import SUFFIX, Card
from hyperhive.model.data.images import SIZE

ONNX = ".onnx"
TORCHSCRIPT = (".pt", ".torchscript")
TORCH, OPENCV = "torch", "opencv"
AUTO = "auto"

_ENGINES = {SUFFIX: TORCH, ONNX: OPENCV, **dict.fromkeys(TORCHSCRIPT, TORCH)}
SUFFIXES = tuple(_ENGINES)
_TOGETHER = 256


class Engine(Protocol):
    """A model, ready to compute in one thread; ``name`` is what ``--engine`` calls it by."""

    name: str

    def run(self, pictures: np.ndarray) -> np.ndarray:
        """Return float32 logits ``[N, classes]``.

        Args:
            pictures: uint8 ``[N, 28, 28, C]`` as ``images.fit`` gives them, N of 1 or more.
        """
        ...


def require_engine(name: str) -> None:
    """Raise ``UsageError`` for what is no engine's name, nor ``auto``."""
    if name not in (AUTO, TORCH, OPENCV):
        raise UsageError(f"no engine is called {name!r}: choose auto, torch or opencv")


def engine_name(path: Path, asked: str = AUTO) -> str:
    """Return ``torch`` or ``opencv``, whichever runs a model's file.

    Raises ``UsageError`` if that is not the one that was asked for, or the file is of no model.
    """
    require_engine(asked)
    if path.suffix not in _ENGINES:
        raise UsageError(
            "{} is no model: its name would end in {}".format(path, ", ".join(_ENGINES))
        )
    name = _ENGINES[path.suffix]
    if asked not in (AUTO, name):
        if asked == OPENCV and path.suffix == SUFFIX:
            raise UsageError(
                f"--engine opencv runs {ONNX} files, not {path}: {how_to_export(path)}"
            )
        fitting = ONNX if asked == OPENCV else SUFFIX
        raise UsageError(f"--engine {asked} runs {fitting} files, not {path}")
    return name


def how_to_export(model: Path) -> str:
    """Return what to type for the ONNX file of a safetensors file, as a part of a sentence."""
    return (
        f"`hyperhive best --model {model} --export {model.with_suffix(ONNX)}` makes one, "
        "where PyTorch is"
    )


def engine_of(packed: bytes, suffix: str, card: Card, device: str) -> Engine:
    """Return the engine of a model's file that its card has the hash of.

    Args:
        packed: the file.
        suffix: its name's.
        card: of the model.
        device: where PyTorch is to compute; OpenCV does on the CPU.

    Raises ``CheckpointError`` unless the file fits its card, ``ModuleNotFoundError`` where its
    engine is not installed, ``DeviceError``.
    """
    if _ENGINES[suffix] == OPENCV:
        if device not in (AUTO, "cpu"):
            raise UsageError("--engine opencv computes on the CPU: leave --device away")
        from hyperhive.model.engines.opencv_engine import OpenCVEngine

        engine: Engine = OpenCVEngine(packed)
    else:
        from hyperhive.model.device import choose
        from hyperhive.model.engines.torch_engine import TorchEngine

        make = TorchEngine.from_weights if suffix == SUFFIX else TorchEngine.from_torchscript
        engine = make(packed, card, choose(device))
    _require_fitting(engine, card)
    return engine


def differing_labels(one: Engine, other: Engine, pictures: np.ndarray) -> int:
    """Return for how many pictures another engine names another class than one, or none at all.

    Raises ``CheckpointError`` where the answers of the one that it is measured by are no numbers.
    """
    differing = 0
    for start in range(0, len(pictures), _TOGETHER):
        some = pictures[start : start + _TOGETHER]
        expected, found = one.run(some), other.run(some)
        require_finite(expected)
        same = (expected.argmax(1) == found.argmax(1)) & np.isfinite(found).all(1)
        differing += int((~same).sum())
    return differing


def _require_fitting(engine: Engine, card: Card) -> None:
    """Compute one black picture, which also sets up what a first computation has to."""
    logits = engine.run(np.zeros((1, SIZE, SIZE, card.channels), np.uint8))
    if logits.shape != (1, len(card.classes)):
        raise CheckpointError(
            "it does not fit its card: it gives {} logits a picture, not {}".format(
                " x ".join(map(str, logits.shape[1:])), len(card.classes)
            )
        )
