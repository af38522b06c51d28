"""Class folders that pictures are put into, and what a class may be called."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator

from hyperhive.common.errors import UsageError
from hyperhive.common.text import printable
from hyperhive.model.data.class_folders import split_of
from hyperhive.model.data.dataset import TRAIN
from hyperhive.model.data.images import is_image
from hyperhive.model.data.names import class_name, is_clutter, is_storable
from hyperhive.model.data.series import CORRECTED
from hyperhive.model.data.walk import walk

_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*]')
"""What no name on Windows may have; ``/`` none anywhere."""

_DEVICES = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE | re.DOTALL
)
"""Names that Windows keeps for devices, with any suffix (Naming Files, Paths, and Namespaces)."""

_LONGEST = 200
"""Bytes of UTF-8. File systems take 255, encrypted ones less."""


def hindrance(name: str) -> str | None:
    """Return why no class folder can have this name on Linux, macOS and Windows, or None."""
    if not is_storable(name):
        return "it needs 1 to 255 characters, without control characters"
    if len(name.encode()) > _LONGEST:
        return f"it is longer than {_LONGEST} bytes"
    found = _NOT_IN_NAMES.search(name)
    if found:
        return f"a folder's name cannot have {found[0]} on all systems"
    if name.endswith("."):
        return "a folder's name cannot end in a dot on Windows"
    if _DEVICES.fullmatch(name):
        return "Windows keeps this name for a device"
    if is_clutter(name):
        return "a data set leaves out a folder of this name"
    if name.casefold() == CORRECTED:
        return "pictures that correct a model have folders of this name"
    if split_of(name):
        return "a data set takes a folder of this name for one of its splits"
    return None


def as_folder(label: str) -> str:
    """Return a folder's name for a model's class, whatever its name; ``a/b`` is ``a%2Fb``."""
    if hindrance(label) is None or split_of(label):
        return label
    name = _NOT_IN_NAMES.sub(lambda found: f"%{ord(found[0]):02X}", label)
    return name if hindrance(name) is None else f"%{name}%"


class Classes:
    """The classes that have a folder in a folder, which need not exist.

    Iterating gives their names, sorted. Raises ``UsageError`` if the folder is a file, or if its
    folders are the splits of a data set.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, Path] = {}
        if not root.exists():
            return
        if not root.is_dir():
            raise UsageError(f"{root} is a file: give the folder that has the class folders")
        inside = sorted(each for each in root.iterdir() if each.is_dir())
        folders = [each for each in inside if not is_clutter(each.name)]
        splits = {split_of(each.name): each for each in folders}
        if TRAIN in splits and len(splits.keys() - {None}) > 1:
            raise UsageError(
                f"{root} has the splits of a data set: give the one to add to, {splits[TRAIN]}"
            )
        self._folders = {class_name(each.name): each for each in folders}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._folders))

    def called(self, text: str) -> str:
        """Return the class that a person means; a new one is remembered.

        ``Cat`` is the class ``cat`` if that has a folder: on a Mac, both would be one folder.
        Raises ``UsageError`` for a name that a folder cannot have.
        """
        name = class_name(text)
        for each in self._folders:
            if each.casefold() == name.casefold():
                return each
        reason = hindrance(name)
        if reason:
            raise UsageError(f"no class can be called {printable(name) or 'nothing'}: {reason}")
        self._folders[name] = self.root / name
        return name

    def folder(self, name: str) -> Path:
        """Return the folder of a class, which need not exist yet; see ``called``."""
        return self._folders[self.called(name)]

    def counts(self) -> dict[str, int]:
        """Return how many images each class has, by its name."""
        return {name: _images_in(self._folders[name]) for name in self}


def _images_in(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return sum(found.read is not None and is_image(found.path) for found in walk(folder))
