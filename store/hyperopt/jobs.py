"""hyperopt's ``MongoJobs`` on today's PyMongo: its jobs in our store, with our leases and errors.

A job that is inserted here also gets the fields of our own trials, so a worker of ours can hold it
by a lease and try it again. Nothing here unpickles anything.
"""

from __future__ import annotations

import contextlib
import copy
import uuid
import weakref
from typing import Any, Dict, Iterator, Mapping

import gridfs
from hyperopt import mongoexp
from hyperopt.base import (
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_NEW,
    JOB_STATE_RUNNING,
)
from hyperopt.mongoexp import OperationFailure
from pymongo import ASCENDING, ReturnDocument

from hyperhive.common.text import storable
from hyperhive.store.errors import LoginRefused, LoginRevoked, NotAllowed
from hyperhive.store.hyperopt.address import standard_uri
from hyperhive.store.hyperopt.attachments import JobAttachments
from hyperhive.store.hyperopt.leases import LeaseKeeper
from hyperhive.store.server.address import address as address_of
from hyperhive.store.server.embedded import running_uri
from hyperhive.store.server.login import saved, with_ca_file
from hyperhive.store.store import Store
from hyperhive.store.trials.job_schema import CAN_LIVE
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import (
    LEASE_IS_OVER,
    LONGEST_MESSAGE,
    claimed_by,
    new_life,
    new_token,
    up_for_claiming,
)

_Document = Dict[str, Any]
NOT_A_STUDYS: _Document = {"misc.cmd.0": {"$ne": "objective"}}
"""The condition of hyperopt's jobs: hyperopt's API never sees the trials of our own studies."""


_OPEN: weakref.WeakValueDictionary[str, MongoJobs] = weakref.WeakValueDictionary()
"""The connections of this process by their keys: copies of a ``MongoTrials`` share one."""


