"""The outbox: results that are computed and not yet in the store, so that none is computed twice.

Each worker process has its own folder in the outbox, which it locks while it lives. A result is one
file, written and synced before the first attempt to deliver it; the results of a batch of short
trials are one file. The files that its trial saved lie in a folder beside it, which is made before.
A worker that finds a folder with a free lock delivers the results that its dead owner left there,
and deletes files without a result.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterator, Sequence

from hyperhive.common import files, paths
from hyperhive.common.errors import InputError
from hyperhive.common.locks import ALONE, AT_ONCE, LOCK_IS_HELD, locked
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import LeaseLost, StoreError
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.objectives.saving import SavedFiles, forget_collected, upload
from hyperhive.worker.running.entry import Entry, decode_batch, encode_batch
from hyperhive.worker.running.outbox_folder import (
    BATCH,
    ENTRY,
    FILES,
    LOCK,
    NOT_OF_ONE,
    count,
    delete,
    delete_files_without_result,
    for_each_file,
    remove_if_empty,
)

log = logging.getLogger(__name__)

_WEIGHTS = "weights"
"""Beside the names of saved files, which are numbers."""

Holding = Callable[[Trial], ContextManager[object]]
"""Opens a context in which a trial's lease is renewed."""


class ResultLost(InputError):
    """A result was neither delivered nor written to the outbox when its worker ended."""


def default_directory() -> Path:
    """Return the folder of the outbox of this user's workers."""
    return paths.data_directory() / "outbox"


@dataclass(frozen=True)
class _Unsaved:
    """A result in memory only: its entry, what people call its trial, and why it is not on disk."""

    entry: Entry
    trial: str
    reason: OSError


