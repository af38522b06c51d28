"""The command ``hyperhive dashboard``."""

import functools
from typing import Optional

import typer

from hyperhive.common.console import tell
from hyperhive.store.cli import MONGO, MONGOD, server

STUDY = typer.Option(
    None, metavar="NAME", help="One study, or the exp_key of hyperopt's fmin; by default all."
)
HOST = typer.Option(
    "127.0.0.1", help="The address to serve it on: 0.0.0.0 makes it visible to the network."
)
PORT = typer.Option(8765, min=0, max=65535, help="0 takes any free port.")
SECRET = typer.Option(
    None,
    envvar="HYPERHIVE_DASHBOARD_SECRET",
    show_envvar=True,
    help="The key in the page's address, at least 16 letters or digits; beyond 127.0.0.1 a new one "
    "is made at each start. Prefer the variable: it keeps it out of the process list.",
)

ALLOW_ACTIONS = typer.Option(
    False,
    "--allow-actions",
    help="Offer on the page what the commands can change: needs a coordinator's login.",
)


def dashboard(
    study: Optional[str] = STUDY,
    host: str = HOST,
    port: int = PORT,
    secret: Optional[str] = SECRET,
    allow_actions: bool = ALLOW_ACTIONS,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Show the studies and workers on a live web page, until Ctrl-C.

    It only reads, so a viewer's login is enough. Anyone who has the address sees everything on the
    page, and can change nothing. With --allow-actions, anyone who has it can cancel, finish and
    extend studies, pause devices and write notes, each after a question. Beyond this machine it is
    served over HTTP: use it in a network you trust.
    """
    from hyperhive.coordinator.views import dashboard_page

    options = dashboard_page.DashboardOptions(study, host, port, secret, allow_actions)
    dashboard_page.serve(options, functools.partial(server, mongo, mongod), tell)
