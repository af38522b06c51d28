"""A configuration as a person writes it: ``lr=0.01 optimizer.kind=sgd``, or as a JSON object."""

from __future__ import annotations

import json
import shlex
from typing import Any, Iterable

from hyperhive.common.errors import UsageError


def of_text(words: str) -> dict[str, Any]:
    """Return a configuration that is written in one line, in either way. Raises ``UsageError``."""
    if words.lstrip().startswith("{"):
        return of_json(words, "the configuration")
    try:
        return of_values(shlex.split(words))
    except ValueError as error:  # a quotation mark without its other
        raise UsageError(f"the configuration cannot be read: {error}") from error


def of_json(words: str, source: str) -> dict[str, Any]:
    """Return a configuration of a JSON object. Raises ``UsageError``, which names the source."""
    try:
        config = json.loads(words)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source} is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise UsageError(f'{source} must be an object such as {{"lr": 0.01}}, not {words:.60}')
    return config


def of_values(values: Iterable[str]) -> dict[str, Any]:
    """Return a configuration of ``optimizer.kind=sgd`` and its like. Raises ``UsageError``."""
    config: dict[str, Any] = {}
    for each in values:
        path, is_given, written = each.partition("=")
        *tables, last = path.split(".")
        if not is_given or "" in (*tables, last):
            raise UsageError(f"{each!r} must be NAME=VALUE, as in lr=0.01 or optimizer.kind=sgd")
        table = config
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise UsageError(f"{each!r}: {name} has a value already, and cannot be a table")
        if last in table:
            raise UsageError(f"{each!r}: {path} is given twice")
        table[last] = _value(written)
    return config


def _value(written: str) -> Any:
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        return written
