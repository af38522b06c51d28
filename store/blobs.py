"""Bytes in GridFS: weights, artifacts and data sets, each with the hash that it is checked against.

A file's chunks are written first and its document last, so a writer that dies in between leaves
chunks behind. Therefore each try of an upload gets an id of its own and first writes a marker with
the server's time, and ``Store.collect_orphans`` later deletes files that nothing refers to. The
marker is deleted with the file and not before, so no crash leaves bytes behind forever. An upload
that takes long renews its marker.

PyMongo's own GridFS is not used: it holds 32 MB of an upload in memory, sends them as one message,
and has no moment between two messages at which a marker could be renewed.
https://github.com/mongodb/specifications/blob/master/source/gridfs/gridfs-spec.md has the format.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, BinaryIO, Iterable, Iterator, Mapping, Sequence

from bson import Int64, ObjectId
from pymongo import ASCENDING
from pymongo.errors import BulkWriteError

from hyperhive.store.errors import CorruptBlob, NotFound, StoreUnavailable
from hyperhive.store.server.client import HAS_TIME_LIMITS, Guard, transfer_time

_CHUNK = 255 * 1024
"""Bytes; GridFS's usual size."""
_AT_ONCE = 4
"""Chunks that are read in one request: a megabyte."""
_IN_A_MESSAGE = _AT_ONCE if HAS_TIME_LIMITS else 1
"""Chunks that are sent in one. ``transfer_time`` gives a megabyte 40 seconds; where PyMongo has no
such limits, a message has 10, in which a link of 26 kB/s carries one chunk."""
_TRIES = 3
_IS_THERE = 11000
"""The server's code of a duplicate key."""
_RENEW_EVERY_S = 60.0
_RENEWED: list[dict[str, Any]] = [{"$set": {"renewed": "$$NOW"}}]


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


def referred_to(collection: Any, paths: Iterable[str], file_ids: Iterable[Any]) -> set[Any]:
    """Return those of these files that documents of a collection refer to, at one of some paths.

    That is one request for each path, whatever the number of files.
    """
    asked = {"$in": list(file_ids)}
    found: set[Any] = set()
    for path in paths:
        # Only what was asked for is returned: a worker may have written anything beside it.
        one_by_one = [{"$project": {"_id": "$" + path}}, {"$unwind": "$_id"}]
        stages = [{"$match": {path: asked}}, *one_by_one, {"$match": {"_id": asked}}]
        given = [
            each["_id"] for each in collection.aggregate([*stages, {"$group": {"_id": "$_id"}}])
        ]
        found.update(each for each in given if isinstance(each, ObjectId))  # not a list with one
    return found


