"""What this user has seen of each key: the highest serial in each store, and whether it is revoked.

It is on this machine's disk, where the database cannot reach it: an older catalog is refused, also
after a restart, and a key that was once seen to be revoked is never trusted again.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Iterator

from hyperhive.common import files, paths
from hyperhive.common.errors import NotTrusted
from hyperhive.common.locks import ALONE, locked
from hyperhive.store.errors import Unreadable
from hyperhive.store.signed.catalog import Catalog, verified
from hyperhive.store.signed.catalogs import Catalogs, StoredCatalog

_TRIES = 3
GONE = "its catalog is gone from the store: publish again"


def folder() -> Path:
    """Return the folder of this user's signing keys, and of what was seen."""
    return paths.data_directory() / "objectives"


@dataclass(frozen=True)
class _State:
    """Serials by key and store, and the revoked keys."""

    serials: dict[str, dict[str, int]] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)


class Seen:
    """What was seen, for all processes of this user."""

    def __init__(self) -> None:
        self._path = folder() / "seen.json"

    def accept(self, key: str, catalog: Catalog) -> None:
        """Remember a verified catalog; raises ``NotTrusted`` if it is older, or the key revoked.

        Raises ``NotTrusted`` too if this cannot be remembered: then it could not be relied upon.
        """
        try:
            with self._changing() as state:
                if catalog.revoked and key not in state.revoked:
                    state.revoked.append(key)
                    self._write(state)
                _require_current(state, key, catalog)
                at = state.serials.setdefault(key, {})
                if catalog.serial > at.get(catalog.store, 0):
                    at[catalog.store] = catalog.serial
                    self._write(state)
        except OSError as error:
            raise NotTrusted(f"{self._path} cannot be written ({error.strerror})") from error

    def require_current(self, key: str, catalog: Catalog) -> None:
        """Raise ``NotTrusted`` for a verified catalog as ``accept`` does, and remember nothing."""
        with self._changing() as state:
            _require_current(state, key, catalog)

    def serial(self, key: str, store: str) -> int:
        """Return the highest serial of a key's catalogs in a store, as seen here; 0 for none."""
        with self._changing() as state:
            return state.serials.get(key, {}).get(store, 0)

    def is_revoked(self, key: str) -> bool:
        """Return whether a key was seen to be revoked."""
        with self._changing() as state:
            return key in state.revoked

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_State]:
        """Give what is on the disk, while no other process can change it."""
        with contextlib.ExitStack() as stack:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                stack.enter_context(locked(self._path.with_suffix(".lock"), ALONE))
                known = json.loads(self._path.read_bytes()) if self._path.exists() else {}
                state = _State(**known)
                _require_types(state)
            except OSError as error:
                raise NotTrusted(f"{self._path} cannot be used ({error.strerror})") from error
            except (ValueError, TypeError, AttributeError) as error:
                raise NotTrusted(
                    f"{self._path} is damaged: restore it, or delete it to trust again whatever "
                    "the store has"
                ) from error
            yield state

    def _write(self, state: _State) -> None:
        files.write(self._path, json.dumps(asdict(state)).encode(), durable=True)


def _require_current(state: _State, key: str, catalog: Catalog) -> None:
    if key in state.revoked:
        raise NotTrusted(
            "it was revoked: start the worker with a new line of `hyperhive mongo invite`"
        )
    before = state.serials.get(key, {}).get(catalog.store, 0)
    if catalog.serial < before:
        raise NotTrusted(
            f"its catalog in the store, number {catalog.serial}, is older than number {before}, "
            "which was here before: publish again"
        )


def _require_types(state: _State) -> None:
    counts = [count for at in state.serials.values() for count in at.values()]
    is_right = all(isinstance(key, str) for key in state.revoked)
    if not (is_right and all(type(count) is int for count in counts)):
        raise ValueError("a value has the wrong type")


@dataclass(frozen=True)
class Reading:
    """A key's catalog as it is stored, and as it may be believed; or why not, after a key.

    ``catalog`` is an empty one if there is none in the store, or none to believe.
    """

    stored: StoredCatalog | None
    catalog: Catalog
    refusal: str | None = None


def read(catalogs: Catalogs, key: str, identity: str, seen: Seen) -> Reading:
    """Return a key's catalog in the store of this identity, if it may be believed.

    Its key has signed it for this store, was never seen to be revoked, and has signed no newer one
    that was seen here.
    """
    reading = _read(catalogs, key, identity, seen)
    for _ in range(_TRIES):
        if reading.refusal is None:
            break
        before = reading.stored
        reading = _read(catalogs, key, identity, seen)
        if reading.stored == before:
            break
        # Else another process of this user may have seen a newer one since that was read.
    return reading


def _read(catalogs: Catalogs, key: str, identity: str, seen: Seen) -> Reading:
    try:
        serial = seen.serial(key, identity)  # first: what is in the store is not older
    except NotTrusted as error:
        return Reading(None, Catalog(identity), str(error))
    empty = Catalog(identity, serial)
    try:
        stored = catalogs.get(key)
    except Unreadable as error:
        return Reading(None, empty, str(error))
    if stored is None:
        return Reading(None, empty, GONE if serial else None)
    try:
        catalog = verified(key, stored.signed, stored.signature, identity)
        seen.accept(key, catalog)
    except NotTrusted as error:
        return Reading(stored, empty, str(error))
    return Reading(stored, catalog)
