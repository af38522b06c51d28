"""Which model to label with: a file's, a study's, or the newest there is."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from hyperhive.common.errors import CheckpointError, NoModel, UsageError
from hyperhive.inference.predictor import Predictor
from hyperhive.model import model_files
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.model.engines.choice import (
    AUTO,
    OPENCV,
    SUFFIXES,
    TORCH,
    engine_name,
    engine_of,
    how_to_export,
    require_engine,
)
from hyperhive.model.model_files import CARD_FILE, WEIGHTS_FILE

MODELS = Path("models")


@dataclass(frozen=True)
class Chosen:
    """A model to label with, and what a person calls it."""

    predictor: Predictor
    title: str


def locate(path: Path | None, engine: str = AUTO) -> Path:
    """Return the file of a model: of a directory the one that the engine runs.

    Args:
        path: a file, or a directory; by default the newest in models/*/.
        engine: auto, torch or opencv.

    Raises ``NoModel`` if there is none to choose, ``CheckpointError`` if it is not there,
    ``UsageError`` if the engine cannot run it.
    """
    require_engine(engine)
    path = path or _newest(MODELS)
    if path.is_dir():
        path = _form_in(path, engine)
    model_files.require_file(path)
    engine_name(path, engine)
    return path


def import_engine(path: Path | None) -> None:
    """Import PyTorch, where it will run this file, or a study's weights if it is None.

    It has to come before OpenCV: on a Jetson too little static TLS is left for it afterwards.
    """
    if path is None or engine_name(path) == TORCH:
        importlib.import_module("torch")


def from_file(path: Path | None, device: str = "cpu") -> Chosen:
    """Return the model of a file or directory; see ``locate``.

    Raises ``CheckpointError`` if it cannot be trusted, ``UsageError``, ``DeviceError``.
    """
    path = locate(path)
    packed, card = model_files.read(path)
    title = str(path.parent if path.name == WEIGHTS_FILE else path)
    return Chosen(predictor_of(packed, path.suffix, card, device, str(path)), title)


def predictor_of(packed: bytes, suffix: str, card: Card, device: str, where: str) -> Predictor:
    """Return what labels with a model's file; raises ``CheckpointError``, which says ``where``."""
    try:
        return Predictor(engine_of(packed, suffix, card, device), card)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from error


def require_weights(engine: str) -> None:
    """Raise ``UsageError`` unless an engine runs what the store has of a study."""
    if engine_name(Path(WEIGHTS_FILE)) != engine != AUTO:
        raise UsageError(
            "the store has a study's weights for PyTorch only: `hyperhive best STUDY --export "
            "model.onnx` elsewhere, then --model model.onnx here"
        )


def _form_in(directory: Path, engine: str) -> Path:
    """Return the first form of a directory's model that the engine runs.

    Raises ``CheckpointError`` where there is none but what it can be made of.
    """
    if engine == AUTO and importlib.util.find_spec("torch") is None:
        engine = OPENCV
    forms = [directory / (WEIGHTS_FILE[: -len(SAFETENSORS)] + suffix) for suffix in SUFFIXES]
    fitting = [form for form in forms if engine in (AUTO, engine_name(form))]
    found = next((form for form in fitting if form.exists()), fitting[0])
    weights = directory / WEIGHTS_FILE
    if engine == OPENCV and weights.exists() and not found.exists():
        raise CheckpointError(
            f"there is no {found}, which OpenCV could run: {how_to_export(weights)}"
        )
    return found


def _newest(models: Path) -> Path:
    found = list(models.glob("*/" + CARD_FILE))
    if not found:
        raise NoModel(
            f"there is no model in {models}/: make one with `hyperhive demo`, or name one "
            "with --model "
            "FILE or --study NAME"
        )
    return max(found, key=lambda card: card.stat().st_mtime).parent
