"""The file of a model on this device: which one, and the predictor made from it."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from hyperhive.common.errors import CheckpointError, NoModel, UsageError
from hyperhive.inference.predictor import Predictor
from hyperhive.inference.settings import ModelSettings
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
    """The model that classifies, and its name for a person."""

    predictor: Predictor
    title: str


def prepare_model(settings: ModelSettings) -> Path | None:
    """Return the file of the model, or None for a study's; import PyTorch if it will run.

    PyTorch has to be imported before OpenCV: on a Jetson too little static TLS is left for it
    afterwards.

    Raises the errors of ``locate``, and ``UsageError`` if the engine cannot run a study's model.
    """
    if settings.study is None:
        path = locate(settings.path, settings.engine)
        needs_torch = engine_name(path) == TORCH
    else:
        _require_weights(settings.engine)
        path, needs_torch = None, True
    if needs_torch:
        importlib.import_module("torch")
    return path


def locate(path: Path | None, engine: str = AUTO) -> Path:
    """Return the file of a model; in a folder, the file that the engine runs.

    Args:
        path: a file, or a folder; None is the newest in models/*/.
        engine: auto, torch or opencv.

    Raises ``NoModel`` if there is no model to choose, ``CheckpointError`` if the file is missing,
    ``UsageError`` if the engine cannot run it.
    """
    require_engine(engine)
    path = path or _newest(MODELS)
    if path.is_dir():
        path = _form_in(path, engine)
    model_files.require_file(path)
    engine_name(path, engine)  # raises UsageError if it cannot run this file
    return path


def load_model(path: str | Path, device: str = "cpu") -> Predictor:
    """Return the model in a folder such as ``models/NAME``, or of one of its files.

    Its ``predict`` classifies pictures of any size. Raises ``CheckpointError`` if there is none, or
    one that cannot be trusted, ``DeviceError``.
    """
    return from_file(Path(path), device).predictor


def from_file(path: Path | None, device: str = "cpu") -> Chosen:
    """Return the model of a file or folder; see ``locate``.

    Raises ``CheckpointError`` if it cannot be trusted, ``UsageError``, ``DeviceError``.
    """
    path = locate(path)
    packed, card = model_files.read(path)
    title = str(path.parent if path.name == WEIGHTS_FILE else path)
    return Chosen(predictor_of(packed, path.suffix, card, device, str(path)), title)


def predictor_of(packed: bytes, suffix: str, card: Card, device: str, where: str) -> Predictor:
    """Return the predictor of a model's file.

    Raises ``CheckpointError``, which begins with ``where``.
    """
    try:
        return Predictor(engine_of(packed, suffix, card, device), card)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from error


def _require_weights(engine: str) -> None:
    """Raise ``UsageError`` unless an engine runs a study's weights."""
    if engine not in (AUTO, engine_name(Path(WEIGHTS_FILE))):
        raise UsageError(
            "the store has a study's weights for PyTorch only: run `hyperhive best STUDY --export "
            "model.onnx` on another machine, then --model model.onnx here"
        )


def _form_in(folder: Path, engine: str) -> Path:
    """Return the first form of a folder's model that the engine runs.

    Raises ``CheckpointError`` if there is only the form from which it can be exported.
    """
    if engine == AUTO and importlib.util.find_spec("torch") is None:
        engine = OPENCV
    forms = [folder / (WEIGHTS_FILE[: -len(SAFETENSORS)] + suffix) for suffix in SUFFIXES]
    runnable = [form for form in forms if engine in (AUTO, engine_name(form))]
    chosen = next((form for form in runnable if form.exists()), runnable[0])
    weights = folder / WEIGHTS_FILE
    if engine == OPENCV and weights.exists() and not chosen.exists():
        raise CheckpointError(
            f"there is no {chosen}, which OpenCV could run: {how_to_export(weights)}"
        )
    return chosen


def _newest(models: Path) -> Path:
    card_files = list(models.glob("*/" + CARD_FILE))
    if not card_files:
        raise NoModel(
            f"there is no model in {models}/: make one with `hyperhive demo`, or name one with "
            "--model FILE or --study NAME"
        )
    return max(card_files, key=lambda card_file: card_file.stat().st_mtime).parent
