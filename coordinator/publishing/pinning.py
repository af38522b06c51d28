"""The version of published code that a study runs, so that it keeps the code it began with."""

from __future__ import annotations

import shlex
from pathlib import Path

from hyperhive.common.errors import NotTrusted, UsageError
from hyperhive.coordinator.publishing import key as keys
from hyperhive.coordinator.publishing.source import read
from hyperhive.store.signed.catalog import Entry
from hyperhive.store.signed.keys import short
from hyperhive.store.signed.seen import Seen
from hyperhive.store.signed.seen import read as read_catalog
from hyperhive.store.store import Store


def pinned(objective: str, file: Path, store: Store) -> str:
    """Return the published name of an objective ``digits.py:train``, as its file is now.

    It stays as it is if this user has not published the file, or the folder that it is in. Raises
    ``UsageError`` if what was published differs from what is here, ``NotTrusted`` if somebody has
    changed this user's catalog.
    """
    mine = [entry for entry in _entries(store) if _is_of(entry, objective, file)]
    for entry in mine:
        if read(_published(entry, file))[0].sha256 == entry.sha256:
            return f"{objective}@{entry.version}"
    if mine:
        titles, path = [entry.title for entry in mine], shlex.quote(str(_published(mine[-1], file)))
        raise UsageError(
            f"{file.name} differs from what was published as {' and as '.join(titles)}: run "
            f"`hyperhive objectives publish {path}`, or `hyperhive objectives withdraw "
            f"{shlex.quote(titles[-1])}` if workers are to have copies of their own (--objectives)"
        )
    return objective


def _entries(store: Store) -> tuple[Entry, ...]:
    """Return what this user has published in a store."""
    identity = store.identity()
    key = keys.existing(identity)
    if key is None:
        return ()
    seen = Seen()
    reading = read_catalog(store.catalogs, key.public, str(identity), seen)
    if reading.refusal is not None and not seen.is_revoked(key.public):
        raise NotTrusted(f"key {short(key.public)}: {reading.refusal}")
    return reading.catalog.entries


def _is_of(entry: Entry, objective: str, file: Path) -> bool:
    is_here = entry.name in (file.name, file.resolve().parent.name)
    return is_here and objective in entry.functions


def _published(entry: Entry, file: Path) -> Path:
    """Return the path of what an entry was made of: the file, or its folder."""
    return file if entry.name == file.name else file.resolve().parent
