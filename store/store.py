"""The one way to a hyperhive database."""

from __future__ import annotations

import contextlib
import functools
import uuid
from typing import Any

import pymongo
from bson import ObjectId
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from hyperhive.store.benchmarks import Benchmarks
from hyperhive.store.blobs import Blobs
from hyperhive.store.datasets import Datasets
from hyperhive.store.errors import NotAllowed, NotFound
from hyperhive.store.queue import TrialQueue
from hyperhive.store.server.mongo import (
    DEFAULT_DATABASE,
    Guard,
    address,
    client_options,
    time_limit,
    translated_errors,
)
from hyperhive.store.server.roles import Roles
from hyperhive.store.studies import StoredModel, StoredStudy, Studies
from hyperhive.store.trial import Trial
from hyperhive.store.trials import TrialReader
from hyperhive.store.workers import Workers

OPERATION_TIMEOUT_S = 10.0
_IDENTITY = "identity"
_GOODBYE_S = 0.5
"""PyMongo looks for the server to say that its sessions are over, also for one that is away."""


class Store:
    """A hyperhive database: trials, studies, workers and their devices, data, weights, users.

    Use it as a context manager, or call ``close``. Every method of its parts raises a
    ``StoreError``: ``StoreUnavailable`` when the server does not answer in time, ``LoginRefused``
    or ``NotAllowed`` when it does but refuses, ``BadCertificate`` when it is not to be trusted.

    Args:
        uri: any ``mongodb://`` or ``mongodb+srv://`` URI; its database, or ``hyperhive``, is used.
        timeout: seconds until an operation gives up, whatever the network does; two more at most
            where a server must be found first. Weights and data sets have ``transfer_time``.
    """

    def __init__(self, uri: str, timeout: float = OPERATION_TIMEOUT_S) -> None:
        self.address = address(uri)
        srv = uri.startswith("mongodb+srv://")
        with translated_errors(self.address, srv):
            self.client: Any = pymongo.MongoClient(uri, **client_options(timeout))
            self.database: Any = self.client.get_default_database(DEFAULT_DATABASE)
        self.guard: Guard = functools.partial(translated_errors, self.address, srv)
        self._meta = self.database["meta"]
        self._identity: str | None = None
        self.queue = TrialQueue(self.database, self.guard)
        self.trials = TrialReader(self.database, self.guard)
        self.studies = Studies(self.database, self.guard)
        self.workers = Workers(self.database, self.guard)
        self.benchmarks = Benchmarks(self.database, self.guard)
        self.blobs = Blobs(self.database, self.guard)
        self.datasets = Datasets(self.database, self.guard, self.blobs)
        self.roles = Roles(self.database, self.guard)

    def ping(self) -> None:
        """Raise the fitting ``StoreError`` unless the server answers and knows this user."""
        with self.guard():
            # Not the command "ping", which answers whoever has no login, or has it no more.
            self.database["jobs"].find_one({}, {"_id": 1})

    def ensure_indexes(self) -> None:
        """Make the indexes that the queries need, and the store's identity; safe to call again.

        Who may not make them finds them made by ``hyperhive mongo init``, or raises ``NotFound``.
        """
        try:
            self._make_indexes()
        except NotAllowed as error:
            if self.identity() is None:  # which is made last
                raise NotFound(
                    f"the database at {self.address} has not been made ready: run "
                    "`hyperhive mongo init` with "
                    "an administrator's login"
                ) from error

    def _make_indexes(self) -> None:
        self.queue.ensure_indexes()
        self.workers.ensure_indexes()
        self.blobs.ensure_indexes()
        with self.guard(), contextlib.suppress(DuplicateKeyError):  # it is there already
            self._meta.insert_one({"_id": _IDENTITY, "value": uuid.uuid4().hex})

    def ensure_hyperopt_indexes(self) -> None:
        """Make what the queries of hyperopt's own API need besides; safe to call again."""
        with self.guard():
            # What a refresh asks of trials that have not changed is in this index, all of it.
            keys = ("exp_key", "_id", "state", "version")
            self.database["jobs"].create_index([(key, ASCENDING) for key in keys])
            # Or two who ask first make two counters.
            self.database["job_ids"].create_index("a", unique=True)

    def identity(self) -> str | None:
        """Return what tells this store from all others, wherever it moves; None in an empty one."""
        if self._identity is None:
            with self.guard():
                document = self._meta.find_one({"_id": _IDENTITY})
            self._identity = None if document is None else document["value"]
        return self._identity

    def study(self, name: str) -> StoredStudy:
        """Return a study; raises ``NotFound``, in a sentence that names those there are."""
        study = self.studies.get(name)
        if study is None:
            others = [other.name for other in self.studies.all()]
            there = "its studies are {}".format(", ".join(others)) if others else "it has none"
            raise NotFound(f"there is no study {name!r} on {self.address}: {there}")
        return study

    def model(self, study: str) -> StoredModel:
        """Return a study's model, the best so far where it has not ended. Raises ``NotFound``."""
        found = self.study(study)
        if found.model is None and found.cancelled:
            raise NotFound(
                f"study {study!r} was cancelled before it had a model: `hyperhive study "
                f"delete {study}`, "
                "and run it anew"
            )
        if found.model is None:
            ended = "ended without a model" if found.result else "has no model yet"
            raise NotFound(f"study {study!r} {ended}: run `hyperhive coordinator` until it has")
        return found.model

    def cancel_study(self, name: str) -> int:
        """End a study: no more trials are posted, those that wait or run end without a result.

        Returns how many trials that were; a running one ends when its worker sees it. Safe to call
        again. Raises ``NotFound``.
        """
        self.studies.cancel(name)
        asked = self.queue.cancel_all(name)
        self.queue.expire()  # what the dead hold: no coordinator may be left to see to it
        return asked

    def delete_study(self, name: str) -> None:
        """Delete a study, its trials and their weights; safe to call again.

        The data set stays: other studies may use it. The study's document goes after its trials, so
        that what breaks off can be done again; weights left by that are collected as orphans.
        """
        files = self.queue.delete_all(name)
        self.studies.delete(name)  # before the weights: those of its model it refers to
        for file_id in files:
            self._delete_orphan(file_id)

    def collect_orphans(self, older_than: float = 3600.0) -> int:
        """Delete uploads that nothing came to refer to; return how many there were.

        Args:
            older_than: seconds, by the server's clock, that an upload and its delivery may take.
        """
        return sum(map(self._delete_orphan, self.blobs.uploads_older_than(older_than)))

    def drop_weights(self, trial: Trial) -> Trial:
        """Forget a finished trial's weights and delete them; return the trial as it is then.

        Where they lie is a worker's word: what anything else refers to stays.
        """
        file_id = (trial.artifact or {}).get("file_id")
        dropped = self.queue.drop_artifact(trial)
        if isinstance(file_id, ObjectId):
            self._delete_orphan(file_id)
        return dropped

    def _delete_orphan(self, file_id: ObjectId) -> bool:
        """Delete a file unless something refers to it; return whether it was deleted.

        The studies are asked too: a worker may change trials, and so forget a model's weights.
        """
        if any(part.refers_to(file_id) for part in (self.trials, self.studies, self.datasets)):
            return False
        self.blobs.delete(file_id)
        return True

    def close(self) -> None:
        """Close every connection of this store."""
        with time_limit(_GOODBYE_S):
            self.client.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
