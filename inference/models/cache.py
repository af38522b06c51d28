"""Models of studies on this device's disk: downloaded once, and available without the store."""

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
    """A copy of the last model of a study; its hash is checked whenever it is read.

    Args:
        study: the name of the study.
        where: names the store, in words that stay the same from run to run.
        warn: is called with a sentence if the copy cannot be written.
        directory: the folder of all copies; by default it is in the user's cache directory.
    """

    def __init__(self, study: str, where: str, warn: Say, directory: Path | None = None) -> None:
        key = hashlib.sha256(f"{where}\n{study}".encode()).hexdigest()[:16]
        directory = directory or paths.cache_directory() / "models"
        self._path = directory / key / WEIGHTS_FILE
        self._warn = warn

    def get(self, model: StoredModel, store: Store) -> tuple[bytes, Card]:
        """Return the weights and card of a study's model; download only if the copy is another.

        Raises ``StoreError`` if the download fails, ``CheckpointError`` for weights that do not
        belong to the card.
        """
        card = Card.from_json(model.card)
        copy = self.copy()
        if copy is not None and copy[1].weights_sha256 == card.weights_sha256:
            packed = copy[0]
        else:
            packed = store.blobs.get(model.weights)
            model_files.require_hash(packed, card.weights_sha256)
        if copy != (packed, card):
            self.keep(packed, card)
        return packed, card

    def copy(self) -> tuple[bytes, Card] | None:
        """Return the copy of the last model; None if there is none, or it is damaged."""
        try:
            return model_files.read(self._path)
        except CheckpointError:  # it is downloaded again
            return None

    def age(self) -> str:
        """Return the local time at which the copy was made, as a person reads it."""
        made_at = model_files.card_file(self._path).stat().st_mtime
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(made_at))

    def keep(self, packed: bytes, card: Card) -> None:
        """Replace the copy with this; warn if it cannot be written."""
        try:
            model_files.write(self._path, packed, card)
        except OSError as error:
            self._warn(
                f"the model cannot be kept in {self._path.parent} ({error.strerror}): "
                f"{paths.advice('cache')}"
            )
