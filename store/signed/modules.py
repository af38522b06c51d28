"""The modules that a package of code makes importable, and the names that none of them may have."""

from __future__ import annotations

import pkgutil
import sys
import sysconfig
from importlib.machinery import all_suffixes
from typing import Iterable


def modules_of(files: Iterable[str]) -> set[str]:
    """Return the top-level names that can be imported from these files, given by their paths.

    A file of data makes none, nor does a folder without a Python file.
    """
    names = set()
    for path in files:
        suffixes = [suffix for suffix in all_suffixes() if path.endswith(suffix)]
        if suffixes:
            top, _, below = path.partition("/")
            names.add(top if below else top[: -len(max(suffixes, key=len))])
    return names


def taken() -> frozenset[str]:
    """Return the names of Python's own modules, and ours: a process that lost them would fail."""
    named: frozenset[str] | None = getattr(sys, "stdlib_module_names", None)  # from Python 3.10 on
    if named is None:
        folder = sysconfig.get_paths()["stdlib"]
        found = {each.name for each in pkgutil.iter_modules([folder, f"{folder}/lib-dynload"])}
        named = frozenset(found.union(sys.builtin_module_names) - {"test"})
    return named | {"hyperhive"}