class Blobs:
    """The GridFS bucket of a database."""

    def __init__(self, database: Any, guard: Guard) -> None:
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
        return self.put_file(io.BytesIO(data), name, hashlib.sha256(data).hexdigest(), len(data))

    def put_file(
        self,
        source: BinaryIO,
        name: str,
        sha256: str,
        length: int,
        beside: Sequence[BlobRef] = (),
    ) -> BlobRef:
        """Upload a file as it is read, under a new id; return the reference to store.

        Args:
            source: the open file.
            name: for people.
            sha256: of the file, in hexadecimal.
            length: of the file, in bytes.
            beside: uploads to which nothing refers yet; their markers are renewed too.

        Raises ``CorruptBlob`` if the file does not match ``sha256`` and ``length``, and
        ``StoreUnavailable`` also if this process slept for so long that an upload was collected.
        """
        ref = BlobRef(ObjectId(), sha256, length)
        uploads = [ref, *beside]
        with self._guard():
            self._uploads.update_one({"_id": ref.file_id}, _RENEWED, upsert=True)
        self._send(ref, source, name, uploads)
        file = {"_id": ref.file_id, "filename": name, "chunkSize": _CHUNK, "length": Int64(length)}
        with self._guard():
            self._files.insert_one({**file, "uploadDate": datetime.now(timezone.utc)})
        self._renew(uploads, name)
        return ref

    def _send(self, ref: BlobRef, source: BinaryIO, name: str, uploads: Sequence[BlobRef]) -> None:
        """Upload the chunks of a file, and check what was sent."""
        digest, length, number, renewed_at = hashlib.sha256(), 0, 0, time.monotonic()
        for piece in iter(lambda: source.read(_AT_ONCE * _CHUNK), b""):
            if time.monotonic() - renewed_at > _RENEW_EVERY_S:
                self._renew(uploads, name)
                renewed_at = time.monotonic()
            parts = [piece[at : at + _CHUNK] for at in range(0, len(piece), _CHUNK)]
            chunks = [
                {"files_id": ref.file_id, "n": number + n, "data": part}
                for n, part in enumerate(parts)
            ]
            for first in range(0, len(chunks), _IN_A_MESSAGE):
                self._insert(chunks[first : first + _IN_A_MESSAGE])
            digest.update(piece)
            length, number = length + len(piece), number + len(parts)
        if (digest.hexdigest(), length) != (ref.sha256, ref.length):
            raise CorruptBlob(f"{name} was damaged on this device: it does not match its SHA-256")

    def _insert(self, chunks: list[dict[str, Any]]) -> None:
        """Send chunks in one message, again if there is no answer: those that arrived stay."""
        for tries_left in reversed(range(_TRIES)):
            try:
                with self._guard(), transfer_time(len(chunks) * _CHUNK), _there_or_inserted():
                    self._chunks.insert_many(chunks, ordered=False)
                return
            except StoreUnavailable:
                if not tries_left:
                    raise

    def keep(self, uploads: Iterable[BlobRef]) -> bool:
        """Renew the markers of uploads; return False if one of them has been collected."""
        ids = [each.file_id for each in uploads]
        with self._guard():
            renewed = self._uploads.update_many({"_id": {"$in": ids}}, _RENEWED)
        return bool(renewed.matched_count == len(ids))

    def _renew(self, uploads: Sequence[BlobRef], name: str) -> None:
        if not self.keep(uploads):
            raise StoreUnavailable(
                f"the upload of {name} was interrupted for so long that its beginning was deleted: "
                "it has to be repeated"
            )

    def get(self, ref: BlobRef) -> bytes:
        """Download bytes and check them: see ``download``."""
        data = io.BytesIO()
        self.download(ref, data)
        return data.getvalue()

    def download(self, ref: BlobRef, target: BinaryIO) -> None:
        """Write the bytes of a file into ``target`` as they come, and check them at the end.

        Raises ``NotFound`` if they were deleted, ``CorruptBlob`` if they do not match ``ref``, and
        what ``target`` raises; at most ``ref.length`` bytes are written, whatever is stored.
        """
        digest = hashlib.sha256()
        for data in self._read(self._file(ref), ref.length):
            digest.update(data)
            target.write(data)
        if digest.hexdigest() != ref.sha256:
            self._file(ref)  # it may have been deleted meanwhile
            raise CorruptBlob(
                f"file {ref.file_id} in the store does not match its SHA-256 {ref.sha256[:12]}..."
            )

    def _file(self, ref: BlobRef) -> Mapping[str, Any]:
        """Return the document of a file. Raises ``NotFound``."""
        with self._guard():
            file: Mapping[str, Any] | None = self._files.find_one({"_id": ref.file_id})
        if file is None:
            raise NotFound(f"file {ref.file_id} is no longer in the store")
        return file

    def _read(self, file: Mapping[str, Any], length: int) -> Iterator[bytes]:
        """Yield the bytes of a file: fewer if chunks are lost, none if it has another length.

        GridFS's own reader fails if it finds more chunks than it expects, and any login that may
        upload may add chunks to any file. This one ignores chunks that do not belong to it.
        """
        size, left = file.get("chunkSize"), length
        if file.get("length") != length or not isinstance(size, int) or size < 1:
            return
        count = -(-length // size)
        for first in range(0, count, _AT_ONCE):
            within = {"$gte": first, "$lt": min(first + _AT_ONCE, count), "$type": ["int", "long"]}
            which = {"files_id": file["_id"], "n": within}
            with self._guard(), transfer_time(_AT_ONCE * size):
                chunks = list(self._chunks.find(which).sort("n", ASCENDING))
            # The condition matches a list by any of its members.
            parts = [chunk.get("data") for chunk in chunks if not isinstance(chunk["n"], list)]
            for data in parts:
                if not isinstance(data, bytes) or len(data) > left:
                    return
                left -= len(data)
                yield data
            if not parts:
                return

    def delete(self, file_id: Any) -> None:
        """Delete a file and every trace of its upload, even if the upload was interrupted."""
        with self._guard():
            self._files.delete_one({"_id": file_id})
            self._chunks.delete_many({"files_id": file_id})
            self._uploads.delete_one({"_id": file_id})

    def uploads_older_than(self, seconds: float) -> list[Any]:
        """Return the ids of uploads whose markers are at least this old, by the server's clock."""
        # Workers of earlier versions write "started". Their coordinators do not see "renewed", and
        # must not: they do not know that trials refer to artifacts.
        written = {"$ifNull": ["$renewed", "$started"]}
        # A worker may have written anything, and the server may compute before it checks types.
        known = {"input": written, "to": "date", "onError": None, "onNull": None}
        age = {"$subtract": ["$$NOW", {"$convert": known}]}
        old = {
            "_id": {"$type": "objectId"},
            "$expr": {"$gte": [age, round(seconds * 1000)]},
        }
        with self._guard():
            return [upload["_id"] for upload in self._uploads.find(old)]


@contextlib.contextmanager
def _there_or_inserted() -> Iterator[None]:
    """Pass over the error for chunks that are there: the reply to an earlier try was lost."""
    try:
        yield
    except BulkWriteError as error:
        if {each["code"] for each in error.details["writeErrors"]} != {_IS_THERE}:
            raise
