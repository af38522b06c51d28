"""Whether this device has what published code needs."""

from __future__ import annotations

import importlib.metadata
import sys

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from hyperhive.store.signed.catalog import Entry


def unmet(entry: Entry) -> str | None:
    """Return what this device lacks for an entry's code, in words; None if it has all.

    Extras in a requirement are not looked into.
    """
    # Without its suffix: a Python that was built from a checkout is 3.13.0a0+, which is no version.
    version = ".".join(map(str, sys.version_info[:3]))
    try:
        missing = [] if _fits(SpecifierSet(entry.python), version) else [f"Python {entry.python}"]
        requirements = map(Requirement, entry.requires)
        missing += [_named(each) for each in requirements if not _is_met(each)]
    except ValueError as error:  # also a marker that cannot be evaluated, or an installed version
        return f"its requirements cannot be compared with what is here ({error})"
    return f"it lacks {', '.join(missing)}" if missing else None


def _is_met(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    version = _version_of(requirement.name)
    return version is not None and _fits(requirement.specifier, version)


def _named(requirement: Requirement) -> str:
    version = _version_of(requirement.name)
    found = f" (it has {version})" if version else ""
    return f"{requirement.name}{requirement.specifier}{found}"


def _version_of(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _fits(specifier: SpecifierSet, version: str) -> bool:
    return specifier.contains(version, prereleases=True)
