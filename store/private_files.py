"""Files that hold a password: for this user's eyes only, and whole or not there at all."""

import os
import stat
import tempfile
from pathlib import Path

from store.errors import ReadableByOthers


def write(path: Path, text: str) -> None:
    """Write a file of mode 0600, in place of the one that is there; its folder is made if need be.

    It is on the disk when this returns. Raises ``OSError``.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def read(path: Path) -> str:
    """Read such a file. Raises ``ReadableByOthers`` for one that others may read, ``OSError``."""
    with path.open(encoding="utf-8", errors="replace") as file:
        others = stat.S_IRWXG | stat.S_IRWXO
        if os.name == "posix" and os.fstat(file.fileno()).st_mode & others:
            raise ReadableByOthers(
                "{0} holds a password, and others on this machine may read it: "
                "chmod 600 {0}".format(path)
            )
        return file.read()
