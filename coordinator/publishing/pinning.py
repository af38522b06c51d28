"""The version of published code that a study runs, so that it keeps the code it began with."""

from __future__ import annotations

import shlex
from pathlib import Path

from hyperhive.common.errors import NotTrusted, UsageError
from hyperhive.coordinator.publishing import key as keys
from hyperhive.coordinator.publishing.source import read
from hyperhive.store.signed.catalog import Catalog, Entry
from hyperhive.store.signed.keys import short
from hyperhive.store.signed.seen import Seen, accepted
from hyperhive.store.store import Store


def pinned(objective: str, file: Path, store: Store) -> str:
    """Return the published name of an objective ``digits.py:train``, as its file is now.

    It stays as it is if this user has not published the file, or the folder that it is in. Raises
    ``UsageError`` if what was published differs from what is here, ``NotTrusted`` if somebody has
    changed this user's catalog.
    """
    catalog = _catalog(store)
    mine = [entry for entry in catalog or () if _is_of(entry, objective, file)]
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


def _catalog(store: Store) -> Catalog | None:
    """Return this user's catalog in a store, None if it has none."""
    identity = store.identity()
    key = keys.existing(identity)
    stored = None if key is None else store.catalogs.get(key.public)
    if key is None or stored is None:
        return None
    seen = Seen()
    try:
        return accepted(stored, str(identity), seen)
    except NotTrusted as error:
        if seen.is_revoked(key.public):
            return None
        raise NotTrusted(f"key {short(key.public)}: {error}") from error


def _is_of(entry: Entry, objective: str, file: Path) -> bool:
    is_here = entry.name in (file.name, file.resolve().parent.name)
    return is_here and objective in entry.functions


def _published(entry: Entry, file: Path) -> Path:
    """Return the path of what an entry was made of: the file, or its folder."""
    return file if entry.name == file.name else file.resolve().parent
