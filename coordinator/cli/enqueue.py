"""The command ``hyperhive study enqueue``."""

import json as _json
from typing import Any, Dict, List, Optional

import typer

from hyperhive.common.console import tell
from hyperhive.common.errors import UsageError
from hyperhive.common.wording import in_words
from hyperhive.store.cli import MONGO, MONGOD, STUDY, server

VALUES = typer.Argument(
    None,
    metavar="NAME=VALUE ...",
    help="The configuration: values are JSON, else text; dotted names nest.",
)
JSON = typer.Option(None, "--json", metavar="JSON", help="The configuration as one JSON object.")


def enqueue(
    name: str = STUDY,
    values: Optional[List[str]] = VALUES,
    json: Optional[str] = JSON,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Have a study try a configuration next: `lr=0.01 optimizer.kind=sgd`.

    Workers take it like any other trial, and the algorithm learns from it. It counts towards the
    study's trials. A configuration that has a trial already is not posted again.
    """
    if bool(values) == (json is not None):
        raise UsageError("give the configuration, either as NAME=VALUE ... or with --json")
    config = _of_json(json) if json is not None else _of_values(values or [])
    from hyperhive.coordinator.api.enqueueing import enqueue as enqueued
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        number, is_new = enqueued(store, name, config)
    what = "is" if is_new else "has this configuration already:"
    tell(f"study {name}, trial {number} {what} {in_words(config)}")


def _of_json(text: str) -> Dict[str, Any]:
    try:
        config = _json.loads(text)
    except ValueError as error:
        raise UsageError(f"--json is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise UsageError(f'--json must be an object such as {{"lr": 0.01}}, not {text:.60}')
    return config


def _of_values(values: List[str]) -> Dict[str, Any]:
    """Return a configuration of ``optimizer.kind=sgd`` and its like."""
    config: Dict[str, Any] = {}
    for each in values:
        path, is_given, text = each.partition("=")
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
        table[last] = _value(text)
    return config


def _value(text: str) -> Any:
    try:
        return _json.loads(text)
    except ValueError:
        return text
