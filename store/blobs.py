"""Bytes in GridFS: weights and data sets, each with the hash that it is checked against.

GridFS writes a file's chunks first and its document last, so a writer that dies in between leaves
chunks behind. Therefore each try of an upload gets an id of its own and first writes a marker with
the server's time, and ``Store.collect_orphans`` later deletes files that nothing refers to. The
marker is deleted with the file and not before, so no crash leaves bytes behind forever.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Mapping

import gridfs
from bson import Int64, ObjectId
from gridfs.errors import NoFile
from pymongo import ASCENDING

from hyperhive.store.errors import CorruptBlob, NotFound
from hyperhive.store.server.client import Guard, transfer_time


@dataclass(frozen=True)
class BlobRef:
    """Where bytes are, and what they must be: ``sha256`` in hexadecimal, ``length`` in bytes."""

    file_id: Any
    sha256: str
    length: int

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> BlobRef:
        """Build a reference from a document, as ``as_document`` makes it.

        Raises ``CorruptBlob`` for any other document.
        """
        try:
            ref = cls(document["file_id"], document["sha256"], document["length"])
        except (KeyError, TypeError) as error:
            raise CorruptBlob(f"a file reference in the store is incomplete ({error})") from error
        kinds = (type(ref.file_id), type(ref.sha256), type(ref.length))
        if kinds not in ((ObjectId, str, int), (ObjectId, str, Int64)):
            raise CorruptBlob(f"a file reference in the store is malformed ({document})")
        return ref

    def as_document(self) -> dict[str, Any]:
        """Return the reference as a part of a document."""
        return asdict(self)


class Blobs:
    """The GridFS bucket of a database."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._bucket = gridfs.GridFSBucket(database)
        self._files = database["fs.files"]
        self._chunks = database["fs.chunks"]
        self._uploads = database["uploads"]
        self._guard = guard

    def ensure_indexes(self) -> None:
        """Make GridFS's own indexes, which otherwise the first upload would make; no worker may."""
        with self._guard():
            self._files.create_index([("filename", ASCENDING), ("uploadDate", ASCENDING)])
            self._chunks.create_index([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)

    def put(self, data: bytes, name: str) -> BlobRef:
        """Upload bytes under a new id; return the reference to store."""
        ref = BlobRef(ObjectId(), hashlib.sha256(data).hexdigest(), len(data))
        started = [{"$set": {"started": "$$NOW"}}]
        with self._guard():
            self._uploads.update_one({"_id": ref.file_id}, started, upsert=True)
        with self._guard(), transfer_time(ref.length):
            self._bucket.upload_from_stream_with_id(ref.file_id, name, data)
        return ref

    def get(self, ref: BlobRef) -> bytes:
        """Download bytes and check them.

        Raises ``NotFound`` if they were deleted, ``CorruptBlob`` if they do not match ``ref``; at
        most ``ref.length`` bytes are read, whatever is stored.
        """
        with self._guard(), transfer_time(ref.length):
            file = self._files.find_one({"_id": ref.file_id})
            data = b"" if file is None else self._read(file, ref.length)
        if file is None:
            raise NotFound(f"file {ref.file_id} is no longer in the store")
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise CorruptBlob(
                f"file {ref.file_id} in the store does not match its SHA-256 {ref.sha256[:12]}..."
            )
        return data

    def _read(self, file: Mapping[str, Any], length: int) -> bytes:
        """Return the bytes of a file: fewer if chunks are lost, none if it has another length.

        GridFS's own reader fails if it finds more chunks than it expects, and any login that may
        upload may add chunks to any file. This one ignores chunks that do not belong to it.
        """
        size = file.get("chunkSize")
        if file.get("length") != length or not isinstance(size, int) or size < 1:
            return b""
        within = {"$gte": 0, "$lt": -(-length // size), "$type": ["int", "long"]}
        chunks = self._chunks.find({"files_id": file["_id"], "n": within}).sort("n", ASCENDING)
        data = bytearray()
        for chunk in chunks:
            if isinstance(chunk["n"], list):  # the condition matches a list by any of its members
                continue
            if not isinstance(chunk.get("data"), bytes) or len(data) >= length:
                break
            data += chunk["data"]
        return bytes(data)

    def delete(self, file_id: Any) -> None:
        """Delete a file and every trace of its upload, even if the upload was interrupted."""
        with self._guard():
            # An interrupted upload has no document: its chunks are deleted, then NoFile is raised.
            with contextlib.suppress(NoFile):
                self._bucket.delete(file_id)
            self._uploads.delete_one({"_id": file_id})

    def uploads_older_than(self, seconds: float) -> list[Any]:
        """Return the ids of uploads that are at least this old, by the server's clock."""
        # A worker may have written anything, and the server may compute before it checks types.
        known = {"input": "$started", "to": "date", "onError": None, "onNull": None}
        age = {"$subtract": ["$$NOW", {"$convert": known}]}
        old = {
            "_id": {"$type": "objectId"},
            "$expr": {"$gte": [age, round(seconds * 1000)]},
        }
        with self._guard():
            return [upload["_id"] for upload in self._uploads.find(old)]
