"""What is published in a store, as ``hyperhive objectives list`` shows it."""

from __future__ import annotations

from typing import Iterator

from hyperhive.common.errors import NotTrusted, UsageError
from hyperhive.common.text import printable
from hyperhive.coordinator.publishing import key as keys
from hyperhive.store.signed.catalog import verified
from hyperhive.store.store import Store


def lines(store: Store) -> Iterator[str]:
    """Yield a line for each key that has a catalog in a store, and for each entry of it.

    A catalog that its key has not signed is named, and its entries are not shown.
    """
    identity = store.identity()
    own = keys.existing(identity)
    is_empty = True
    for stored in store.catalogs.all():
        is_empty = False
        whose = ", this user's" if own is not None and own.public == stored.key else ""
        key = f"key {printable(stored.key)}{whose}"
        try:
            catalog = verified(stored.key, stored.signed, stored.signature, identity)
        except (NotTrusted, UsageError) as error:
            yield f"{key}: {error}"
            continue
        if catalog.revoked:
            yield f"{key}: revoked"
            continue
        yield f"{key}:" if catalog.entries else f"{key}: nothing"
        for entry in catalog.entries:
            needed = f", needs {entry.needs}" if entry.needs else ""
            yield f"  {entry.title}: {', '.join(entry.objectives)}{needed}"
    if is_empty:
        yield f"nothing is published on {store.address}"
