"""Whether this device has what published code needs."""

from __future__ import annotations

import importlib.metadata
import platform

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hyperhive.store.signed.catalog import Entry


def lacking(entry: Entry) -> str | None:
    """Return what this device lacks for an entry's code, in words; None if it has all.

    Extras in a requirement are not looked into.
    """
    try:
        python = SpecifierSet(entry.python)
        requirements = list(map(Requirement, entry.requires))
    except (InvalidRequirement, InvalidSpecifier) as error:
        return f"its requirements cannot be read ({error})"
    missing = [] if _fits(python, platform.python_version()) else [f"Python {entry.python}"]
    missing += [_named(each) for each in requirements if not _is_met(each)]
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
