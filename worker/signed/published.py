"""The published objectives that a worker offers: those that a key has signed which it was given."""

from __future__ import annotations

import functools
import logging
import time
from typing import Any, Iterable, Mapping

from hyperhive.common.errors import DeviceError, HyperhiveError
from hyperhive.common.text import shortened
from hyperhive.store.errors import NotAllowed, StoreUnavailable, Unreadable
from hyperhive.store.signed.catalog import Entry
from hyperhive.store.signed.keys import short
from hyperhive.store.signed.seen import Seen, read
from hyperhive.store.store import Store
from hyperhive.store.workers import MOST_REFUSED
from hyperhive.worker.objectives.api import Context, Objective, Outcome
from hyperhive.worker.signed.code import Code
from hyperhive.worker.signed.requirements import unmet

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0
_LONGEST = 200
"""Characters of a reason in the worker's record."""
_OLD_ROLES = (
    "this login may not read what is published: run `hyperhive mongo init` again with an "
    "administrator's login"
)


class Published:
    """Keeps a worker's objectives as the catalogs of its keys have them.

    Nothing in the store is believed: see ``hyperhive.store.signed.seen``. What is refused is not
    offered, and is told.

    Args:
        keys: that the worker was given.
        objectives: all that it can run, by name; published ones are added here, and removed.
        tells: whether to log what changes; one slot of a worker does that for all.
    """

    def __init__(
        self, keys: Iterable[str], objectives: dict[str, Objective], tells: bool = True
    ) -> None:
        self._keys = tuple(keys)
        self._objectives = objectives
        self._tells = tells
        self._seen = Seen()
        self._codes: dict[str, Code] = {}
        self._entries: dict[str, Entry] = {}
        self._refused: dict[str, str] = {}
        self._store: Store | None = None
        self._signatures: Mapping[str, Any] | None = None
        self._next_look = 0.0
        self._has_changed = False

    @property
    def refused(self) -> tuple[tuple[str, str], ...]:
        """What is refused, objectives and keys, each with the reason."""
        reasons = list(self._refused.items())[:MOST_REFUSED]
        return tuple((what, shortened(why, _LONGEST)) for what, why in reasons)

    def refresh(self, store: Store) -> bool:
        """Look at the catalogs, but not often; return whether anything is offered or refused anew.

        Raises ``StoreUnavailable``.
        """
        if store is not self._store:
            self._store, self._signatures, self._next_look = store, None, 0.0
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_EVERY_S
            self._compare(store)
        changed, self._has_changed = self._has_changed, False
        return changed

    def _compare(self, store: Store) -> None:
        try:
            signatures = store.catalogs.signatures(self._keys)
        except (NotAllowed, Unreadable) as error:
            # What may not be read has the roles of an older hyperhive.
            why = _OLD_ROLES if isinstance(error, NotAllowed) else str(error)
            self._offer({}, dict.fromkeys(map(_named, self._keys), why))
            return
        if signatures != self._signatures:
            entries: dict[str, Entry] = {}
            refused: dict[str, str] = {}
            for key in self._keys:
                self._read(store, key, entries, refused)
            self._offer(entries, refused)
            self._signatures = signatures

    def _read(
        self, store: Store, key: str, entries: dict[str, Entry], refused: dict[str, str]
    ) -> None:
        """Add what a key has published in this store, or why that is refused."""
        reading = read(store.catalogs, key, str(store.identity()), self._seen)
        if reading.refusal is not None:
            refused[_named(key)] = reading.refusal
            return
        for entry in reading.catalog.entries:
            reason = unmet(entry)
            for name in entry.objectives:
                if reason is not None:
                    refused[name] = reason
                elif entries.setdefault(name, entry).sha256 != entry.sha256:
                    refused[name] = "two keys have published different code under this name"

    def _offer(self, entries: Mapping[str, Entry], refused: Mapping[str, str]) -> None:
        """Offer these objectives and no others that are published."""
        offered = {name: entry for name, entry in entries.items() if name not in refused}
        if (offered, refused) == (self._entries, self._refused):
            return
        if self._tells:
            self._tell(offered, refused)
        for name in self._entries:
            self._objectives.pop(name, None)
        for name, entry in offered.items():
            function = name.rpartition("@")[0]
            if entry.sha256 not in self._codes:
                self._codes[entry.sha256] = Code(entry)
            code = self._codes[entry.sha256]
            self._objectives[name] = functools.partial(self._run, code, entry, function)
        self._entries, self._refused = offered, dict(refused)
        self._has_changed = True

    def _tell(self, offered: Mapping[str, Entry], refused: Mapping[str, str]) -> None:
        """Log what changes."""
        for what in sorted(refused):
            if self._refused.get(what) != refused[what]:
                log.warning("%s is refused: %s", what, refused[what])
        for name in sorted(set(offered) - set(self._entries)):
            log.info("objective %s is published", name)
        for name in sorted(set(self._entries) - set(offered)):
            log.info("objective %s is no longer offered", name)

    def _run(
        self, code: Code, entry: Entry, function: str, config: Mapping[str, Any], context: Context
    ) -> Outcome:
        """Run a published objective. If it cannot be run here, refuse it from now on."""
        name = entry.named(function)
        download = functools.partial(context.store.catalogs.download, entry.sha256, entry.length)
        try:
            objective = code.objective(function, download)
        except StoreUnavailable:
            raise
        except (HyperhiveError, OSError) as error:
            if isinstance(error, HyperhiveError):  # a full disk may have room later
                self._refused[name] = str(error)
                self._objectives.pop(name, None)
                self._has_changed = True
            raise DeviceError(f"{name} is refused here: {error}") from error
        with code.importing():
            return objective(config, context)


def _named(key: str) -> str:
    return f"key {short(key)}"
