"""hyperopt's ``MongoJobs`` on today's PyMongo: its jobs in our store, with our leases and errors.

A job that goes in here gets the fields of our own trials besides hyperopt's, so that a worker of
ours can hold it by a lease and try it again. Nothing in here unpickles anything.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping

import gridfs
from gridfs.errors import NoFile
from hyperopt import mongoexp
from hyperopt.base import (
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_NEW,
    JOB_STATE_RUNNING,
)
from hyperopt.mongoexp import OperationFailure
from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import InvalidOperation

from hyperhive.store.errors import BadAddress, LeaseLost, NotAllowed, StoreError
from hyperhive.store.job_schema import CAN_LIVE
from hyperhive.store.queue import DEFAULT_LEASE_S, TrialQueue, new_token
from hyperhive.store.server.login import with_ca_file
from hyperhive.store.server.mongo import transfer_time
from hyperhive.store.store import Store
from hyperhive.store.trial import Trial
from hyperhive.store.updates import LEASE_IS_OVER, claimed_by, new_life, up_for_claiming

log = logging.getLogger(__name__)

LARGE = 16 << 20
"""From this size on, in bytes, an attachment is worth a word."""

_Document = Dict[str, Any]
NOT_A_STUDYS: _Document = {"misc.cmd.0": {"$ne": "objective"}}
"""What is a job of hyperopt's: the trials of our own studies are none of its business."""


def standard_uri(uri: str) -> str:
    """Return the standard MongoDB URI for any that ``MongoTrials`` takes.

    hyperopt's own ``mongo://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE/jobs`` is rewritten as hyperopt
    reads it: USER and PASSWORD are taken literally, a missing PASSWORD is in ``~/.hyperopt``, and
    the user ``hyperopt`` is of the database ``admin``. Raises ``BadAddress``.
    """
    scheme, _, rest = uri.partition("://")
    if scheme in ("mongodb", "mongodb+srv"):
        return uri
    if scheme in ("mongo+ssh", "ssh+mongo"):
        raise BadAddress(
            "open the tunnel yourself (ssh -L 27017:localhost:27017 HOST), then use it"
        )
    where, _, path = rest.partition("/")
    login, _, host = where.rpartition("@")
    path, _, options = path.partition("?")
    database, _, collection = path.partition("/")
    if scheme != "mongo" or not database or collection != "jobs":
        raise BadAddress(
            "the MongoDB address must look like mongodb://USER:PASSWORD@HOST:27017/DATABASE, or "
            "as hyperopt writes it: mongo://HOST:27017/DATABASE/jobs"
        )
    if login:
        user, _, password = login.partition(":")
        quoted = [urllib.parse.quote(part, safe="") for part in (user, password or _password())]
        host = "{}@{}".format(":".join(quoted), host)
        if user == "hyperopt" and "authsource=" not in options.lower():
            options = "&".join(filter(None, (options, "authSource=admin")))
    return "mongodb://{}/{}{}".format(host, database, "?" + options if options else "")


def _password() -> str:
    try:
        return (Path.home() / ".hyperopt").read_text().rstrip("\n")
    except OSError as error:
        raise BadAddress(
            "the MongoDB address has a user and no password, and ~/.hyperopt cannot be read"
        ) from error


