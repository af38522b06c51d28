"""Which model to label with: a file's, a study's, or the newest there is."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import torch

from inference.errors import NoModel
from inference.predictor import Predictor
from model import checkpoint
from model.card import CARD_FILE, Card
from model.errors import CheckpointError

MODELS = Path("models")


@dataclass(frozen=True)
class Chosen:
    """A model to label with, and what a person calls it."""

    predictor: Predictor
    title: str


def from_file(path: Optional[Path], device: torch.device) -> Chosen:
    """Return the model of a weights file or of a directory; by default the newest in models/*/.

    Raises ``NoModel`` if there is none to choose, ``CheckpointError`` if it cannot be trusted.
    """
    path = path or _newest(MODELS)
    model, card = checkpoint.load(path, device)
    return Chosen(Predictor(model, card, device), str(path))


def from_study(name: str, uri: Optional[str], device: torch.device) -> Chosen:
    """Return a study's best model out of the store.

    Args:
        name: of the study.
        uri: of the store; None is this machine's own embedded server.
        device: where the model is to run.

    Raises ``NoModel`` if there is no such study, or it has none yet; ``StoreError`` if the store
    cannot be reached; ``CheckpointError`` if what it holds cannot be trusted.
    """
    from store.blobs import BlobRef
    from store.connection import Store
    from store.embedded import embedded_server

    server = embedded_server() if uri is None else contextlib.nullcontext(uri)
    with server as address, Store(address) as store:
        study = store.studies.get(name)
        if study is None:
            others = [other.name for other in store.studies.all()]
            there = "its studies are {}".format(", ".join(others)) if others else "it has none"
            raise NoModel("there is no study {!r} in {}: {}".format(name, store.address, there))
        result = study.result or {}
        if not (result.get("card") and result.get("weights")):
            ended = "ended without a model" if study.result else "has no result yet"
            raise NoModel(
                "study {!r} {}: run `hyperhive coordinator` until it has".format(name, ended)
            )
        packed = store.blobs.get(BlobRef.from_document(result["weights"]))
    try:
        card = Card.from_json(result["card"])
        model = checkpoint.unpack_weights(packed, card, device)
    except CheckpointError as error:
        raise CheckpointError("study {!r}: {}".format(name, error)) from error
    return Chosen(Predictor(model, card, device), "study {}".format(name))


def _newest(models: Path) -> Path:
    cards = list(models.glob("*/" + CARD_FILE))
    if not cards:
        raise NoModel(
            "there is no model in {}/: make one with `hyperhive demo`, or name one with --model "
            "FILE or --study NAME".format(models)
        )
    return max(cards, key=lambda card: card.stat().st_mtime).parent
