"""A result as it lies in the outbox."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

import bson
import bson.errors

from hyperhive.store.encoding import LARGEST_RESULT, encoded
from hyperhive.store.trials.batches import ShortResult
from hyperhive.worker.objectives.saving import SavedFile

LARGEST_OF_A_BATCH = 16 << 10
"""Bytes of BSON. A batch of results is one request and one file."""


@dataclass(frozen=True)
class Entry:
    """One result to deliver: the claim it belongs to, the result as JSON, and weights or None.

    ``store`` is the identity of the store that the trial is in, ``files`` what the trial saved.
    """

    trial_id: Any
    token: str
    result: Mapping[str, Any]
    weights: bytes | None
    store: str | None
    files: Sequence[SavedFile] = ()

    def encode(self) -> bytes:
        """Return the entry as BSON, for one file.

        Raises ``Unstorable`` for a result that the store could not hold.
        """
        encoded("the result", self.result, LARGEST_RESULT)
        document = dict(vars(self))
        files = [vars(each) for each in document.pop("files")]
        if files:  # workers of earlier versions can deliver an entry without them
            document["files"] = files
        return encoded("what the objective returned", document, sys.maxsize)

    @classmethod
    def decode(cls, data: bytes) -> Entry:
        """Return the entry that ``encode`` wrote; raises ``ValueError`` for anything else."""
        try:
            return cls._of(bson.decode(data))
        except bson.errors.BSONError as error:
            raise ValueError(str(error)) from error

    @property
    def is_short(self) -> bool:
        """Whether it may be delivered with others: a small result, without weights and files."""
        return not self.has_files and len(self.encode()) <= LARGEST_OF_A_BATCH

    @property
    def has_files(self) -> bool:
        """Whether it has weights, or files that its trial saved."""
        return self.weights is not None or bool(self.files)

    @property
    def short(self) -> ShortResult:
        """The result as ``TrialQueue.finish_batch`` takes it."""
        return ShortResult(self.trial_id, self.token, self.result)

    @classmethod
    def _of(cls, document: dict[str, Any]) -> Entry:
        try:
            saved = tuple(map(SavedFile.from_document, document.pop("files", ())))
            entry = cls(**document, files=saved)
        except TypeError as error:
            raise ValueError(str(error)) from error
        if not (
            isinstance(entry.trial_id, (bson.ObjectId, str))  # a mapping would be a query
            and isinstance(entry.token, str)
            and isinstance(entry.result, Mapping)
            and (entry.weights is None or isinstance(entry.weights, bytes))
        ):
            raise ValueError("a value in it has the wrong type")
        return entry


def encode_batch(entries: Sequence[Entry]) -> bytes:
    """Return the entries of a batch as BSON, for one file."""
    return b"".join(entry.encode() for entry in entries)


def decode_batch(data: bytes) -> list[Entry]:
    """Return the entries that ``encode_batch`` wrote; raises ``ValueError`` for anything else."""
    try:
        return [Entry._of(document) for document in bson.decode_all(data)]
    except bson.errors.BSONError as error:
        raise ValueError(str(error)) from error
