"""A catalog: the signed list of what a key has published in one store.

Its serial number rises with each change, and it names its store: a worker can tell an older list,
or that of another store, from the one that counts. The Update Framework does the same
(https://theupdateframework.io). What is signed is the catalog's canonical JSON.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Mapping

from hyperhive.common.errors import NotTrusted
from hyperhive.common.values import is_sha256
from hyperhive.store.signed.keys import has_signed
from hyperhive.store.signed.package import MOST_BYTES, is_plain_name
from hyperhive.store.trials.terms import HASH_LENGTH

MOST_CATALOG_BYTES = 1 << 20
_FORMAT = "hyperhive objectives 1"
_TEXTS = ("functions", "requires")


@dataclass(frozen=True)
class Entry:
    """What was published: a package of code, and the objectives in it.

    Args:
        name: of the file or the folder, ``digits.py``.
        sha256: of the package's bytes, in hexadecimal.
        length: of the package, in bytes.
        functions: the objectives in it, as ``digits.py:train``.
        requires: the packages that it needs, as PEP 508 writes them.
        python: the versions of Python that it runs on, as PEP 440 writes them; "" for any.
    """

    name: str
    sha256: str
    length: int
    functions: tuple[str, ...]
    requires: tuple[str, ...] = ()
    python: str = ""

    @property
    def title(self) -> str:
        """Its name and version: ``digits.py@1f2e3d4c5b6a``."""
        return f"{self.name}@{self.version}"

    @property
    def version(self) -> str:
        """The beginning of its hash, which is part of the names of its objectives."""
        return self.sha256[:HASH_LENGTH]

    @property
    def objectives(self) -> tuple[str, ...]:
        """The names of its objectives, ``digits.py:train@1f2e3d4c5b6a``."""
        return tuple(map(self.named, self.functions))

    def named(self, function: str) -> str:
        """Return the name of the objective that is this function, ``digits.py:train``."""
        return f"{function}@{self.version}"

    @property
    def needs(self) -> str:
        """What a worker needs for it, for people; "" for nothing."""
        python = [f"Python {self.python}"] if self.python else []
        return ", ".join((*self.requires, *python))


@dataclass(frozen=True)
class Catalog:
    """What a key has published in the store of this identity, as of ``serial``.

    If ``revoked``, the key is never to be trusted again, in no store.
    """

    store: str
    serial: int = 0
    revoked: bool = False
    entries: tuple[Entry, ...] = ()

    def with_entry(self, entry: Entry) -> Catalog:
        """Return a catalog that has this entry too, as its last one and the only one of its hash.

        A file and a folder with nothing else in it are the same package: once one is withdrawn, no
        other title must go on offering its objectives.
        """
        return replace(self, entries=(*self.without(entry.sha256).entries, entry))

    def without(self, sha256: str) -> Catalog:
        """Return a catalog without the entry of this hash."""
        rest = tuple(entry for entry in self.entries if entry.sha256 != sha256)
        return replace(self, entries=rest)

    def encode(self) -> bytes:
        """Return the bytes that are signed."""
        document = {"format": _FORMAT, **asdict(self)}
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def verified(key: str, signed: Any, signature: Any, store: str | None) -> Catalog:
    """Return the catalog that a key has signed for the store of this identity.

    Raises ``NotTrusted`` for anything else, in words that follow a key.
    """
    if not (isinstance(signed, bytes) and isinstance(signature, bytes)):
        raise NotTrusted("its catalog in the store is not signed: publish again")
    if len(signed) > MOST_CATALOG_BYTES or not has_signed(key, signature, signed):
        raise NotTrusted("its catalog in the store was changed by somebody without the key")
    catalog = _decoded(signed)
    if catalog.store != store:
        raise NotTrusted("its catalog was signed for another store, and somebody copied it here")
    return catalog


def _decoded(signed: bytes) -> Catalog:
    """Return the catalog of these bytes; raises ``NotTrusted`` unless it encodes to the same."""
    try:
        document = json.loads(signed)
        form = document.pop("format")
        if form != _FORMAT:
            raise NotTrusted(f"its catalog has the format {form!r:.40}: update hyperhive here")
        entries = tuple(map(_entry, document.pop("entries")))
        catalog = Catalog(entries=entries, **document)
        is_same = catalog.encode() == signed
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NotTrusted(f"its catalog is malformed ({error!r:.80}): publish again") from error
    right = isinstance(catalog.store, str) and type(catalog.serial) is int
    if not (is_same and right and isinstance(catalog.revoked, bool)):
        raise NotTrusted("its catalog is malformed: publish again")
    return catalog


def _entry(document: Mapping[str, Any]) -> Entry:
    fields = {**document, **{name: tuple(document[name]) for name in _TEXTS}}
    entry = Entry(**fields)
    texts = (entry.name, entry.python, *entry.functions, *entry.requires)
    if not all(isinstance(each, str) for each in texts):
        raise ValueError("something that must be text is not")
    if not (is_sha256(entry.sha256) and type(entry.length) is int):
        raise ValueError("the hash or the length of a package")
    if not 0 < entry.length <= MOST_BYTES:
        raise ValueError(f"a package of {entry.length} bytes")
    for function in entry.functions:
        file, _, name = function.rpartition(":")
        if not (is_plain_name(file) and file.endswith(".py") and name.isidentifier()):
            raise ValueError(f"the name of an objective, {function!r:.80}")
    return entry
