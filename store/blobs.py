"""Bytes in GridFS: weights and data sets, each under the hash it is checked against.

GridFS writes a file's chunks first and its document last, and a writer that dies in between leaves
chunks behind. So each upload first leaves a marker with the server's time, and gets an id of its
own for every try; ``Store.collect_orphans`` later deletes what nobody refers to. The marker goes
with the file, not before: whenever its last reference goes, a crash leaves nothing for ever.
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
from hyperhive.store.server.mongo import Guard, transfer_time


@dataclass(frozen=True)
class BlobRef:
    """Where bytes lie and what they must be: ``sha256`` in hexadecimal, ``length`` in bytes."""

    file_id: Any
    sha256: str
    length: int

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> BlobRef:
        """Build a reference from what ``as_document`` gave; raises ``CorruptBlob`` for no such."""
        try:
            ref = cls(document["file_id"], document["sha256"], document["length"])
        except (KeyError, TypeError) as error:
            raise CorruptBlob(f"the store names a file by halves ({error})") from error
        kinds = (type(ref.file_id), type(ref.sha256), type(ref.length))
        if kinds not in ((ObjectId, str, int), (ObjectId, str, Int64)):
            raise CorruptBlob(f"the store names a file by what is no name ({document})")
        return ref

    def as_document(self) -> dict[str, Any]:
        """Return the reference as a mapping for a document of the store."""
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
        """Make GridFS's own indexes; else the first to upload makes them, and no worker may."""
        with self._guard():
            self._files.create_index([("filename", ASCENDING), ("uploadDate", ASCENDING)])
            self._chunks.create_index([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)

    def put(self, data: bytes, name: str) -> BlobRef:
        """Upload bytes under a new id and return the reference to keep."""
        ref = BlobRef(ObjectId(), hashlib.sha256(data).hexdigest(), len(data))
        started = [{"$set": {"started": "$$NOW"}}]
        with self._guard():
            self._uploads.update_one({"_id": ref.file_id}, started, upsert=True)
        with self._guard(), transfer_time(ref.length):
            self._bucket.upload_from_stream_with_id(ref.file_id, name, data)
        return ref

    def get(self, ref: BlobRef) -> bytes:
        """Download bytes and check them.

        Raises ``NotFound`` if they are gone, ``CorruptBlob`` if they are not what ``ref`` says;
        no more than ``ref.length`` bytes are read to find that out.
        """
        with self._guard(), transfer_time(ref.length):
            file = self._files.find_one({"_id": ref.file_id})
            data = b"" if file is None else self._read(file, ref.length)
        if file is None:
            raise NotFound(f"file {ref.file_id} is not in the store any more")
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise CorruptBlob(
                f"file {ref.file_id} in the store does not match its SHA-256 {ref.sha256[:12]}..."
            )
        return data

    def _read(self, file: Mapping[str, Any], length: int) -> bytes:
        """Return the bytes of a file, fewer where chunks are lost; none if it has another length.

        Not by GridFS, which gives up where it finds more chunks than it expects: whoever may upload
        may add chunks to any file, and none of those that it has.
        """
        size = file.get("chunkSize")
        if file.get("length") != length or not isinstance(size, int) or size < 1:
            return b""
        within = {"$gte": 0, "$lt": -(-length // size), "$type": ["int", "long"]}
        chunks = self._chunks.find({"files_id": file["_id"], "n": within}).sort("n", ASCENDING)
        data = bytearray()
        for chunk in chunks:
            if isinstance(chunk["n"], list):  # of numbers, each of which is looked at by itself
                continue
            if not isinstance(chunk.get("data"), bytes) or len(data) >= length:
                break
            data += chunk["data"]
        return bytes(data)

    def delete(self, file_id: Any) -> None:
        """Delete a file and every trace of its upload, whole or broken off."""
        with self._guard():
            with contextlib.suppress(NoFile):  # raised once the chunks are gone, where it broke off
                self._bucket.delete(file_id)
            self._uploads.delete_one({"_id": file_id})

    def uploads_older_than(self, seconds: float) -> list[Any]:
        """Return the ids of uploads begun that long ago by the server's clock."""
        # A worker may have written anything, and the server may compute before it looks at types.
        known = {"input": "$started", "to": "date", "onError": None, "onNull": None}
        age = {"$subtract": ["$$NOW", {"$convert": known}]}
        old = {
            "_id": {"$type": "objectId"},
            "$expr": {"$gte": [age, round(seconds * 1000)]},
        }
        with self._guard():
            found = self._uploads.find(old)
            return [upload["_id"] for upload in found]
