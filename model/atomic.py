"""Files that are there whole or not at all."""

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Write a file under a name of its own, then put it in its place; raises ``OSError``."""
    partial = path.with_name("{}.{}.part".format(path.name, os.getpid()))
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
