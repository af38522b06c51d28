"""The version of published code that a study runs, so that it keeps the code it began with."""

from __future__ import annotations

import shlex
from pathlib import Path

from hyperhive.common.errors import NotTrusted, UsageError
from hyperhive.common.values import text
from hyperhive.coordinator.publishing import key as keys
from hyperhive.coordinator.publishing.source import files_to_publish, name_of
from hyperhive.store.errors import CorruptBlob, NotFound
from hyperhive.store.signed.catalog import Entry
from hyperhive.store.signed.keys import short
from hyperhive.store.signed.package import digest, packed, unpacked
from hyperhive.store.signed.seen import Seen
from hyperhive.store.signed.seen import read as read_catalog
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import is_published


def pinned(objective: str, file: Path, study: str, store: Store) -> str:
    """Return the published name of an objective ``digits.py:train``, as its file is now.

    A study that exists keeps the one that it has. The name stays as it is if this user has not
    published the file, or the folder that it is in. Raises ``UsageError`` if what was published
    differs from what is here, ``NotTrusted`` if somebody has changed this user's catalog.
    """
    stored = store.studies.get(study)
    before = None if stored is None else text(stored.spec.get("objective"))
    if before is not None and objective in (before, _without_version(before)):
        return before
    entries = [entry for entry in _entries(store) if objective in entry.functions]
    places = {name_of(place): place for place in (file, file.resolve().parent)}
    mine = [entry for entry in entries if entry.name in places]
    # A folder with nothing else is the same package as the file, under another title.
    for place in dict.fromkeys([file, *(places[entry.name] for entry in mine)] if entries else []):
        version = _version(place)
        for entry in entries:
            if entry.sha256 == version:
                return entry.named(objective)
    if mine:
        raise UsageError(_differs(store, mine[-1], places[mine[-1].name]))
    return objective


def _without_version(objective: str) -> str:
    return objective.rpartition("@")[0] if is_published(objective) else objective


def _version(place: Path) -> str | None:
    """Return the hash of what would be published, None if that cannot be."""
    try:
        return digest(packed(files_to_publish(place)))
    except UsageError:
        return None


def _differs(store: Store, entry: Entry, place: Path) -> str:
    return (
        f"{place} is not what was published as {entry.title} "
        f"({_first_difference(store, entry, place)}): publish it again (`hyperhive objectives "
        f"publish {shlex.quote(str(place))}`), or restore it. If workers are to have copies "
        "of their own (--objectives), rename it, or withdraw all its versions (`hyperhive "
        "objectives list`)"
    )


def _first_difference(store: Store, entry: Entry, place: Path) -> str:
    """Return which file is not as it was published, in words."""
    try:
        files = files_to_publish(place)
        before = unpacked(store.catalogs.download(entry.sha256, entry.length))
    except (UsageError, NotFound, CorruptBlob) as error:
        return str(error)
    paths = sorted({*files, *before})
    first = next(path for path in paths if files.get(path) != before.get(path))
    return f"{first} {'differs' if first in files and first in before else 'is in only one'}"


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
