"""Files that appear whole or not at all: write under a temporary name, then rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
import threading
from pathlib import Path
from typing import BinaryIO, Iterator

from hyperhive.common.errors import OutputError, ReadableByOthers
from hyperhive.common.text import decoded

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)
"""The errors of a disk without room, or a user without: they may pass."""

_PIECE = 1 << 20


def require_writable(folder: Path, purpose: str, advice: str, may_be_full: bool = False) -> None:
    """Try whether a folder can be written, or made, before work depends on that; leave nothing.

    Raises ``OutputError``.

    Args:
        folder: the folder, which need not exist.
        purpose: what it is for, after "the folder of".
        advice: what the user can do, as an imperative.
        may_be_full: accept a disk that has no room at present.
    """
    try:
        existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        with tempfile.TemporaryFile(dir=str(existing)):
            pass
    except OSError as error:
        if may_be_full and error.errno in DISK_IS_FULL:
            return
        raise OutputError(
            f"{folder}, the folder of {purpose}, cannot be written ({error.strerror}): {advice}"
        ) from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path``; at the end its file replaces ``path``.

    The temporary name is hidden, so what a killed process leaves is no part of a data set. If the
    block raises or writes nothing, ``path`` is unchanged and the temporary file is removed. Raises
    ``OSError``.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write(path: Path, data: bytes, durable: bool = False) -> None:
    """Write a file; ``durable`` waits until it would survive a power cut. Raises ``OSError``."""
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    if durable:
        _sync_folder(path.parent)


def copy(source: BinaryIO, path: Path, most: int) -> tuple[str, int]:
    """Copy what is left of an open file into a new one, durably, a megabyte at a time.

    Returns the SHA-256, in hexadecimal, and the length of what was copied. No more than ``most``
    bytes are written: a longer file's length is told as more than that. Raises ``OSError``.
    """
    digest, length = hashlib.sha256(), 0
    with path.open("xb") as file:
        for piece in iter(lambda: source.read(_PIECE), b""):
            length += len(piece)
            if length > most:
                break
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)
    return digest.hexdigest(), length


def digest(source: BinaryIO) -> tuple[str, int]:
    """Return the SHA-256, in hexadecimal, and the length of what is left of an open file."""
    sha256, length = hashlib.sha256(), 0
    for piece in iter(lambda: source.read(_PIECE), b""):
        sha256.update(piece)
        length += len(piece)
    return sha256.hexdigest(), length


def take(source: Path, path: Path) -> tuple[str, int]:
    """Move a file within a disk, durably; return its ``digest``. Raises ``OSError``."""
    # Windows syncs only what may be written.
    with source.open("rb") if os.name == "posix" else source.open("r+b") as file:
        found = digest(file)
        os.fsync(file.fileno())
    os.replace(source, path)
    _sync_folder(path.parent)
    return found


def move(source: Path, path: Path) -> None:
    """Move a file, durably, and to another disk too; its new folder is made if needed.

    It is never in no place: if this is killed while it copies to another disk, the file may be in
    both. Raises ``OSError``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        write(path, source.read_bytes(), durable=True)
        source.unlink()
    _sync_folder(path.parent)


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user may read (mode 0600), durably; make its folder if needed.

    Raises ``OSError``.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with replacing(path) as partial:
        # The mode is set when the file is created, so others can never read it.
        descriptor = os.open(str(partial), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    _sync_folder(path.parent)


def read_text(path: Path) -> str:
    """Read a text file of the user's, see ``decoded``.

    Raises ``OSError``, ``UnicodeDecodeError``.
    """
    return decoded(path.read_bytes())


def read_private(path: Path) -> str:
    """Read a file that contains a password or a private key.

    Raises ``ReadableByOthers`` if other users may read it, ``OSError``.
    """
    with path.open("rb") as file:
        others = stat.S_IRWXG | stat.S_IRWXO
        if os.name == "posix" and os.fstat(file.fileno()).st_mode & others:
            raise ReadableByOthers(
                f"{path} is secret, and other users may read it: run `chmod 600 {path}`"
            )
        return decoded(file.read(), errors="replace")


def _sync_folder(folder: Path) -> None:
    """Make a rename durable: the new name is data of the folder. Windows cannot sync a folder."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(str(folder), os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
