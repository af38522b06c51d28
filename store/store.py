"""The way into a hyperhive database."""

from __future__ import annotations

import contextlib
import functools
import uuid
from typing import Any, Iterable

import pymongo
from bson import ObjectId
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from hyperhive.common.values import mapping, text
from hyperhive.store.artifacts import file_ids
from hyperhive.store.benchmarks import Benchmarks
from hyperhive.store.blobs import BlobRef, Blobs
from hyperhive.store.datasets import Datasets
from hyperhive.store.errors import NotAllowed, NotFound
from hyperhive.store.notes import Note, Notes
from hyperhive.store.orders import Orders
from hyperhive.store.server.address import DEFAULT_DATABASE, place
from hyperhive.store.server.client import (
    Guard,
    client_options,
    opening,
    time_limit,
    translated_errors,
)
from hyperhive.store.server.roles import Roles
from hyperhive.store.signed.catalogs import Catalogs
from hyperhive.store.studies import StoredModel, StoredStudy, Studies
from hyperhive.store.trials.queue import TrialQueue
from hyperhive.store.trials.reader import TrialReader
from hyperhive.store.trials.terms import TEACHER
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import KEPT_S, Workers

OPERATION_TIMEOUT_S = 10.0
GIVE_UP_AFTER_S = 60.0
"""How long a trial at which every worker here has failed waits for another one: see ``sweep``."""
_IDENTITY = "identity"
_GOODBYE_S = 0.5
"""When it closes, PyMongo tries to reach the server to end its sessions, even if it is away."""


