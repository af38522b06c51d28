"""Locks between processes: the system releases one when its process dies, in whatever way."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Iterator

import portalocker

SHARED, ALONE, AT_ONCE = (
    portalocker.LOCK_SH,
    portalocker.LOCK_EX,
    portalocker.LOCK_EX | portalocker.LOCK_NB,
)
"""Ways to hold a lock: beside others, alone, and alone without waiting for others to let go."""

LOCK_IS_HELD = (portalocker.LockException, portalocker.AlreadyLocked)
"""What ``AT_ONCE`` raises if another process holds the lock."""


@contextlib.contextmanager
def locked(path: Path, how: portalocker.LockFlags, create: bool = True) -> Iterator[Any]:
    """Hold a lock on a file; give the open file.

    A file that does not exist is made, or else ``FileNotFoundError`` is raised.
    """
    with path.open("a" if create else "r+") as file:
        portalocker.lock(file, how)
        yield file


def is_unlocked(path: Path) -> bool:
    """Return whether no process holds a lock on a file, as if it does not exist. Writes nothing."""
    try:
        with locked(path, AT_ONCE, create=False):
            return True
    except FileNotFoundError:
        return True
    except LOCK_IS_HELD:
        return False
