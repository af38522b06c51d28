"""What lies in a folder: one way for data sets and for predict-cam."""

from __future__ import annotations

import functools
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Callable, Iterator

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.names import is_clutter

CLUTTER = "hidden, or a system's own"
_LARGEST = 1 << 28
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class Found:
    """A file, a folder, or what is left out.

    Args:
        path: relative to the folder or zip.
        read: returns the bytes of a file; None for a folder and for what is left out.
        reason: why it is left out; otherwise "".
    """

    path: PurePosixPath
    read: Callable[[], bytes] | None = None
    reason: str = ""


def walk(root: Path) -> Iterator[Found]:
    """Yield all that is below a folder, in no order.

    Links are followed, but not to a folder that contains them. What is hidden or a system's own,
    and what is neither a regular file nor a folder that can be listed, is left out.
    """
    waiting: list[tuple[PurePosixPath, frozenset[tuple[int, int]]]] = [
        (PurePosixPath("."), frozenset())
    ]
    while waiting:
        inside, above = waiting.pop()
        try:
            about = os.stat(root / inside)
            identity = (about.st_dev, about.st_ino)
            if identity in above:
                yield Found(inside, reason="a link to a folder that contains it")
                continue
            with os.scandir(root / inside) as listed:
                entries = list(listed)
        except OSError as error:
            yield Found(inside, reason=error.strerror or str(error))
            continue
        if inside.parts:
            yield Found(inside)
        for entry in entries:
            path = inside / entry.name
            if is_clutter(entry.name):
                yield Found(path, reason=CLUTTER)
            elif _is(entry.is_dir):
                waiting.append((path, above | {identity}))
            elif _is(entry.is_file):
                yield Found(path, functools.partial(read_file, root / path))
            else:
                yield Found(path, reason=_irregular(root / path))


def read_file(path: Path) -> bytes:
    """Return a regular file's bytes.

    Raises ``DatasetError`` for anything else, where reading might wait for ever, and for a file of
    more than 256 MB, which is no picture; and ``OSError``.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise DatasetError(_kind(about.st_mode))
    require_small(about.st_size)
    return path.read_bytes()


def require_small(size: int) -> None:
    """Raise ``DatasetError`` for a file of more bytes than a picture has."""
    if size > _LARGEST:
        raise DatasetError(f"{size >> 20:,} MB, and at most {_LARGEST >> 20} MB are read")


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # by a link that leads to itself; ``_irregular`` finds the reason again
        return False


def _irregular(path: Path) -> str:
    try:
        return _kind(path.stat().st_mode)
    except OSError as error:
        return f"a broken link: {error.strerror}" if path.is_symlink() else str(error.strerror)


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "no regular file")
