"""Results that are computed and not yet in the store. What is in here is never computed again.

Each worker process has a folder of its own below the outbox, locked for as long as it lives. A
result is one file, written and synced before the first attempt to deliver it. Whoever finds a
folder whose lock is free delivers what its dead owner left.
"""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping

import bson
import bson.errors
import portalocker

from hyperhive.common import files, paths
from hyperhive.store.errors import (
    BadCertificate,
    LeaseLost,
    LoginRefused,
    NotAllowed,
    StoreError,
    StoreUnavailable,
)
from hyperhive.store.store import Store

log = logging.getLogger(__name__)

_LOCK = "lock"
_LARGEST_RESULT = 8 << 20
"""MongoDB takes documents of 16 MiB, and a trial may come to hold late results too."""


def default_directory() -> Path:
    """Return where results wait that could not be delivered yet."""
    return paths.data_directory() / "outbox"


@dataclass(frozen=True)
class Entry:
    """One result on its way: the claim it belongs to, hyperopt's result, perhaps weights.

    ``store`` is the identity of the store that the trial is in.
    """

    trial_id: Any
    token: str
    result: Mapping[str, Any]
    weights: bytes | None
    store: str | None

    def encode(self) -> bytes:
        """Return the entry as BSON: one file, which is there whole or not at all.

        Raises ``ValueError`` or BSON's own error for a result that the store could not take.
        """
        size = len(bson.encode(self.result))
        if size > _LARGEST_RESULT:
            raise ValueError(f"a result of {size >> 20} MB: large things belong in weights")
        return bytes(bson.encode(vars(self)))

    @classmethod
    def decode(cls, data: bytes) -> Entry:
        """Read what ``encode`` gave; raises ``ValueError`` for anything else."""
        try:
            entry = cls(**bson.decode(data))
        except (bson.errors.BSONError, TypeError) as error:
            raise ValueError(str(error)) from error
        if not (
            isinstance(entry.trial_id, (bson.ObjectId, str))  # a mapping would be a query
            and isinstance(entry.token, str)
            and isinstance(entry.result, Mapping)
            and (entry.weights is None or isinstance(entry.weights, bytes))
        ):
            raise ValueError("its values are not those of a result")
        return entry


class Outbox:
    """The outbox of one worker process. Use it as a context manager: it holds the folder's lock.

    Args:
        worker: the worker's id, which names its folder.
        directory: the outbox that all workers of this user share.
    """

    def __init__(self, worker: str, directory: Path | None = None) -> None:
        self._root = directory or default_directory()
        self._folder = self._root / worker
        self._unsaved: list[Entry] = []
        self._lock = contextlib.ExitStack()
        self._is_locked = False

    def __enter__(self) -> Outbox:
        try:
            self._make()
        except OSError as error:  # its results are kept in memory meanwhile: see add
            log.error("the outbox %s cannot be made (%s): make room for it", self._folder, error)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_locked:
            _remove_if_empty(self._folder)
        self._lock.close()

    def _make(self) -> None:
        """Make the folder and lock it, if that has not been done yet."""
        while not self._is_locked:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Another worker may be looking into it, as into one of the dead, and remove it.
            with contextlib.suppress(FileNotFoundError):
                self._lock.enter_context(_locked(self._folder, wait=True))
                self._is_locked = (self._folder / _LOCK).exists()
                if not self._is_locked:
                    self._lock.close()

    def add(self, entry: Entry) -> None:
        """Keep a result until it is delivered: on disk, synced; in memory if the disk is full.

        Raises ``ValueError`` or BSON's own error for a result that the store could not take.
        """
        path = self._folder / (entry.token + ".bson")
        encoded = entry.encode()
        try:
            self._make()
            files.write(path, encoded, durable=True)
        except OSError as error:
            log.error(
                "the outbox %s cannot be written (%s): this result is kept in memory only, so "
                "leave the worker running until it is delivered",
                self._folder,
                error,
            )
            self._unsaved.append(entry)

    def deliver(self, store: Store) -> None:
        """Deliver everything that this outbox holds for this store.

        Raises ``StoreUnavailable`` when the server goes away; what was not delivered stays.
        """
        self._unsaved = [entry for entry in self._unsaved if not _deliver(entry, store)]
        _deliver_folder(self._folder, store)

    def waiting(self) -> int:
        """Return how many results of this user's workers wait on this device, for any store."""
        return len(self._unsaved) + sum(map(_count, self._root.glob("*")))

    def deliver_for_the_dead(self, store: Store) -> None:
        """Deliver what workers left that died before they could."""
        for folder in sorted(self._root.glob("*")):
            if folder == self._folder or not folder.is_dir():
                continue
            try:
                with _locked(folder):
                    for partial in folder.glob("*.part"):  # its writer died over it
                        partial.unlink()
                    _deliver_folder(folder, store)
                    _remove_if_empty(folder)
            except (portalocker.LockException, FileNotFoundError):
                continue  # its worker lives; or another worker was quicker
            except OSError as error:  # a disk that is full, or by now read-only
                log.error("%s: what a worker left there stays: %s", folder, error)


def _count(folder: Path) -> int:
    """Return how many results a folder has; none if another worker is just removing it."""
    try:
        return sum(name.endswith(".bson") for name in os.listdir(folder))
    except OSError:
        return 0


def _deliver_folder(folder: Path, store: Store) -> None:
    for path in sorted(folder.glob("*.bson")):
        try:
            entry = Entry.decode(path.read_bytes())
        except ValueError as error:
            log.error("%s is damaged and stays where it is: %s", path, error)
            continue
        try:
            if _deliver(entry, store):
                path.unlink()
        except (StoreUnavailable, LoginRefused, NotAllowed, BadCertificate):
            raise
        except StoreError as error:  # this one's fault: the others need not wait for it
            log.error("%s cannot be delivered and stays where it is: %s", path, error)


def _deliver(entry: Entry, store: Store) -> bool:
    """Deliver one result; return False if its trial is of another store."""
    if entry.store != store.identity():
        return False
    trial = store.trials.get(entry.trial_id)
    if trial is None:
        log.warning("a result is dropped: its trial was deleted from %s", store.address)
        return True
    artifact = None
    if entry.weights is not None:
        name = f"{trial.study}/{trial.tid}.safetensors"
        artifact = store.blobs.put(entry.weights, name).as_document()
    try:
        counts = store.queue.finish(entry.trial_id, entry.token, entry.result, artifact)
    except LeaseLost as error:
        if store.trials.get(entry.trial_id) is None:  # deleted this very moment
            return _deliver(entry, store)
        log.warning("a result stays here: %s", error)
        return False
    if not counts:
        log.info("%s: another worker's result came first; kept as late", trial.label)
    return True


@contextlib.contextmanager
def _locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold a folder's lock; raises ``LockException`` if another process does, or waits for it."""
    how = portalocker.LOCK_EX if wait else portalocker.LOCK_EX | portalocker.LOCK_NB
    with (folder / _LOCK).open("a") as file:
        portalocker.lock(file, how)
        yield


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another worker looks into it, or has removed it
        if not any(path.name != _LOCK for path in folder.iterdir()):
            (folder / _LOCK).unlink(missing_ok=True)
            folder.rmdir()
