"""A package: the files of an objective as bytes, which are the same for the same files.

It is a BSON document, from each file's path to its bytes, by path. A path is plain and relative.
That is checked before anything is written, although the package was signed: nothing but files in
their own folder can come of one.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path
from typing import Any, Dict, Mapping

import bson
import bson.errors

from hyperhive.common.errors import NotTrusted, UsageError

MOST_BYTES = 10_000_000
"""Of a package; the database holds 16 MB in one document."""
MOST_FILES = 1000
_LONGEST = 200
_NEVER = r"\x00-\x1f\x7f\ud800-\udfff/\\:*?\"<>|"
_DEVICE = r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?$"
_PART = re.compile(f"(?i:(?!{_DEVICE}))[^{_NEVER}]*[^{_NEVER}. ]")
"""A name on every system: Unicode, no ``..``, no drive, no device of Windows, no separator, no end
that Windows cuts off."""

Files = Dict[str, bytes]


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return the package of these files."""
    return bytes(bson.encode(dict(sorted(files.items()))))


def digest(package: bytes) -> str:
    """Return the SHA-256 of a package, in hexadecimal."""
    return hashlib.sha256(package).hexdigest()


def unpacked(package: bytes) -> Files:
    """Return the files of a package.

    Raises ``NotTrusted`` for bytes that ``packed`` would not make, and for a path that is not plain
    and relative, or that is not there only once, whatever the case of its letters.
    """
    try:
        document: Mapping[str, Any] = bson.decode(package)
    except bson.errors.BSONError as error:
        raise NotTrusted(f"its package is malformed ({error})") from error
    if not all(isinstance(data, bytes) for data in document.values()):
        raise NotTrusted("its package holds something that is no file")
    wrong = wrong_path(document)
    if wrong is not None:
        raise NotTrusted(f"its package {wrong}")
    if packed(document) != package:
        raise NotTrusted("its package has a file twice, or is not in order")
    return dict(document)


def wrong_path(files: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the paths of some files, as words after "the package"."""
    if not 0 < len(files) <= MOST_FILES:
        return f"has {len(files)} files: it must have 1 to {MOST_FILES}"
    taken: dict[str, str] = {}
    for path in files:
        parts = path.split("/")
        if len(path) > _LONGEST or not all(map(is_plain_name, parts)):
            return f"has the path {path!r:.80}, which is not plain and relative"
        for count in range(1, len(parts) + 1):
            name = "/".join(parts[:count])
            same = _folded(name)
            kind = name if count < len(parts) else f"{name} itself"
            if taken.setdefault(same, kind) != kind:
                return f"has two paths that are the same on some systems: {path!r:.80}"
    return None


def is_plain_name(name: str) -> bool:
    """Return whether a name can be that of one file or folder, on every system."""
    return _PART.fullmatch(name) is not None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def files_of(folder: Path) -> Files:
    """Return every file below a folder, by its path there.

    Raises ``UsageError`` for anything that no package has: a link, what is no file, a name that is
    not plain, and too much to read. Raises ``OSError``.
    """
    found: Files = {}
    length = 0
    for path in folder.rglob("*"):
        is_one = path.is_file() or path.is_dir()
        if path.is_symlink() or not is_one or not is_plain_name(path.name):
            raise UsageError(f"{path} is a link, or no file that a package can have")
        if path.is_file():
            length += path.stat().st_size
            if length > MOST_BYTES or len(found) == MOST_FILES:
                raise UsageError(f"{folder} has too much for a package")
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files, as ``unpacked`` returned them, to a new folder that only this user can enter."""
    folder.mkdir(parents=True, mode=0o700)
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.write_bytes(data)
