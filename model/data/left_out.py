"""What was not read, and why: a few examples of each kind, and how many there are."""

from __future__ import annotations

import collections
from pathlib import PurePath
from typing import Iterable, NamedTuple

_LISTED_AT_MOST = 5


class Kind(NamedTuple):
    """A kind of what is left out, as a person reads it: one, and several."""

    one: str
    many: str


UNREADABLE = Kind("unreadable image", "unreadable images")
UNOPENED = Kind("file or folder that cannot be opened", "files and folders that cannot be opened")
FOREIGN = Kind(
    "file of a format that Pillow does not read", "files of formats that Pillow does not read"
)
OUTSIDE = Kind("picture outside every class folder", "pictures outside every class folder")


class LeftOut:
    """Collects what is left out."""

    def __init__(self) -> None:
        self._items: dict[Kind, list[tuple[PurePath, str]]] = collections.defaultdict(list)

    def add(self, kind: Kind, path: PurePath, reason: str = "") -> None:
        """Note one file or folder."""
        self._items[kind].append((path, f"{path} ({reason})" if reason else str(path)))

    def sentences(self) -> list[str]:
        """Return a sentence for each kind."""
        return [
            f"left out {len(items):,} {kind.one if len(items) == 1 else kind.many}: "
            + listed(text for _, text in items)
            for kind, items in self._items.items()
        ]

    def below(self, folder: PurePath | None) -> str:
        """Return what is left out in a folder, or at all, in brackets; "" if nothing is."""
        inside = [
            text
            for items in self._items.values()
            for path, text in items
            if folder is None or folder == path or folder in path.parents
        ]
        return f" ({len(inside):,} left out: {listed(inside)})" if inside else ""


def clutter_sentences(paths: Iterable[PurePath]) -> list[str]:
    """Return a sentence that counts hidden files and those of systems; none if there are none."""
    names = ("._*" if path.name.startswith("._") else path.name for path in paths)
    counts = sorted(collections.Counter(names).items())
    if not counts:
        return []
    shown = (name if count == 1 else f"{name} ({count:,} times)" for name, count in counts)
    return ["left out hidden and system files: " + listed(shown)]


def listed(texts: Iterable[str], between: str = ", ") -> str:
    """Return the first five texts, and how many more there are."""
    texts = list(texts)
    more = len(texts) - _LISTED_AT_MOST
    return between.join(texts[:_LISTED_AT_MOST]) + (f" and {more:,} more" if more > 0 else "")
