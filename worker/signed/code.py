"""Published code on this device: fetched, checked, and imported when its first trial begins."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, Iterable, Iterator

from hyperhive.common import paths
from hyperhive.common.errors import ObjectiveError, UsageError
from hyperhive.common.locks import ALONE, locked
from hyperhive.store.signed.catalog import Entry
from hyperhive.store.signed.modules import modules_of, taken
from hyperhive.store.signed.package import Files, digest, files_of, packed, unpacked, write
from hyperhive.worker.objectives.command import Command
from hyperhive.worker.objectives.files import functions, imported
from hyperhive.worker.objectives.function import FunctionObjective

log = logging.getLogger(__name__)

_Modules = Dict[str, ModuleType]


class Code:
    """The package of an entry, in this process.

    Two versions of one package may run in turn, and have modules of the same names: while one runs,
    the other's modules are put aside. That lasts as long as a trial, since a function may import,
    and a pickle does. It is so for the whole process: other threads may need Python's own modules
    meanwhile, or ours, and these are never put aside.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._folder = paths.cache_directory() / "objectives" / entry.sha256
        self._names: set[str] = set()
        self._modules: _Modules = {}
        self._functions: dict[str, dict[str, Any]] = {}  # by file, which is imported once
        self._objectives: dict[str, FunctionObjective] = {}

    def objective(self, function: str, download: Callable[[], bytes]) -> FunctionObjective:
        """Return the objective ``digits.py:train``, to be called while ``importing``.

        The package on the disk is compared with what was signed at each call. Raises
        ``NotTrusted``, ``ObjectiveError`` or ``DeviceError`` if it cannot be run here, ``OSError``,
        and whatever ``download`` raises.
        """
        self._names = modules_of(_bring(self._folder, self._entry, download)) - taken()
        if function not in self._objectives:
            with self.importing():
                self._objectives[function] = self._loaded(function)
        return self._objectives[function]

    @contextlib.contextmanager
    def importing(self) -> Iterator[None]:
        """Let what is imported come from the package first."""
        others = _put_aside(self._names)
        # Python's own compiled copies would be files that nobody has signed.
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        sys.modules.update(self._modules)
        sys.path.insert(0, str(self._folder))
        try:
            yield
        finally:
            self._modules.update(_put_aside(self._names))
            sys.modules.update(others)
            sys.dont_write_bytecode = before
            sys.path[:] = [each for each in sys.path if each != str(self._folder)]

    def _loaded(self, function: str) -> FunctionObjective:
        file, _, name = function.rpartition(":")
        if file not in self._functions:
            self._functions[file] = functions(imported(self._folder / file, self._entry.version))
        found = self._functions[file].get(name)
        if found is None:
            raise ObjectiveError(f"{file} has no function {name} that takes a configuration")
        if isinstance(found, Command):
            found.require_program()
        return FunctionObjective(found)


def _bring(folder: Path, entry: Entry, download: Callable[[], bytes]) -> Iterable[str]:
    """Let a folder have exactly the files that were signed; return their paths in it."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder.with_suffix(".lock"), ALONE):
        if folder.exists():
            files = _signed_files(folder, entry)
            if files is not None:
                return files
            log.warning("%s was changed on this disk: it is not run, and fetched again", folder)
            _remove(folder)
        files = unpacked(download())  # whatever is wrong with a path is found here
        partial = folder.with_suffix(".part")  # of a process that was killed, if it exists
        _remove(partial)
        write(files, partial)
        os.replace(partial, folder)
        return files


def _signed_files(folder: Path, entry: Entry) -> Files | None:
    """Return the files of a folder; None if they are not the signed ones."""
    try:
        files = {} if folder.is_symlink() else files_of(folder)
    except UsageError:  # something that no package has
        return None
    return files if digest(packed(files)) == entry.sha256 else None


def _remove(folder: Path) -> None:
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(str(folder))


def _put_aside(names: set[str]) -> _Modules:
    """Remove modules of these top-level names from those that are imported; return them."""
    found = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}
