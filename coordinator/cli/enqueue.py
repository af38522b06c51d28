"""The command ``hyperhive study enqueue``."""

from typing import List, Optional

import typer

from hyperhive.common.console import tell
from hyperhive.common.errors import UsageError
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
    from hyperhive.coordinator.spaces.written import of_json, of_values

    config = of_json(json, "--json") if json is not None else of_values(values or [])
    from hyperhive.coordinator.api.enqueueing import told
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        tell(told(store, name, config))