class Outbox:
    """The outbox of one worker process. Use it as a context manager: it holds the folder's lock.

    Its end raises ``ResultLost`` for a result that it could not deliver or write, or logs that if
    another error ends it. A process that was forked from its own does not end it.

    Args:
        worker: the worker's id, which is the name of its folder.
        directory: the outbox that all workers of this user share.
        must_end: asked in a delivery of saved files, which may take long; if it returns true, the
            delivery breaks off, and a later worker repeats it.
    """

    def __init__(
        self,
        worker: str,
        directory: Path | None = None,
        must_end: Callable[[], bool] = lambda: False,
    ) -> None:
        self._must_end = must_end
        self._root = directory or default_directory()
        self._folder = self._root / worker
        self._unsaved: list[_Unsaved] = []
        self._uploaded: dict[str, dict[str, BlobRef]] = {}  # by token: see upload
        self._process = os.getpid()
        self._delivering = threading.Lock()
        self._making = threading.Lock()  # a program's threads may each save a first file
        self._lock = contextlib.ExitStack()
        self._is_locked = False

    def __enter__(self) -> Outbox:
        try:
            self._make()
        except OSError as error:  # results are kept in memory then: see add
            log.error(
                "the outbox %s cannot be made (%s): check the disk space and the permissions",
                self._folder,
                error,
            )
        return self

    def __exit__(self, *raised: object) -> None:
        if os.getpid() != self._process:
            return
        lost = self._save_again()
        waiting = count(self._folder)
        if waiting:
            log.warning(
                "%d result%s in %s: the next worker on this device delivers what can be delivered",
                waiting,
                " stays" if waiting == 1 else "s stay",
                self._folder,
            )
        if self._is_locked:
            delete_files_without_result(self._folder)
            remove_if_empty(self._folder)
        self._lock.close()
        if lost is not None:
            if not any(raised):
                raise lost
            log.error("%s", lost)

    def _save_again(self) -> ResultLost | None:
        """Write what is in memory only, if there is room now; return an error for what is lost."""
        unsaved, self._unsaved = self._unsaved, []
        for one in unsaved:
            path = self._path(one.entry.token)
            self._save(path, one.entry.encode(), [(one.entry, one.trial)])
        if not self._unsaved:
            return None
        trials = ", ".join(one.trial for one in self._unsaved)
        return ResultLost(
            f"the result of {trials} is lost and will be computed again: the server did not take "
            f"it, and {self._folder} cannot be written ({self._unsaved[0].reason})"
        )

    def _make(self) -> None:
        """Make the folder and lock it, unless that is done already."""
        with self._making:
            while not self._is_locked:
                self._folder.mkdir(parents=True, exist_ok=True)
                # Before the lock is taken, another worker may take this folder for a dead worker's
                # and remove it. Then it is made again.
                with contextlib.suppress(FileNotFoundError):
                    self._lock.enter_context(locked(self._folder / LOCK, ALONE))
                    self._is_locked = (self._folder / LOCK).exists()
                    if not self._is_locked:
                        self._lock.close()

    @contextlib.contextmanager
    def saving(self, token: str) -> Iterator[SavedFiles]:
        """Give the files of a claim's trial; at the end they are deleted if no result waits."""
        saved = self.files(token)
        try:
            yield saved
        finally:
            if not (self._path(token).exists() or self._holds(token)):
                saved.discard()

    def files(self, token: str) -> SavedFiles:
        """Return the files of a claim's trial, of which there are none yet.

        Without a result they are deleted at this outbox's end, or after that of its process.
        """
        return SavedFiles(self._files_of(token), self._make)

    def _path(self, token: str) -> Path:
        return self._folder / (token + ENTRY)

    def _files_of(self, token: str) -> Path:
        return self._folder / (token + FILES)

    def _holds(self, token: str) -> bool:
        """Return whether a result is in memory only."""
        return any(one.entry.token == token for one in self._unsaved)

    def add(self, entry: Entry, trial: str) -> None:
        """Keep a result until it is delivered: synced on disk, or in memory if the disk is full.

        ``trial`` is what people call its trial. Raises ``Unstorable`` for a result that the store
        could not hold.
        """
        self._keep(self._path(entry.token), entry.encode(), [(entry, trial)])

    def add_batch(self, results: Sequence[tuple[Entry, str]]) -> None:
        """Keep short results as ``add`` does, with one write; each has its trial's name."""
        entries = [entry for entry, _ in results]
        path = self._folder / f"{entries[0].token}.{len(entries)}{BATCH}"
        self._keep(path, encode_batch(entries), results)

    def _keep(self, path: Path, data: bytes, results: Sequence[tuple[Entry, str]]) -> None:
        reason = self._save(path, data, results)
        if reason is not None:
            log.error(
                "the outbox %s cannot be written (%s): this result is kept in memory only, so "
                "leave the worker running until it is delivered",
                self._folder,
                reason,
            )

    def _save(
        self, path: Path, data: bytes, results: Sequence[tuple[Entry, str]]
    ) -> OSError | None:
        """Write results, or keep them in memory only and return why they cannot be written."""
        try:
            self._make()
            files.write(path, data, durable=True)
        except OSError as error:
            self._unsaved += [_Unsaved(entry, trial, error) for entry, trial in results]
            return error
        return None

    def deliver(self, store: Store, holding: Holding = contextlib.nullcontext) -> None:
        """Deliver every result that this outbox holds for this store.

        ``holding`` keeps the lease of a trial meanwhile, if it is still that of its result: else
        another worker would run the trial while a slow link delivers what it saved. Raises
        ``StoreUnavailable`` if the server goes away, or this worker must end; results that were not
        delivered stay.
        """
        with self._delivering:
            self._deliver_unsaved(list(self._unsaved), store, holding)
            self._deliver_folder(self._folder, store, holding)

    def deliver_batches(self, store: Store) -> None:
        """Deliver the results of batches, for another thread; do nothing while ``deliver`` runs.

        They are on disk or, if that is full, in memory.

        Raises ``StoreUnavailable``.
        """
        if self._delivering.acquire(blocking=False):
            try:
                short = [one for one in self._unsaved if not one.entry.has_files]
                self._deliver_unsaved(short, store, contextlib.nullcontext)
                self._deliver_batches(self._folder, store)
            finally:
                self._delivering.release()

    def waiting(self) -> int:
        """Return how many results of this user's workers wait on this device, for any store."""
        return len(self._unsaved) + sum(map(count, self._root.glob("*")))

    def deliver_for_the_dead(self, store: Store, holding: Holding = contextlib.nullcontext) -> None:
        """Deliver the results of workers that died before they could deliver them."""

        def deliver(folder: Path) -> None:
            self._deliver_folder(folder, store, holding)
            # Nobody else corrects what the dead worker last reported.
            store.workers.correct(folder.name, count(folder))

        self._for_each_dead(deliver)

    def clean_up_for_the_dead(self) -> None:
        """Delete what dead processes left behind without a result."""
        self._for_each_dead(lambda _: None)

    def _for_each_dead(self, act: Callable[[Path], None]) -> None:
        """Clean the folder of each process that has died, then act on it."""
        for folder in sorted(self._root.glob("*")):
            if folder == self._folder or not folder.is_dir():
                continue
            try:
                with locked(folder / LOCK, AT_ONCE):
                    for partial in folder.glob("*.part"):  # its writer died while writing
                        partial.unlink()
                    delete_files_without_result(folder)
                    act(folder)
                    remove_if_empty(folder)
            except (*LOCK_IS_HELD, FileNotFoundError):
                continue  # its worker lives, or another worker was faster
            except OSError as error:  # the disk is full, or has become read-only
                log.error("%s: its results stay there for now: %s", folder, error)

    def _deliver_unsaved(self, results: Sequence[_Unsaved], store: Store, holding: Holding) -> None:
        for one in results:
            if self._deliver(one.entry, store, self._files_of(one.entry.token), holding):
                self._unsaved.remove(one)
                delete(self._files_of(one.entry.token))

    def _deliver_folder(self, folder: Path, store: Store, holding: Holding) -> None:
        self._deliver_batches(folder, store)

        def deliver(entry: Entry, path: Path) -> bool:
            return self._deliver(entry, store, path.with_suffix(FILES), holding)

        for_each_file(folder, ENTRY, Entry.decode, deliver)

    def _deliver_batches(self, folder: Path, store: Store) -> None:
        def deliver(entries: Sequence[Entry], _: Path) -> bool:
            return self._deliver_batch(entries, store)

        for_each_file(folder, BATCH, decode_batch, deliver)

    def _deliver_batch(self, entries: Sequence[Entry], store: Store) -> bool:
        """Deliver the results of a batch; return False if one of them must wait."""
        if any(entry.store != store.identity() for entry in entries):
            return False
        try:
            if store.queue.finish_batch([entry.short for entry in entries]):
                return True
        except NOT_OF_ONE:
            raise
        except StoreError as error:  # a fault of one of them: the others do not wait for it
            log.warning("%d results are now delivered one by one: %s", len(entries), error)
        # Some count already, by a request whose reply was lost, or come late. This tells which.
        are_delivered = True
        for entry in entries:
            try:
                are_delivered &= self._deliver(entry, store, Path(), contextlib.nullcontext)
            except NOT_OF_ONE:
                raise
            except StoreError as error:
                log.error("a result cannot be delivered and stays in the outbox: %s", error)
                are_delivered = False
        return are_delivered

    def _deliver(self, entry: Entry, store: Store, folder: Path, holding: Holding) -> bool:
        """Deliver one result; return False if it must wait, for the store of its trial.

        ``folder`` has the files that the trial saved.
        """
        if entry.store != store.identity():
            return False
        artifact: dict[str, Any] | None = None
        artifacts: list[dict[str, Any]] = []
        if entry.has_files:
            trial = store.trials.get(entry.trial_id)
            if trial is None:
                return self._dropped(store)
            held = trial.as_copied(entry.token)
            is_held = trial.status is Status.RUNNING and held.token == entry.token
            with holding(held) if is_held else contextlib.nullcontext():
                artifact, artifacts = self._upload(entry, trial, store, folder)
        try:
            counts = store.queue.finish(
                entry.trial_id, entry.token, entry.result, artifact, artifacts
            )
        except LeaseLost as error:
            if store.trials.get(entry.trial_id) is None:
                return self._dropped(store)
            log.warning("a result stays in the outbox: %s", error)
            return False
        self._uploaded.pop(entry.token, None)
        if not counts:
            late = store.trials.get(entry.trial_id)
            log.info(
                "%s: another worker's result came first; this one is stored as late",
                late.full_title if late else "a trial",
            )
        return True

    def _dropped(self, store: Store) -> bool:
        log.warning("a result was dropped: its trial was deleted from %s", store.address)
        return True

    def _upload(
        self, entry: Entry, trial: Trial, store: Store, folder: Path
    ) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """Upload the weights and files of a result; return where they are, for ``finish``."""
        if not trial.takes_result:
            return None, []
        uploaded = self._uploaded.setdefault(entry.token, {})
        forget_collected(store, uploaded)
        if entry.weights is not None and _WEIGHTS not in uploaded:
            name = f"{trial.study}/{trial.tid}.safetensors"
            uploaded[_WEIGHTS] = store.blobs.put(entry.weights, name)
        weights = uploaded.get(_WEIGHTS)
        artifacts = upload(store, trial, entry.files, folder, uploaded, self._must_end)
        return None if weights is None else weights.as_document(), artifacts
