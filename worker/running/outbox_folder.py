"""The folder that a worker process has in the outbox: its files, by their names."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import Callable, TypeVar

from hyperhive.store.errors import (
    BadCertificate,
    LoginRefused,
    NotAllowed,
    StoreError,
    StoreUnavailable,
)

log = logging.getLogger(__name__)

LOCK = "lock"
ENTRY, FILES, BATCH = ".bson", ".files", ".batch"
"""What the names end with: of a result's entry, of the folder of its saved files, and of a batch's
results, where their number stands before. Workers of earlier versions pass by a batch."""

NOT_OF_ONE = (StoreUnavailable, LoginRefused, NotAllowed, BadCertificate)
"""Errors that all other results would meet too."""

_Content = TypeVar("_Content")


def count(folder: Path) -> int:
    """Return how many results a folder has; 0 if another worker is removing it."""
    try:
        return sum(map(_results_in, os.listdir(folder)))
    except OSError:
        return 0


def _results_in(name: str) -> int:
    """Return how many results are in a file of this name."""
    if name.endswith(ENTRY):
        return 1
    number = name[: -len(BATCH)].rpartition(".")[2] if name.endswith(BATCH) else ""
    return int(number) if number.isdecimal() else 0


def for_each_file(
    folder: Path,
    suffix: str,
    decode: Callable[[bytes], _Content],
    deliver: Callable[[_Content, Path], bool],
) -> None:
    """Deliver what each file holds, and delete it if ``deliver`` returns true."""
    for path in sorted(folder.glob("*" + suffix)):
        try:
            content = decode(path.read_bytes())
        except ValueError as error:
            log.error("%s is damaged and stays where it is: %s", path, error)
            continue
        try:
            if deliver(content, path):
                path.unlink()  # before its files: an entry without them could not be delivered
                delete(path.with_suffix(FILES))
        except NOT_OF_ONE:
            raise
        except StoreError as error:  # a fault of this entry: the others do not wait for it
            log.error("%s cannot be delivered and stays where it is: %s", path, error)


def delete_files_without_result(folder: Path) -> None:
    """Delete what trials saved that have no result."""
    for saved in folder.glob("*" + FILES):
        if not saved.with_suffix(ENTRY).exists():
            delete(saved)


def delete(folder: Path) -> None:
    """Delete saved files; what cannot be deleted now is deleted by a worker that starts later."""
    shutil.rmtree(str(folder), ignore_errors=True)


def remove_if_empty(folder: Path) -> None:
    """Remove the folder if nothing is in it but its lock."""
    with contextlib.suppress(OSError):  # another worker uses it, or has removed it
        if not any(path.name != LOCK for path in folder.iterdir()):
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()