class MongoJobs(mongoexp.MongoJobs):
    """The jobs of a database, as hyperopt's workers and ``MongoTrials`` use them.

    Raises ``StoreError`` if the server is away or refuses, and hyperopt's own ``OperationFailure``
    if a job is not as the caller last saw it.
    """

    def __init__(self, store: Store, gfs_coll: str = "fs", config_name: str = "spec") -> None:
        gfs = gridfs.GridFS(store.database, collection=gfs_coll)
        super().__init__(
            store.database, store.database["jobs"], gfs, store.client, None, config_name
        )
        self.store = store
        self._leases = LeaseKeeper(store.queue)
        self._attachments = JobAttachments(self)
        self._has_indexes = False
        self.key = uuid.uuid4().hex
        _OPEN[self.key] = self

    @classmethod
    def new_from_connection_str(
        cls, conn_str: str, gfs_coll: str = "fs", config_name: str = "spec"
    ) -> MongoJobs:
        """Connect; raises ``StoreError`` at once if the server is away or refuses the login."""
        store = Store(with_ca_file(standard_uri(conn_str)))
        try:
            store.ping()
        except BaseException:
            store.close()
            raise
        return cls(store, gfs_coll, config_name)

    @classmethod
    def reopened(cls, key: str, address: str) -> MongoJobs:
        """Return this process's connection of a key, or a new one to the same database.

        A pickle holds no login. So this takes the saved login, or that of this machine's private
        server, whichever is for this database, else none. Raises ``StoreError``.
        """
        known = _OPEN.get(key)
        if known is not None:
            return known
        uris = [uri for uri in (saved(), running_uri()) if uri is not None]
        uri = next((uri for uri in uris if address_of(uri) == address), f"mongodb://{address}")
        try:
            return cls.new_from_connection_str(uri)
        except LoginRevoked:
            raise
        except LoginRefused as error:
            raise LoginRefused(
                f"these trials came out of a file, which holds no login for MongoDB at {address}: "
                "make them anew with MongoTrials(ADDRESS, exp_key), where all of them are"
            ) from error

    def create_indexes(self) -> None:
        """Make the indexes that the queries need: see ``Store.ensure_indexes``."""
        if self._has_indexes:
            return
        self.store.ensure_indexes()
        with contextlib.suppress(NotAllowed):
            self.store.ensure_hyperopt_indexes()
        self._has_indexes = True

    # -- reading --------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[_Document]:
        with self.store.guard():
            yield from self.jobs.find()

    def __len__(self) -> int:
        with self.store.guard():
            return int(self.jobs.count_documents({}))

    def get(self, job_id: Any) -> _Document:
        """Return a job by its ``_id``; raises ``OperationFailure`` if it was deleted."""
        with self.store.guard():
            job: _Document | None = self.jobs.find_one({"_id": job_id})
        if job is None:
            raise OperationFailure("the job was deleted")
        return job

    def jobs_complete(self, cursor: bool = False) -> Any:
        """Return the jobs that have a result."""
        return self._find({"state": JOB_STATE_DONE}, cursor)

    def jobs_error(self, cursor: bool = False) -> Any:
        """Return the jobs that ended without a result."""
        return self._find({"state": JOB_STATE_ERROR}, cursor)

    def jobs_running(self, cursor: bool = False) -> Any:
        """Return the jobs that a worker holds, or held when it vanished."""
        return self._find({"state": JOB_STATE_RUNNING}, cursor)

    def jobs_dead(self, cursor: bool = False) -> Any:
        """Return the running jobs whose lease is over."""
        return self._find(LEASE_IS_OVER, cursor)

    def jobs_queued(self, cursor: bool = False) -> Any:
        """Return the jobs that wait for a worker."""
        return self._find({"state": JOB_STATE_NEW}, cursor)

    def _find(self, which: _Document, cursor: bool) -> Any:
        with self.store.guard():
            documents = self.jobs.find(which)
            return documents if cursor else list(documents)

    # -- a job's life ---------------------------------------------------------------------------

    def insert(self, job: Mapping[str, Any]) -> _Document:
        """Insert a job; return it as it was stored, with its ``_id``."""
        stored = {"version": 0, "config": {}, **new_life(), **copy.deepcopy(dict(job))}
        with self.store.guard():
            self.jobs.insert_one(stored)
        return stored

    def reserve(
        self, host_id: Any, cond: Mapping[str, Any] | None = None, exp_key: str | None = None
    ) -> _Document | None:
        """Take the oldest job that waits, or whose lease is over; None if there is none.

        This process renews the lease until the job is updated to another state. When the process
        dies, another one may reserve the job.
        """
        condition = dict(cond or {})
        if condition.pop("owner", None) is not None:
            raise ValueError("only a job that nobody owns can be reserved")
        if exp_key is not None:
            condition["exp_key"] = exp_key
        hyperopts = {"misc.cmd": {"$type": "string"}, **NOT_A_STUDYS}
        changes = claimed_by(host_id, new_token(), self._leases.lease)
        with self.store.guard():
            job: _Document | None = self.jobs.find_one_and_update(
                {"$and": [condition, hyperopts, up_for_claiming(host_id), CAN_LIVE]},
                [{"$set": changes}],
                sort=[("_id", ASCENDING)],
                return_document=ReturnDocument.AFTER,
            )
        if job is not None:
            self._leases.keep(Trial.from_document(job))
        return job

    def let_go(self, job: Mapping[str, Any]) -> None:
        """Stop renewing a reserved job's lease; an update that ends the job does this too."""
        self._leases.drop(job["_id"])

    def refresh(self, doc: _Document) -> None:
        """Set the job's ``refresh_time`` to now."""
        self.update(doc, {})

    def update(
        self,
        doc: _Document,
        dct: Mapping[str, Any],
        collection: Any = None,
        do_sanity_checks: bool = True,
    ) -> _Document:
        """Change a job in the store and in ``doc``; its ``refresh_time`` becomes the server's time.

        Raises ``OperationFailure`` if the job was changed or deleted since ``doc`` was read, unless
        ``do_sanity_checks`` is false; ``ValueError`` for an update that cannot be.
        """
        changes = _changes_of(doc, dct)
        which = {name: doc[name] for name in ("_id", "version") if name in doc}
        jobs = self.jobs if collection is None else collection
        with self.store.guard():
            updated = jobs.find_one_and_update(
                which,
                {"$set": changes, "$currentDate": {"refresh_time": True}},
                projection={"refresh_time": 1},
                return_document=ReturnDocument.AFTER,
            )
        if updated is None and do_sanity_checks:
            raise OperationFailure("the job was changed or deleted by somebody else")
        if changes.get("state", JOB_STATE_RUNNING) != JOB_STATE_RUNNING:
            self.let_go(doc)
        doc.update(changes, **(updated or {}))
        return doc

    def delete(self, job: Mapping[str, Any]) -> None:
        """Delete a job, or all of hyperopt's jobs that match."""
        which = {"_id": job["_id"]} if "_id" in job else {"$and": [dict(job), NOT_A_STUDYS]}
        with self.store.guard():
            self.jobs.delete_many(which)

    def delete_all(self, cond: Mapping[str, Any] | None = None) -> None:
        """Delete all of hyperopt's jobs that match, and their attachments.

        The trials of our own studies stay: ``hyperhive study delete`` deletes them.
        """
        which = {"$and": [dict(cond or {}), NOT_A_STUDYS]}
        with self.store.guard():
            attached = {**which, "_attachments": {"$exists": True}}
            for job in self.jobs.find(attached, {"_attachments": 1}):
                for _, file_id in job["_attachments"]:
                    self.gfs.delete(file_id)  # deleting a missing file is not an error
            self.jobs.delete_many(which)

    # -- attachments of a job -------------------------------------------------------------------

    def set_attachment(self, doc: _Document, blob: Any, name: str, collection: Any = None) -> None:
        """Attach bytes, or text as UTF-8, to a job; an attachment of this name is replaced."""
        self._attachments.put(doc, name, blob, collection)

    def get_attachment(self, doc: Mapping[str, Any], name: str) -> bytes:
        """Return an attachment's bytes; raises ``OperationFailure`` if the job does not have it."""
        return self._attachments.get(doc, name)

    def delete_attachment(self, doc: _Document, name: str, collection: Any = None) -> None:
        """Delete an attachment; raises ``OperationFailure`` if the job does not have it."""
        self._attachments.delete(doc, name, collection)


def _changes_of(doc: Mapping[str, Any], wanted: Mapping[str, Any]) -> _Document:
    """Return what an update of a job writes; raises ``ValueError`` for what cannot be updated."""
    if "_id" not in doc:
        raise ValueError('only a job with an "_id" can be updated')
    changes = copy.deepcopy(dict(wanted))
    if changes.pop("_id", doc["_id"]) != doc["_id"]:
        raise ValueError('the "_id" of a job cannot be updated')
    changes.pop("refresh_time", None)
    if isinstance(changes.get("error"), (list, tuple)):  # its type and its text, by hyperopt
        changes["error"] = [storable(str(part), LONGEST_MESSAGE) for part in changes["error"]]
    if changes.get("state") == JOB_STATE_NEW:  # it is to be run again, with all its attempts
        changes.update(attempts=0, token=None, lease_until=None, not_before=None, winner=None)
    changes["version"] = doc.get("version", 0) + 1
    return changes
