"""Studies' models on this device's disk: downloaded once, there when the store is away."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from hyperhive.common import paths
from hyperhive.common.errors import CheckpointError
from hyperhive.inference.frames import Say
from hyperhive.model import model_files
from hyperhive.model.card import Card
from hyperhive.model.model_files import WEIGHTS_FILE
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredModel


class ModelCache:
    """The last model that was taken of a study, checked by its hash whenever it is read.

    Args:
        study: its name.
        where: the store, in words that stay the same from run to run.
        warn: is told where the copy cannot be kept.
        directory: where all studies' models are kept; by default the user's cache directory.
    """

    def __init__(self, study: str, where: str, warn: Say, directory: Path | None = None) -> None:
        key = hashlib.sha256(f"{where}\n{study}".encode()).hexdigest()[:16]
        directory = directory or paths.cache_directory() / "models"
        self._path = directory / key / WEIGHTS_FILE
        self._warn = warn

    def get(self, model: StoredModel, store: Store) -> tuple[bytes, Card]:
        """Return the weights and card of a study's model; only what is not here is downloaded.

        Raises ``StoreError`` if that fails, ``CheckpointError`` for weights of another card.
        """
        card = Card.from_json(model.card)
        kept = self.kept()
        if kept is not None and kept[1].weights_sha256 == card.weights_sha256:
            packed = kept[0]
        else:
            packed = store.blobs.get(model.weights)
            model_files.require_hash(packed, card.weights_sha256)
        if kept != (packed, card):
            self.keep(packed, card)
        return packed, card

    def kept(self) -> tuple[bytes, Card] | None:
        """Return the copy of the last model; None if there is none, or it is damaged."""
        try:
            return model_files.read(self._path)
        except CheckpointError:  # as good as none: it is fetched again
            return None

    def age(self) -> str:
        """Return the local time at which the copy was made, as a person reads it."""
        made = model_files.card_file(self._path).stat().st_mtime
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(made))

    def keep(self, packed: bytes, card: Card) -> None:
        """Keep this as the copy, in place of the one before; where it cannot be, say so."""
        try:
            model_files.write(self._path, packed, card)
        except OSError as error:
            self._warn(f"the model is not kept in {self._path.parent}: {error.strerror}")