class MongoJobs(mongoexp.MongoJobs):
    """The jobs of a database, as hyperopt's workers and ``MongoTrials`` use them.

    Raises ``StoreError`` for what goes wrong between us and the server, and hyperopt's own
    ``OperationFailure`` for a job that is not what the caller holds it for.
    """

    def __init__(self, store: Store, gfs_coll: str = "fs", config_name: str = "spec") -> None:
        gfs = gridfs.GridFS(store.database, collection=gfs_coll)
        super().__init__(
            store.database, store.database["jobs"], gfs, store.client, None, config_name
        )
        self.store = store
        self._leases = _Leases(store.queue)
        self._has_indexes = False

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

    def create_indexes(self) -> None:
        """Make what hyperopt's queries and ours need; who may not (a worker, say) finds it made."""
        if self._has_indexes:
            return
        self.store.ensure_indexes()
        with contextlib.suppress(NotAllowed):
            self.store.ensure_hyperopt_indexes()
        self._has_indexes = True

    # -- what is there --------------------------------------------------------------------------

    def __iter__(self) -> Iterator[_Document]:
        with self.store.guard():
            yield from self.jobs.find()

    def __len__(self) -> int:
        with self.store.guard():
            return int(self.jobs.count_documents({}))

    def get(self, job_id: Any) -> _Document:
        """Return a job by its ``_id``; raises ``OperationFailure`` if it is gone."""
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
            found = self.jobs.find(which)
            return found if cursor else list(found)

    # -- a job's life ---------------------------------------------------------------------------

    def insert(self, job: Mapping[str, Any]) -> _Document:
        """Insert a job; return it as it is stored, with its ``_id``."""
        stored = {"version": 0, "config": {}, **new_life(), **copy.deepcopy(dict(job))}
        with self.store.guard():
            self.jobs.insert_one(stored)
        return stored

    def reserve(
        self, host_id: Any, cond: Mapping[str, Any] | None = None, exp_key: str | None = None
    ) -> _Document | None:
        """Take the oldest job that waits, or whose lease is over; None if there is none.

        The lease is kept by this process, until the job is updated to another state: when the
        process dies, another one may reserve the job.
        """
        asked = dict(cond or {})
        if asked.pop("owner", None) is not None:
            raise ValueError("only a job that nobody owns can be reserved")
        if exp_key is not None:
            asked["exp_key"] = exp_key
        hyperopts = {"misc.cmd": {"$type": "string"}, **NOT_A_STUDYS}
        claimed = claimed_by(host_id, new_token(), DEFAULT_LEASE_S)
        with self.store.guard():
            job: _Document | None = self.jobs.find_one_and_update(
                {"$and": [asked, hyperopts, up_for_claiming(host_id), CAN_LIVE]},
                [{"$set": claimed}],
                sort=[("_id", ASCENDING)],
                return_document=ReturnDocument.AFTER,
            )
        if job is not None:
            self._leases.keep(Trial.from_document(job))
        return job

    def let_go(self, job: Mapping[str, Any]) -> None:
        """Keep a reserved job's lease no longer; an update that ends the job does this too."""
        self._leases.drop(job["_id"])

    def refresh(self, doc: _Document) -> None:
        """Say that the job is alive."""
        self.update(doc, {})

    def update(
        self,
        doc: _Document,
        dct: Mapping[str, Any],
        collection: Any = None,
        do_sanity_checks: bool = True,
    ) -> _Document:
        """Change a job in the store and in ``doc``, unless somebody else changed it meanwhile.

        Raises ``OperationFailure`` if somebody did, or if it is gone. ``refresh_time`` becomes now,
        by the server's clock.
        """
        if "_id" not in doc:
            raise ValueError('only a job with an "_id" can be updated')
        changes = copy.deepcopy(dict(dct))
        if changes.pop("_id", doc["_id"]) != doc["_id"]:
            raise ValueError('the "_id" of a job cannot be updated')
        changes.pop("refresh_time", None)
        if changes.get("state") == JOB_STATE_NEW:  # it is to be run again, with all its attempts
            changes.update(attempts=0, token=None, lease_until=None, not_before=None, winner=None)
        changes["version"] = doc.get("version", 0) + 1
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
        """Delete a job, or all of hyperopt's that match."""
        which = {"_id": job["_id"]} if "_id" in job else {"$and": [dict(job), NOT_A_STUDYS]}
        with self.store.guard():
            self.jobs.delete_many(which)

    def delete_all(self, cond: Mapping[str, Any] | None = None) -> None:
        """Delete all of hyperopt's jobs that match, and their attachments.

        The trials of our own studies stay: ``hyperhive study delete`` deletes those.
        """
        which = {"$and": [dict(cond or {}), NOT_A_STUDYS]}
        with self.store.guard():
            attached = {**which, "_attachments": {"$exists": True}}
            for job in self.jobs.find(attached, {"_attachments": 1}):
                for _, file_id in job["_attachments"]:
                    self.gfs.delete(file_id)  # one that is gone already is no error
            self.jobs.delete_many(which)

    # -- attachments of a job -------------------------------------------------------------------

    def set_attachment(self, doc: _Document, blob: Any, name: str, collection: Any = None) -> None:
        """Attach bytes, or text as UTF-8, to a job; what had this name before is deleted."""
        data = blob.encode("utf-8") if isinstance(blob, str) else blob
        tell_if_large(name, data)
        attached = list(doc.get("_attachments") or [])
        with self.store.guard(), transfer_time(len(data)):
            file_id = self.gfs.put(data, filename="{}_{}".format(doc["_id"], name))
        kept = [entry for entry in attached if entry[0] != name]
        self.update(doc, {"_attachments": [*kept, [name, file_id]]}, collection)
        self._delete_files([entry[1] for entry in attached if entry[0] == name])

    def get_attachment(self, doc: Mapping[str, Any], name: str) -> bytes:
        """Return an attachment's bytes; raises ``OperationFailure`` if the job has none such."""
        for attached, file_id in doc.get("_attachments") or []:
            if attached == name:
                return self._read(file_id)
        raise OperationFailure(f"the job has no attachment {name!r}")

    def delete_attachment(self, doc: _Document, name: str, collection: Any = None) -> None:
        """Delete an attachment; raises ``OperationFailure`` if the job has none such."""
        attached = list(doc.get("_attachments") or [])
        files = [entry[1] for entry in attached if entry[0] == name]
        if not files:
            raise OperationFailure(f"the job has no attachment {name!r}")
        kept = [entry for entry in attached if entry[0] != name]
        self.update(doc, {"_attachments": kept}, collection)
        self._delete_files(files)

    def _read(self, file_id: Any) -> bytes:
        try:
            with self.store.guard():
                file = self.gfs.get(file_id)
            with self.store.guard(), transfer_time(file.length):
                return bytes(file.read())
        except NoFile as error:
            raise OperationFailure("the attachment's file is gone") from error

    def _delete_files(self, files: list[Any]) -> None:
        # A worker's user may not: what it replaces stays, and nothing refers to it.
        with contextlib.suppress(NotAllowed), self.store.guard():
            for file_id in files:
                self.gfs.delete(file_id)


