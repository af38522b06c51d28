"""The collection ``objectives``: the catalog of each key, and the packages that catalogs name.

Coordinators write it, workers and viewers read it. Nothing here is believed: whoever reads checks a
catalog's signature (``catalog.py``) and a package's hash.

A package is a document of its own, under its hash. It is written before the catalog that names it;
one that no catalog names is deleted when it is an hour old, by the server's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Iterable

from bson import Binary
from pymongo.errors import DuplicateKeyError

from hyperhive.common.values import sequence
from hyperhive.store.errors import CorruptBlob, NotFound, Unreadable
from hyperhive.store.server.client import Guard, transfer_time
from hyperhive.store.signed.package import digest

_IS_CATALOG = {"_id": {"$regex": "^ed25519:"}}
_IS_PACKAGE = {"_id": {"$regex": "^[0-9a-f]{64}$"}}


@dataclass(frozen=True)
class StoredCatalog:
    """A catalog as anybody may have written it: what is said to be signed, and the signature."""

    key: str
    signed: Any
    signature: Any


class Catalogs:
    """The catalogs and packages of a database."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._objectives = database["objectives"]
        self._guard = guard

    def signatures(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the signature of each of these keys' catalogs: it changes with the catalog."""
        with self._guard():
            found = self._objectives.find({"_id": {"$in": list(keys)}}, {"signature": 1})
            return {each["_id"]: each.get("signature") for each in found}

    def get(self, key: str) -> StoredCatalog | None:
        """Return a key's catalog, None if it has none."""
        with self._guard():
            document = self._objectives.find_one({"_id": key})
        return None if document is None else _stored(document)

    def all(self) -> list[StoredCatalog]:
        """Return every key's catalog."""
        with self._guard():
            return [_stored(each) for each in self._objectives.find(_IS_CATALOG).sort("_id", 1)]

    def uploaded(self) -> dict[str, datetime]:
        """Return when each package was uploaded last, by its hash. The server says when."""
        with self._guard():
            found = self._objectives.find(
                {**_IS_PACKAGE, "uploaded": {"$type": "date"}}, {"data": 0}
            )
            dates = {each["_id"]: each["uploaded"] for each in found}
        return {sha256: each for sha256, each in dates.items() if isinstance(each, datetime)}

    def put(
        self,
        key: str,
        signed: bytes,
        signature: bytes,
        packages: Iterable[str],
        replaces: StoredCatalog | None,
    ) -> bool:
        """Write a key's catalog in place of the one that was read; return False if it has changed.

        ``packages`` are the hashes of those that it names.
        """
        document = {"signed": signed, "signature": signature, "packages": sorted(packages)}
        with self._guard():
            if replaces is None:
                try:
                    self._objectives.insert_one({"_id": key, **document})
                except DuplicateKeyError:
                    return False
                return True
            # What is no signature may not equal itself, as a document with a key twice; and nothing
            # of it is kept.
            is_same = {"$eq": replaces.signature}
            if not isinstance(replaces.signature, bytes):
                is_same = {"$not": {"$type": "binData"}}
            same = {"_id": key, "signature": is_same}
            return bool(self._objectives.replace_one(same, document).matched_count)

    def upload(self, package: bytes) -> None:
        """Write a package under its hash, whatever is there; safe to repeat."""
        content = {"data": {"$literal": Binary(package)}, "uploaded": "$$NOW"}
        with self._guard(), transfer_time(len(package)):
            self._objectives.update_one({"_id": digest(package)}, [{"$set": content}], upsert=True)

    def download(self, sha256: str, length: int) -> bytes:
        """Return a package. Raises ``NotFound``, or ``CorruptBlob`` if it is not what was named."""
        try:
            with self._guard(), transfer_time(length):
                document = self._objectives.find_one({"_id": sha256}, {"data": 1})
        except Unreadable as error:
            raise CorruptBlob(f"its package cannot be read: {error}") from error
        if document is None:
            raise NotFound("its package is not in the store: publish it again")
        data = document.get("data")
        if not isinstance(data, bytes) or len(data) != length or digest(data) != sha256:
            raise CorruptBlob("its package in the store is not the one that was signed")
        return data

    def collect(self, older_than: float = 3600.0) -> None:
        """Delete packages that no catalog names, and that were uploaded so many seconds ago."""
        # Who may write here may have written anything: what is no date is old.
        known = {"input": "$uploaded", "to": "date", "onError": None, "onNull": None}
        age = {"$subtract": ["$$NOW", {"$convert": known}]}
        is_new = {"$lt": [{"$ifNull": [age, round(older_than * 1000)]}, round(older_than * 1000)]}
        with self._guard():
            named: set[Any] = set()
            for catalog in self._objectives.find(_IS_CATALOG, {"packages": 1}):
                named.update(map(str, sequence(catalog.get("packages"))))
            self._objectives.delete_many(
                {"$and": [_IS_PACKAGE, {"_id": {"$nin": sorted(named)}}], "$expr": {"$not": is_new}}
            )


def _stored(document: Any) -> StoredCatalog:
    return StoredCatalog(document["_id"], document.get("signed"), document.get("signature"))