class Store:
    """A hyperhive database: trials, studies, notes, workers, orders, devices, files, code, users.

    Use it as a context manager, or call ``close``. Every method of its parts may raise a
    ``StoreError``: ``StoreUnavailable`` if the server does not answer in time, ``LoginRefused`` or
    ``NotAllowed`` if it refuses, ``BadCertificate`` if its certificate is not trusted.

    Args:
        uri: any ``mongodb://`` or ``mongodb+srv://`` URI; its database is used, or ``hyperhive``.
        timeout: seconds until an operation gives up, whatever the network does, plus at most two
            to find a server first. Each request for bytes of files gets ``transfer_time``.
    """

    def __init__(self, uri: str, timeout: float = OPERATION_TIMEOUT_S) -> None:
        self.place = place(uri)
        self.address = self.place.where
        with opening(self.place):
            self.client: Any = pymongo.MongoClient(uri, **client_options(timeout))
            self.database: Any = self.client.get_default_database(DEFAULT_DATABASE)
        self.guard: Guard = functools.partial(translated_errors, self.place, self._role)
        self._meta = self.database["meta"]
        self._identity: str | None = None
        self.queue = TrialQueue(self.database, self.guard)
        self.trials = TrialReader(self.database, self.guard)
        self.studies = Studies(self.database, self.guard)
        self.workers = Workers(self.database, self.guard)
        self.orders = Orders(self.database, self.guard)
        self.notes = Notes(self.database, self.guard)
        self.benchmarks = Benchmarks(self.database, self.guard)
        self.blobs = Blobs(self.database, self.guard)
        self.datasets = Datasets(self.database, self.guard, self.blobs)
        self.catalogs = Catalogs(self.database, self.guard)
        self.roles = Roles(self.database, self.guard)

    def _role(self) -> str | None:
        return self.roles.own()

    def ping(self) -> None:
        """Raise a ``StoreError`` unless the server answers and accepts this login."""
        with self.guard():
            # Not the command "ping": the server answers it without a login too.
            self.database["jobs"].find_one({}, {"_id": 1})

    def ensure_indexes(self) -> None:
        """Make the indexes that the queries need, and the store's identity; safe to repeat.

        A login that may not create indexes relies on ``hyperhive mongo init``. Raises ``NotFound``
        if that has not been run.
        """
        try:
            self._make_indexes()
        except NotAllowed as error:
            if self.identity() is None:  # it is made last
                raise NotFound(
                    f"the database at {self.address} has not been made ready: run "
                    "`hyperhive mongo init` with an administrator's login"
                ) from error

    def _make_indexes(self) -> None:
        self.queue.ensure_indexes()
        self.workers.ensure_indexes()
        self.notes.ensure_indexes()
        self.blobs.ensure_indexes()
        with self.guard(), contextlib.suppress(DuplicateKeyError):  # it exists already
            self._meta.insert_one({"_id": _IDENTITY, "value": uuid.uuid4().hex})

    def ensure_hyperopt_indexes(self) -> None:
        """Make the further indexes that hyperopt's API needs; safe to repeat."""
        with self.guard():
            # A refresh finds all that it reads of unchanged trials in this index.
            keys = ("exp_key", "_id", "state", "version")
            self.database["jobs"].create_index([(key, ASCENDING) for key in keys])
            # Without it, two processes that ask for ids first would make two counters.
            self.database["job_ids"].create_index("a", unique=True)

    def identity(self) -> str | None:
        """Return a text that identifies this database wherever it moves; None if it has none."""
        if self._identity is None:
            with self.guard():
                document = self._meta.find_one({"_id": _IDENTITY})
            self._identity = text(mapping(document).get("value"))
        return self._identity

    def study(self, name: str) -> StoredStudy:
        """Return a study. Raises ``NotFound``, with the names of the existing studies."""
        study = self.studies.get(name)
        if study is not None:
            return study
        if self.trials.has_jobs(name):
            raise NotFound(
                f"{name!r} on {self.address} is an experiment of hyperopt's fmin: it has no model; "
                f"`hyperhive best {name}` shows its best trial"
            )
        names = ", ".join(other.name for other in self.studies.all())
        existing = f"its studies are {names}" if names else "it has none"
        raise NotFound(f"there is no study {name!r} on {self.address}: {existing}")

    def is_experiment(self, name: str) -> bool:
        """Return whether hyperopt's ``fmin`` posted jobs under this key, and no study has the name.

        The name "" is that of the jobs without a key.
        """
        return self.studies.get(name) is None and self.trials.has_jobs(name or None)

    def model(self, study: str) -> StoredModel:
        """Return a study's model, or its best so far if it has not ended. Raises ``NotFound``."""
        stored = self.study(study)
        if stored.model is None and stored.cancelled:
            raise NotFound(
                f"study {study!r} was cancelled before it had a model: run `hyperhive study "
                f"delete {study}`, then start it again"
            )
        if stored.model is None and stored.result is not None:
            raise NotFound(
                f"study {study!r} ended without a model for predict-cam: `hyperhive best {study}` "
                "shows its best trial"
            )
        if stored.model is None:
            raise NotFound(
                f"study {study!r} has no model yet: run `hyperhive coordinator` until it has one"
            )
        return stored.model

    def answers(self, study: str, sha256: str) -> bytes:
        """Return the answers of a study's teacher, as its worker packed them, by their hash.

        Raises ``NotFound`` if the study's teacher has no answers of this hash, ``CorruptBlob``.
        """
        for trial in self.trials.find(study, TEACHER):
            artifact = trial.artifact or {}
            if artifact.get("sha256") == sha256:
                return self.blobs.get(BlobRef.from_document(artifact))
        raise NotFound(
            f"the teacher's answers {sha256[:12]}... are not in study {study}: start it again "
            "under another name, and it trains a teacher of its own"
        )

    def cancel_study(self, name: str) -> int:
        """End a study: no more trials are posted, and its unfinished ones end without a result.

        Returns how many trials these are; a running one ends when its worker sees the request. Safe
        to repeat. Raises ``NotFound``.
        """
        self.studies.cancel(name)
        asked = self.queue.cancel_all(name)
        self.sweep()  # trials of dead workers: perhaps no coordinator is left to sweep them
        return asked

    def cancel_trial(self, study: str, tid: int) -> bool:
        """End a trial of a search without a result, as ``cancel_study`` ends all of a study's.

        Returns False if it has ended, was asked before, or is not there. Safe to repeat.
        """
        asked = self.queue.cancel(study, tid)
        self.sweep()
        return asked

    def sweep(self) -> int:
        """End the trials that would wait without an end; return how many ended.

        These are the trials that dead workers left behind (``TrialQueue.expire``), and those at
        which every worker has failed that was here in the last ``GIVE_UP_AFTER_S``, works for the
        study and has the objective. Those end with the last error. A trial waits that long after
        each failure, so that a worker that starts meanwhile can try it too.
        """
        ended = self.queue.expire()
        kept = self.trials.kept_from_workers(GIVE_UP_AFTER_S)
        workers = self.workers.recent(GIVE_UP_AFTER_S) if kept else []
        for trial in kept:
            able = {worker.id for worker in workers if worker.works_for(trial)}
            if able and able <= set(trial.excluded):
                ended += self.queue.give_up(trial)
        return ended

    def delete_study(self, name: str) -> None:
        """Delete a study, its trials, their weights and artifacts, and its notes; safe to repeat.

        The data set stays, since other studies may use it. The study's document is deleted after
        its trials, so a deletion that was interrupted can be repeated; files that it left behind
        are collected as orphans.
        """
        files = self.queue.delete_all(name)
        self.delete_notes(name)
        self.studies.delete(name)  # before the weights: it refers to those of its model
        self.delete_notes(name)  # one that was written meanwhile
        for file_id in files:
            self._delete_orphan(file_id)

    def collect_orphans(self, older_than: float = 3600.0) -> int:
        """Delete old uploads that nothing refers to; return how many.

        Args:
            older_than: seconds by the server's clock that an upload and its delivery may take.
        """
        old = self.blobs.uploads_older_than(older_than)
        return sum(map(self._delete_orphan, self._not_referred_to(old)))

    def notes_of(self, study: str) -> list[Note]:
        """Return a study's notes, oldest first; none if the roles here are older than notes."""
        try:
            return self.notes.of(study)
        except NotAllowed:
            return []

    def mark_of_notes(self) -> Any:
        """Return ``Notes.mark``; None if the roles here are older than notes."""
        try:
            return self.notes.mark()
        except NotAllowed:
            return None

    def delete_notes(self, study: str) -> None:
        """Delete the notes of a study; safe to repeat."""
        with contextlib.suppress(NotAllowed):  # the roles are older than notes: there are none
            self.notes.delete_all(study)

    def forget_orders(self) -> None:
        """Delete the orders for single workers whose records are gone: no worker comes back."""
        with contextlib.suppress(NotAllowed):  # the roles are older than orders: there are none
            self.orders.forget(worker.id for worker in self.workers.recent(KEPT_S))

    def drop_files(self, trial: Trial) -> Trial:
        """Forget a finished trial's weights and artifacts and delete them; return it as it is then.

        A worker wrote where they are, so a file that anything else refers to is not deleted.
        """
        dropped = self.queue.drop_files(trial)
        for file_id in file_ids(trial):
            self._delete_orphan(file_id)
        return dropped

    def _delete_orphan(self, file_id: ObjectId) -> bool:
        """Delete a file unless something refers to it; return whether it was deleted.

        It is asked once more, for the deletion of many takes its time.
        """
        is_orphan = bool(self._not_referred_to([file_id]))
        if is_orphan:
            self.blobs.delete(file_id)
        return is_orphan

    def _not_referred_to(self, file_ids: Iterable[Any]) -> set[Any]:
        """Return those of these files that nothing refers to.

        Studies are asked too: a worker can change a trial so that it no longer refers to the
        weights of its study's model.
        """
        left = set(file_ids)
        for part in (self.trials, self.studies, self.datasets):
            left -= part.referred_to(left) if left else set()
        return left

    def close(self) -> None:
        """Close every connection of this store."""
        with time_limit(_GOODBYE_S):
            self.client.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