class _Leases:
    """Keeps the leases of the jobs that this process reserved, in a thread, until they end."""

    def __init__(self, queue: TrialQueue) -> None:
        self._queue = queue
        self._held: dict[Any, Trial] = {}
        self._guard = threading.Lock()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def keep(self, trial: Trial) -> None:
        with self._guard:
            self._held[trial.id] = trial
            if self._thread is None or not self._thread.is_alive():  # none lives on past a fork
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()

    def drop(self, job_id: Any) -> None:
        with self._guard:
            self._held.pop(job_id, None)
            self._changed.set()

    def _run(self) -> None:
        due = time.monotonic() + DEFAULT_LEASE_S / 4
        while True:
            self._changed.wait(max(0.0, due - time.monotonic()))
            with self._guard:
                self._changed.clear()
                held = list(self._held.values())
                if not held:
                    self._thread = None
                    return
            if time.monotonic() >= due:
                due += DEFAULT_LEASE_S / 4
                for trial in held:
                    self._renew(trial)

    def _renew(self, trial: Trial) -> None:
        try:
            self._queue.heartbeat(trial)
        except LeaseLost:
            log.warning("%s is no longer this process's", trial.label)
            self.drop(trial.id)
        except InvalidOperation:  # the store was closed: its leases end by themselves
            self.drop(trial.id)
        except StoreError as error:
            log.warning("%s; work goes on without it", error)


def tell_if_large(name: str, data: bytes) -> None:
    """Say how large an attachment is, if it is worth a word."""
    if len(data) >= LARGE:
        log.warning(
            "attachment %s has %.0f MB, which each worker fetches and unpickles: keep data sets "
            "out of the objective and publish them in the store, as docs/hyperopt.md shows",
            name,
            len(data) / 1e6,
        )
