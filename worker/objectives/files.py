"""Objectives from a file of the user's: its public functions, and its commands.

``digits.py:train`` is the function ``train`` of a file ``digits.py``. The worker's owner names the
file; a trial names only the objective, so no code comes from the database.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import traceback
import types
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, Iterable

from hyperhive.common.errors import ObjectiveError
from hyperhive.common.signals import USERS_FILE
from hyperhive.worker.objectives.api import Objective
from hyperhive.worker.objectives.command import Command
from hyperhive.worker.objectives.function import FunctionObjective, arguments

NO_OBJECTIVE = "it has no function that takes (config, trial) or (config), and no hyperhive.command"


def checked(files: Iterable[str]) -> tuple[str, ...]:
    """Return the absolute paths of files of objectives; imports none of them.

    Raises ``ObjectiveError`` for what is no file with a valid Python source, and for two files of
    the same name, ``OSError`` for a file that cannot be read.
    """
    paths = [Path(file) for file in files]
    for path in paths:
        said = _wrong_with(path)
        if said is not None:
            raise ObjectiveError(f"--objectives {path}: {said}")
        if sum(path.name == other.name for other in paths) > 1:
            raise ObjectiveError(
                f"--objectives: several files are named {path.name}, and so would be their "
                "objectives: rename one"
            )
    return tuple(str(path.absolute()) for path in paths)


def _wrong_with(path: Path) -> str | None:
    if path.is_dir():
        return "this is a folder: name the Python file in it"
    if not path.exists():
        return f"there is no such file in {Path.cwd()}"
    if path.suffix != ".py":
        return "this is no Python file, whose name ends with .py"
    try:
        ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        return f"this is no Python source: {error}"
    return None


def digests(files: Iterable[str]) -> dict[str, str]:
    """Return the beginning of the SHA-256 of each file's bytes, by name: ``digits.py``.

    So anybody can see whether workers have the same copy. ``load`` says what is wrong with a file
    that is no longer there.
    """
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        for path in map(Path, files)
        if path.is_file()
    }


def load(file: str) -> dict[str, Objective]:
    """Import a file and return its objectives, by names such as ``digits.py:train``.

    It is imported under a name of its own, so ``if __name__ == "__main__":`` does not run; modules
    beside it can be imported as if it were run as a program. Raises ``ObjectiveError`` if the
    import fails or the file has no objective, and if this machine lacks a command's program
    ``DeviceError``.
    """
    path = Path(file)
    try:
        found = functions(imported(path))
        if not found:
            raise ObjectiveError(NO_OBJECTIVE)
    except ObjectiveError as error:
        raise ObjectiveError(f"--objectives {path}: {error}") from error
    for value in found.values():
        if isinstance(value, Command):
            value.require_program()
    return {f"{path.name}:{name}": FunctionObjective(value) for name, value in found.items()}


def imported(path: Path, version: str = "") -> Any:
    """Return a file's module, see ``load``; raises ``ObjectiveError`` if its import fails.

    Modules of the same file in several versions have different names.
    """
    sys.path.insert(0, str(path.parent))
    module = types.ModuleType(USERS_FILE + path.stem + version)
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look there
    try:
        SourceFileLoader(module.__name__, str(path)).exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also sys.exit: the file is the user's
        lines = [
            each.lineno
            for each in traceback.extract_tb(error.__traceback__)
            if each.filename == str(path)
        ]
        where = f"line {lines[-1]}: " if lines else ""
        words = traceback.format_exception_only(type(error), error)[-1].strip()
        raise ObjectiveError(f"it cannot be imported here: {where}{words}") from error
    return module


def functions(module: Any) -> dict[str, Any]:
    """Return the public functions of a module that can be objectives, and its commands, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and arguments(value) is not None
        if isinstance(value, Command)
        or (inspect.isfunction(value) and value.__module__ == module.__name__)
    }
