"""A trained model on disk: a file for each of its forms, and the one card that they share.

A file is trusted only if its hash is the one on the card. Nothing here needs PyTorch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from hyperhive.common import files
from hyperhive.common.errors import CheckpointError
from hyperhive.model.card import SAFETENSORS, Card

WEIGHTS_FILE = "model" + SAFETENSORS
CARD_FILE = "model.json"
OTHER_WEIGHTS_FILE = "weights.safetensors"
"""The weights of a study's winner that are no LeNet-5, so that no command of ours reads them."""

LARGEST = 64 << 20
"""Bytes of the largest file that is read. LeNet-5's weights have 250 kB, a ResNet-18's 45 MB."""


def card_file(path: Path) -> Path:
    """Return the path of the card that belongs to a model's file."""
    return path.with_suffix(".json")


def read(path: Path) -> tuple[bytes, Card]:
    """Return the bytes of a model's file and its card, after checking the file's hash.

    Raises ``CheckpointError``, which begins with the path.
    """
    require_file(path)
    require_file(card_file(path))
    try:
        if path.stat().st_size > LARGEST:
            raise CheckpointError(
                f"it is too large for a model, which has {LARGEST >> 20} MB at most"
            )
        card = read_card(card_file(path))
        packed = path.read_bytes()
        require_hash(packed, card.sha256(path.suffix))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return packed, card


def require_file(path: Path) -> None:
    """Raise ``CheckpointError`` if there is no file at this path."""
    if not path.is_file():
        raise CheckpointError(
            f"there is no {path}: a model is a weights file and its card, as hyperhive writes them "
            "to models/STUDY/"
        )


def read_card(file: Path) -> Card:
    """Return the card in a file; raises ``CheckpointError`` or ``OSError``."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"the model's card is not valid JSON: {error}") from error
    return Card.from_json(values if isinstance(values, dict) else {})


def write(path: Path, packed: bytes, card: Card) -> None:
    """Write one form of a model, then its card; raises ``OSError``.

    A concurrent reader finds the old model, the new one, or a card that does not match the file and
    is refused; it never takes one model for the other. If the card on disk belongs to the same
    weights, the hashes of its other exported forms are kept.
    """
    file = card_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    existing = _card_of(card.weights_sha256, file)
    exports = {**(existing.exports if existing else {}), **card.exports}
    files.write(path, packed)
    values = replace(card, exports=exports).to_json()
    files.write(file, json.dumps(values, indent=2).encode() + b"\n")


def require_hash(packed: bytes, sha256: str | None) -> None:
    """Raise ``CheckpointError`` unless these bytes have the hash on a card; None never matches."""
    if sha256 is None:
        raise CheckpointError(
            "the card beside it belongs to another model, or does not list this form: export it "
            "again with `hyperhive best --export`"
        )
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise CheckpointError(
            f"the weights are not those of the card: their SHA-256 is not {sha256[:12]}..."
        )


def _card_of(weights_sha256: str, file: Path) -> Card | None:
    """Return the card in a file if it belongs to these weights."""
    try:
        card = read_card(file)
    except (CheckpointError, OSError):
        return None
    return card if card.weights_sha256 == weights_sha256 else None
