"""The command ``hyperhive status``."""

from typing import Optional

import typer

from hyperhive.common.console import console
from hyperhive.store.cli import MONGO, MONGOD, server

STUDY = typer.Argument(None, help="One study, or the exp_key of hyperopt's fmin; by default all.")


def status(
    study: Optional[str] = STUDY, mongo: Optional[str] = MONGO, mongod: Optional[str] = MONGOD
) -> None:
    """Show studies, their trials, and the workers."""
    from hyperhive.coordinator.views.status import report
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        console.print(report(store, study))
