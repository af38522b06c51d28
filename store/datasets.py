"""Data sets that travel through the store: published once, fetched by each device."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from pymongo.errors import DuplicateKeyError

from hyperhive.store.blobs import BlobRef, Blobs, referred_to
from hyperhive.store.errors import NotFound
from hyperhive.store.server.client import Guard


class Datasets:
    """The data sets of a database, by the hash of their content.

    The store does not look inside: the caller decides what the hash covers and how the bytes are
    packed. ``fetch`` returns exactly the bytes that were published.
    """

    def __init__(self, database: Any, guard: Guard, blobs: Blobs) -> None:
        self._datasets = database["datasets"]
        self._guard = guard
        self._blobs = blobs

    def has(self, content_hash: str) -> bool:
        """Return whether a data set is published."""
        return self._find(content_hash) is not None

    def publish(self, content_hash: str, packed: bytes, card: Mapping[str, Any]) -> bool:
        """Publish a packed data set with its card; return False if it was published before."""
        if self.has(content_hash):
            return False
        ref = self._blobs.put(packed, content_hash)
        document = {"_id": content_hash, "card": dict(card), "blob": ref.as_document()}
        with self._guard():
            try:
                self._datasets.insert_one(document)
            except DuplicateKeyError:
                return False  # another coordinator was faster; our upload is an orphan now
        return True

    def cards(self) -> dict[str, dict[str, Any]]:
        """Return the cards of all published data sets, by hash."""
        with self._guard():
            return {each["_id"]: each["card"] for each in self._datasets.find({}, {"card": True})}

    def fetch(self, content_hash: str) -> bytes:
        """Return the published bytes. Raises ``NotFound`` or ``CorruptBlob``."""
        document = self._find(content_hash)
        if document is None:
            raise NotFound(
                f"data set {content_hash[:12]}... is not in the store: start the coordinator "
                "again, which publishes the data set of its study, or publish it with `hyperhive "
                "dataset publish`"
            )
        return self._blobs.get(BlobRef.from_document(document["blob"]))

    def referred_to(self, file_ids: Iterable[Any]) -> set[Any]:
        """Return those of these files that have a data set."""
        with self._guard():
            return referred_to(self._datasets, ["blob.file_id"], file_ids)

    def _find(self, content_hash: str) -> dict[str, Any] | None:
        with self._guard():
            document: dict[str, Any] | None = self._datasets.find_one({"_id": content_hash})
        return document
