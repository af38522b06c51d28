"""Attachments of experiments and of jobs, in GridFS as hyperopt lays them out."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping

from gridfs.errors import NoFile
from hyperopt.mongoexp import OperationFailure
from pymongo import DESCENDING

from hyperhive.store.encoding import why
from hyperhive.store.errors import NotAllowed, Unstorable
from hyperhive.store.server.client import transfer_time

if TYPE_CHECKING:
    from hyperhive.store.hyperopt.jobs import MongoJobs

log = logging.getLogger(__name__)

LARGE = 16 << 20
"""An attachment of this many bytes or more is warned about."""

_Document = Dict[str, Any]


class ExperimentAttachments:
    """The attachments of an experiment by name, as a mapping of bytes; text may be assigned too.

    Assigning anything else raises ``Unstorable``.

    Args:
        jobs: the database they are in.
        which: the experiment, as a condition on GridFS files; empty for all of hyperopt's.
    """

    def __init__(self, jobs: MongoJobs, which: Mapping[str, Any]) -> None:
        self._gfs = jobs.gfs
        self._guard = jobs.store.guard
        # hyperopt stores an encoding with these; weights, data sets and jobs' files have none.
        self._which = {**which, "encoding": {"$exists": True}}
        self._fields = dict(which)

    def __iter__(self) -> Iterator[str]:
        with self._guard():
            return iter(sorted({file.filename for file in self._gfs.find(self._which)}))

    def __contains__(self, name: str) -> bool:
        return self.newest(name) is not None

    def __getitem__(self, name: str) -> bytes:
        file = self.newest(name)
        if file is None:
            raise KeyError(name)
        with self._guard(), transfer_time(file.length):
            return bytes(file.read())

    def __setitem__(self, name: str, value: str | bytes) -> None:
        data = as_bytes(name, value)
        _warn_of_many(name, data)
        with self._guard():
            # Only what exists now: another fmin may be storing its own attachment meanwhile.
            replaced = [file._id for file in self._gfs.find({"filename": name, **self._which})]
        with self._guard(), transfer_time(len(data)):
            self._gfs.put(data, filename=name, encoding="utf-8", **self._fields)
        self._delete({"_id": {"$in": replaced}})

    def __delitem__(self, name: str) -> None:
        if self.newest(name) is None:
            raise KeyError(name)
        self._delete({"filename": name})

    def clear(self) -> None:
        """Delete all attachments of the experiment."""
        self._delete({})

    def newest(self, name: str) -> Any:
        """Return the file of this name, the newest while it is being replaced; None if none."""
        with self._guard():
            files = self._gfs.find({"filename": name, **self._which})
            return next(iter(files.sort("uploadDate", DESCENDING).limit(-1)), None)

    def _delete(self, which: Mapping[str, Any]) -> None:
        with self._guard():
            for file in self._gfs.find({**which, **self._which}):
                self._gfs.delete(file._id)


class JobAttachments:
    """The attachments of single jobs: a job lists their names and files in ``_attachments``.

    ``collection`` is the one that holds the job; None is ``jobs``.
    """

    def __init__(self, jobs: MongoJobs) -> None:
        self._jobs = jobs
        self._gfs = jobs.gfs
        self._guard = jobs.store.guard

    def put(self, job: _Document, name: str, value: str | bytes, collection: Any) -> None:
        """Attach bytes, or text as UTF-8; an attachment of this name is replaced.

        Raises ``Unstorable`` for anything else.
        """
        data = as_bytes(name, value)
        _warn_of_many(name, data)
        before = _attached_to(job)
        with self._guard(), transfer_time(len(data)):
            file_id = self._gfs.put(data, filename=f"{job['_id']}_{name}")
        others = [entry for entry in before if entry[0] != name]
        self._jobs.update(job, {"_attachments": [*others, [name, file_id]]}, collection)
        self._delete_files([entry[1] for entry in before if entry[0] == name])

    def get(self, job: Mapping[str, Any], name: str) -> bytes:
        """Return an attachment's bytes; raises ``OperationFailure`` if the job does not have it."""
        for attached, file_id in _attached_to(job):
            if attached == name:
                return self._read(file_id)
        raise OperationFailure(f"the job has no attachment {name!r}")

    def delete(self, job: _Document, name: str, collection: Any) -> None:
        """Delete an attachment; raises ``OperationFailure`` if the job does not have it."""
        before = _attached_to(job)
        files = [entry[1] for entry in before if entry[0] == name]
        if not files:
            raise OperationFailure(f"the job has no attachment {name!r}")
        others = [entry for entry in before if entry[0] != name]
        self._jobs.update(job, {"_attachments": others}, collection)
        self._delete_files(files)

    def _read(self, file_id: Any) -> bytes:
        try:
            with self._guard():
                file = self._gfs.get(file_id)
            with self._guard(), transfer_time(file.length):
                return bytes(file.read())
        except NoFile as error:
            raise OperationFailure("the attachment's file was deleted") from error

    def _delete_files(self, files: list[Any]) -> None:
        # A worker's login may not delete: the files it replaced stay, and nothing refers to them.
        with contextlib.suppress(NotAllowed), self._guard():
            for file_id in files:
                self._gfs.delete(file_id)


def _attached_to(job: Mapping[str, Any]) -> list[Any]:
    return list(job.get("_attachments") or [])


def as_bytes(name: Any, value: Any) -> bytes:
    """Return the bytes of an attachment: bytes as they are, text as UTF-8, a file's content.

    Raises ``Unstorable`` for a name that is no text, and for any other value.
    """
    if not isinstance(name, str):
        raise Unstorable(f"the name of an attachment must be text, not {name!r:.80}")
    data = value.read() if hasattr(value, "read") else value  # hyperopt, too, takes open files
    try:
        data = data.encode("utf-8") if isinstance(data, str) else data
    except UnicodeEncodeError as error:
        raise Unstorable(f"the attachment {name!r:.80} cannot be stored: {why(error)}") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise Unstorable(
            f"the attachment {name!r:.80} must be bytes or text, not {type(value).__name__}: "
            "pickle.dumps makes bytes of anything"
        )
    return bytes(data)


def _warn_of_many(name: str, data: bytes) -> None:
    if len(data) >= LARGE:
        log.warning(
            "attachment %s has %.0f MB, and each worker fetches and unpickles it: keep data sets "
            "out of the objective and publish them in the store, as docs/hyperopt.md shows",
            name,
            len(data) / 1e6,
        )
