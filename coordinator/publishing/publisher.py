"""Publishing: this user's catalog in a store, and each change of it.

A change is one update of one document, if nobody has changed the catalog since it was read; else it
is read again. Its serial number is at least the time: a key or a database that was restored from a
copy, and knows no later number, goes on above all that devices have seen. A package is in the store
before the catalog names it, so a publisher that is killed leaves the catalog as it was. Each
command can be repeated after a lost reply.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

from hyperhive.common.errors import NotTrusted, UsageError
from hyperhive.coordinator.publishing import key as keys
from hyperhive.coordinator.publishing.key import SigningKey
from hyperhive.coordinator.publishing.source import read
from hyperhive.store.errors import CorruptBlob, NotFound, StoreError
from hyperhive.store.signed import seen
from hyperhive.store.signed.catalog import MOST_CATALOG_BYTES, Catalog, Entry
from hyperhive.store.signed.keys import short
from hyperhive.store.signed.seen import Reading, Seen
from hyperhive.store.store import Store

_TRIES = 100
"""To change a catalog that others change too."""


@dataclass(frozen=True)
class Publication:
    """What ``publish`` has done: ``is_new`` is false if all of it was in the store before."""

    entry: Entry
    key: str
    is_new: bool


class Publisher:
    """This user's catalog in a store.

    Args:
        store: is made ready, if this login may do that.
        warn: is told what a person must know, each thing once.

    Raises ``StoreError``.
    """

    def __init__(self, store: Store, warn: Callable[[str], None]) -> None:
        store.ensure_indexes()
        self._store = store
        identity = store.identity()
        if identity is None:
            raise NotFound(
                f"the database at {store.address} has lost its identity, by which devices know it: "
                "restore the document `identity` of its collection `meta` from a copy"
            )
        self._identity = identity
        self._seen = Seen()
        self._warn = warn
        self._warned: set[str] = set()

    def key(self) -> SigningKey:
        """Return the key to sign with: a new one if there is none, or if it was revoked."""
        key = keys.made(self._identity)
        self._read(key)
        if self._seen.is_revoked(key.public):
            keys.forget(self._identity, key.public)
            key = keys.made(self._identity)
        return key

    def publish(self, path: Path) -> Publication:
        """Publish a file or a folder; safe to repeat. Raises ``UsageError`` for any other thing.

        What is there already is signed anew: a device may have seen a later catalog than this one.
        """
        entry, package = read(path)
        key = self.key()
        is_new = entry not in self._read(key).catalog.entries or not self._is_stored(entry)
        self._store.catalogs.upload(package)  # in any case, for its date
        self._change(key, lambda catalog: catalog.with_entry(entry))
        return Publication(entry, key.public, is_new)

    def withdraw(self, title: str) -> list[str]:
        """Take what has this title, ``digits.py@1f2e3d4c5b6a``, out of the catalog.

        Returns the names of the studies that need it and have not ended. Raises ``NotFound``.
        """
        key = keys.existing(self._identity)
        entries = () if key is None else self._read(key).catalog.entries
        found = {entry.title: entry for entry in entries}
        if key is None or title not in found:
            raise NotFound(
                f"this user has not published {title} here: published is "
                f"{', '.join(found) or 'nothing'}"
            )
        self._change(key, lambda catalog: catalog.without(found[title].sha256))
        return self._store.studies.unfinished_with(found[title].objectives)

    def existing_key(self) -> SigningKey:
        """Return this user's key for the store. Raises ``NotFound``."""
        key = keys.existing(self._identity)
        if key is None:
            raise NotFound("this user has no key for this store: there is nothing to revoke")
        return key

    def revoke(self) -> str:
        """Revoke this user's key for the store; return it. Safe to repeat. Raises ``NotFound``."""
        key = self.existing_key()
        self._read(key)
        if not self._seen.is_revoked(key.public):
            self._change(key, lambda catalog: replace(catalog, revoked=True, entries=()))
        keys.forget(self._identity, key.public)
        return key.public

    def _read(self, key: SigningKey) -> Reading:
        """Return the catalog that a change starts from.

        That is an empty one if somebody has replaced it: what it lists may be old.
        """
        reading = seen.read(self._store.catalogs, key.public, self._identity, self._seen)
        if reading.refusal is not None and not self._seen.is_revoked(key.public):
            text = (
                f"key {short(key.public)}: {reading.refusal}. What it listed is not taken over: "
                "publish again what workers are to run"
            )
            if text not in self._warned:
                self._warned.add(text)
                self._warn(text)
        return reading

    def _change(self, key: SigningKey, change: Callable[[Catalog], Catalog]) -> None:
        for _ in range(_TRIES):
            reading = self._read(key)
            if self._seen.is_revoked(key.public):  # a later catalog would take that back
                raise NotTrusted(
                    f"key {short(key.public)} has just been revoked: run the command again"
                )
            serial = max(reading.catalog.serial + 1, int(time.time()))
            changed = replace(change(reading.catalog), serial=serial)
            signed = changed.encode()
            if len(signed) > MOST_CATALOG_BYTES:
                raise UsageError(
                    "too much is published with this key: withdraw what no study needs any more"
                )
            packages = {entry.sha256 for entry in changed.entries}
            signature = key.sign(signed)
            if self._store.catalogs.put(key.public, signed, signature, packages, reading.stored):
                break
        else:
            raise StoreError(
                f"the catalog of key {short(key.public)} on {self._store.address} changes all the "
                "time: try again later"
            )
        with contextlib.suppress(NotTrusted):  # it has just been revoked
            self._seen.accept(key.public, changed)
        self._store.catalogs.collect()

    def _is_stored(self, entry: Entry) -> bool:
        try:
            self._store.catalogs.download(entry.sha256, entry.length)
        except (NotFound, CorruptBlob):
            return False
        return True
