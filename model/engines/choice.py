"""Which engine runs a model's file: PyTorch or OpenCV, behind one interface.

Each is imported only when it is needed, because a device may have only one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from hyperhive.common.errors import CheckpointError, UsageError
from hyperhive.model.augmentation.views import views_of
from hyperhive.model.calibration import require_finite
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.model.data.images import batches

ONNX = ".onnx"
TORCHSCRIPT = (".pt", ".torchscript")
TORCH, OPENCV = "torch", "opencv"
AUTO = "auto"

_ENGINES = {SAFETENSORS: TORCH, ONNX: OPENCV, **dict.fromkeys(TORCHSCRIPT, TORCH)}
SUFFIXES = tuple(_ENGINES)
"""Of every form of a model, the preferred one first."""


class Engine(Protocol):
    """A model that is ready to run, in one thread; ``name`` is its value for ``--engine``."""

    name: str

    def run(self, pictures: np.ndarray) -> np.ndarray:
        """Return float32 logits ``[N, classes]``.

        Args:
            pictures: uint8 ``[N, S, S, C]`` from ``images.fit``, N of 1 or more.
        """
        ...


def require_engine(name: str) -> None:
    """Raise ``UsageError`` unless the name is ``auto``, ``torch`` or ``opencv``."""
    if name not in (AUTO, TORCH, OPENCV):
        raise UsageError(f"unknown engine {name!r}: choose auto, torch or opencv")


def engine_name(path: Path, asked: str = AUTO) -> str:
    """Return the engine that runs a model's file: ``torch`` or ``opencv``.

    Raises ``UsageError`` if another engine was asked for, or if the file is not a model.

    Args:
        path: the file; its suffix decides.
        asked: the engine that was asked for; ``auto`` accepts both.
    """
    require_engine(asked)
    if path.suffix not in _ENGINES:
        raise UsageError(f"{path} is not a model: its name must end in {', '.join(SUFFIXES)}")
    name = _ENGINES[path.suffix]
    if asked in (AUTO, name):
        return name
    if asked == OPENCV and path.suffix == SAFETENSORS:
        raise UsageError(f"--engine opencv runs {ONNX} files, not {path}: {how_to_export(path)}")
    runnable = ONNX if asked == OPENCV else SAFETENSORS
    raise UsageError(f"--engine {asked} runs {runnable} files, not {path}")


def how_to_export(model: Path) -> str:
    """Return the part of a sentence that tells how to export a safetensors file to ONNX."""
    return (
        f"`hyperhive best --model {model} --export {model.with_suffix(ONNX)}` makes one, "
        "on a machine with PyTorch"
    )


def engine_of(packed: bytes, suffix: str, card: Card, device: str) -> Engine:
    """Return the engine for a model's file, whose hash has been checked against its card.

    Args:
        packed: the file's bytes.
        suffix: the file's suffix.
        card: the model's card, whose ``views`` says what is looked at.
        device: where PyTorch computes; OpenCV always computes on the CPU.

    Raises ``CheckpointError`` unless the file fits its card, ``ModuleNotFoundError`` if its engine
    is not installed, ``DeviceError`` and ``UsageError`` for a device that cannot be used.
    """
    if _ENGINES[suffix] == OPENCV:
        if device not in (AUTO, "cpu"):
            raise UsageError("--engine opencv computes on the CPU: omit --device")
        from hyperhive.model.engines.opencv_engine import OpenCVEngine

        engine: Engine = OpenCVEngine(packed)
    else:
        from hyperhive.model.device import choose
        from hyperhive.model.engines.torch_engine import TorchEngine

        make = TorchEngine.from_weights if suffix == SAFETENSORS else TorchEngine.from_torchscript
        engine = make(packed, card, choose(device))
    _require_fitting(engine, card)
    return engine if card.views == "one" else ViewsEngine(engine, card.views)


class ViewsEngine:
    """Looks at several views of each picture; gives the mean of an engine's logits.

    Args:
        engine: runs the model.
        views: one of ``VIEWS``.
    """

    def __init__(self, engine: Engine, views: str) -> None:
        self._engine = engine
        self._views = views
        self.name = engine.name

    def run(self, pictures: np.ndarray) -> np.ndarray:
        """Return logits; see ``Engine.run``."""
        views = views_of(self._views, *pictures.shape[1:3])
        logits = [self._engine.run(pictures[:, rows][:, :, columns]) for rows, columns in views]
        mean: np.ndarray = sum(logits[1:], logits[0]) / len(logits)
        return mean


def differing_labels(reference: Engine, other: Engine, pictures: np.ndarray) -> int:
    """Return the number of pictures to which another engine gives another label, or no number.

    Args:
        reference: gives the right labels; ``CheckpointError`` is raised if it gives no numbers.
        other: is compared with it.
        pictures: uint8 ``[N, S, S, C]``.
    """
    differing = 0
    for batch in batches(pictures):
        expected, actual = reference.run(batch), other.run(batch)
        require_finite(expected)
        is_same = (expected.argmax(1) == actual.argmax(1)) & np.isfinite(actual).all(1)
        differing += int((~is_same).sum())
    return differing


def _require_fitting(engine: Engine, card: Card) -> None:
    """Raise ``CheckpointError`` unless one black picture gives the logits that the card describes.

    This also does the set-up that an engine does in its first computation.
    """
    logits = engine.run(card.blank(1))
    if logits.shape != (1, len(card.classes)):
        actual = " x ".join(map(str, logits.shape[1:]))
        raise CheckpointError(
            f"it does not fit its card: it gives {actual} logits per picture, not "
            f"{len(card.classes)}"
        )
