"""What is published in a store, as ``hyperhive objectives list`` shows it."""

from __future__ import annotations

from typing import Iterator

from hyperhive.common.errors import NotTrusted
from hyperhive.common.text import printable
from hyperhive.coordinator.publishing import key as keys
from hyperhive.store.signed.catalog import verified
from hyperhive.store.signed.seen import GONE, Seen
from hyperhive.store.store import Store


def lines(store: Store) -> Iterator[str]:
    """Yield a line for each key that has a catalog in a store, and for each entry, newest first.

    A catalog that a worker of this user would refuse is named, and its entries are not shown.
    """
    identity = store.identity()
    own = keys.existing(identity)
    seen = Seen()
    catalogs = store.catalogs.all()
    uploaded = store.catalogs.uploaded()
    for stored in catalogs:
        whose = ", this user's" if own is not None and own.public == stored.key else ""
        key = f"key {printable(stored.key)}{whose}"
        try:
            catalog = verified(stored.key, stored.signed, stored.signature, identity)
            if catalog.revoked:
                yield f"{key}: revoked"
                continue
            seen.require_current(stored.key, catalog)
        except NotTrusted as error:
            yield f"{key}: {error}"
            continue
        yield f"{key}:" if catalog.entries else f"{key}: nothing"
        for entry in reversed(catalog.entries):
            needed = f", needs {entry.needs}" if entry.needs else ""
            at = uploaded.get(entry.sha256)
            date = f"{at:%Y-%m-%d %H:%M} UTC" if at else "its package is not in the store"
            yield f"  {entry.title} ({date}): {', '.join(entry.objectives)}{needed}"
    is_gone = own is not None and all(own.public != stored.key for stored in catalogs)
    if own is not None and is_gone and seen.serial(own.public, str(identity)):
        yield f"key {own.public}, this user's: {GONE}"
    elif not catalogs:
        yield "nothing is published"
