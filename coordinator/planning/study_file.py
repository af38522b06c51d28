"""Study files: TOML with the fields of a plan."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from itertools import islice
from pathlib import Path
from typing import Any, Mapping

from hyperhive.common.errors import UsageError
from hyperhive.common.files import read_text
from hyperhive.common.text import with_home
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.planning.recipes import recipe_of
from hyperhive.coordinator.spaces.named import NAMED, named
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.model.data.loading import NAMES as DATASET_NAMES
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.trials.terms import LENET5

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_RENAMED = {"data": "dataset", "known": "try"}
"""Fields of a plan that have another name in a file."""
_MOST = 5
"""Study files that are named of a folder."""


def read_file(path: Path) -> dict[str, Any]:
    """Return the fields of a ``Plan`` that a study file sets; raises ``UsageError``.

    A relative ``data`` is relative to the study file's folder.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: start a study file, {_of_folder(path)}")
    try:
        tables = tomllib.loads(read_text(path))
    except OSError as error:
        raise UsageError(f"study file {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number of 5,000 digits
        raise UsageError(f"study file {path} is not valid TOML: {error}") from error
    names = {_RENAMED.get(field.name, field.name) for field in dataclasses.fields(Plan)}
    _refuse_unknown(path, set(tables), names)
    try:
        return _fields(path, tables)
    except UsageError as error:
        raise UsageError(f"study file {path}: {error}") from error


def _of_folder(folder: Path) -> str:
    """Return the commands that start the study files of a folder, else the option for images."""
    found = filter(_may_be_study, sorted(folder.iterdir()))
    commands = [
        f"`hyperhive coordinator {shlex.quote(str(file))}`" for file in islice(found, _MOST)
    ]
    return " or ".join(commands) or "or name a folder of images with --data"


def _may_be_study(path: Path) -> bool:
    if not path.is_file():
        return False
    return path.suffix == ".toml" or (path.suffix == ".py" and b"space" in path.read_bytes())


def _fields(path: Path, tables: Mapping[str, Any]) -> dict[str, Any]:
    special = ("dataset", "space", "try")
    fields = {key: value for key, value in tables.items() if key not in special}
    settings = recipe_of(fields.get("objective", LENET5)).settings
    if "batch_size" in fields and "batch_size" not in settings:
        raise UsageError(
            f"batch_size is for objective {LENET5}: write it below [space] for another"
        )
    if isinstance(tables.get("space"), str):
        fields = {**named(tables["space"]), **fields}
    elif "space" in tables:
        fields["space"] = parse(_table(tables, "space"))
    if "dataset" in tables:
        fields["data"] = _request(path, _table(tables, "dataset"))
    if "try" in tables:
        known = tables["try"]
        if not isinstance(known, list) or not all(isinstance(each, dict) for each in known):
            raise UsageError("try must be a list of configurations, as in [{lr = 0.01}]")
        fields["known"] = tuple(known)
    return fields


def _request(path: Path, table: Mapping[str, Any]) -> DatasetRequest:
    known = {"name", "data", "gray", "strict", "image_size"}
    _refuse_unknown(path, set(table), known, "dataset.")
    kinds = {"name": str, "data": str, "gray": bool, "strict": bool, "image_size": int}
    words = {str: "a string", bool: "true or false", int: "a whole number"}
    for key, value in table.items():
        if type(value) is not kinds[key]:
            raise UsageError(f"dataset.{key} must be {words[kinds[key]]}")
    name = table.get("name")
    if name not in DATASET_NAMES:
        raise UsageError("dataset.name must be one of " + ", ".join(DATASET_NAMES))
    data: Path | None = path.parent / with_home(table["data"]) if "data" in table else None
    given = {key: table[key] for key in ("gray", "strict", "image_size") if key in table}
    return DatasetRequest(str(name), data, **given)


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    names = ", or the name of a space: " + ", ".join(NAMED) if name == "space" else ""
    table = tables[name]
    if not isinstance(table, dict):
        raise UsageError(f"[{name}] must be a table{names}")
    return table


def _refuse_unknown(path: Path, keys: set[str], known: set[str], prefix: str = "") -> None:
    unknown = ", ".join(prefix + key for key in sorted(keys - known))
    if unknown:
        raise UsageError(
            f"study file {path} has an unknown key: {unknown}; there are "
            f"{', '.join(prefix + key for key in sorted(known))}"
        )
