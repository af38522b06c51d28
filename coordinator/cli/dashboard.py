"""The command ``hyperhive dashboard``."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from hyperhive.common.console import tell
from hyperhive.common.signals import StopSignals
from hyperhive.store.cli import MONGO, MONGOD, server

if TYPE_CHECKING:
    from hyperhive.coordinator.views.dashboard import Dashboard
    from hyperhive.web.server import PageServer

_SECRET = re.compile(r"[A-Za-z0-9_.~-]{16,200}")
_TIMEOUT_S = 5.0


def dashboard(
    study: Optional[str] = typer.Option(None, metavar="NAME", help="One study; by default all."),
    host: str = typer.Option(
        "127.0.0.1", help="The address to serve it on: 0.0.0.0 lets the network see it."
    ),
    port: int = typer.Option(8765, min=0, max=65535, help="0 is any that is free."),
    secret: Optional[str] = typer.Option(
        None,
        envvar="HYPERHIVE_DASHBOARD_SECRET",
        show_envvar=True,
        help="What stands in the page's address, at least 16 letters or digits; beyond 127.0.0.1 "
        "it is a new one each time. Prefer the variable: it keeps it out of the process list.",
    ),
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Show the studies and workers on a live web page, until Ctrl-C.

    It only reads: the login of a viewer will do. Who has the address sees everything that it shows,
    and can change nothing. Beyond this machine it goes over HTTP: use it in a network you trust.
    """
    from hyperhive.coordinator.views.dashboard import Dashboard
    from hyperhive.coordinator.views.fleet import FleetReader
    from hyperhive.store.store import Store

    _require(secret)
    with StopSignals() as signals, server(mongo, mongod) as uri, Store(uri, _TIMEOUT_S) as store:
        shown = Dashboard(FleetReader(store, study))
        page = _listen(shown, host, port, secret)
        with page.running():
            _first_look(shown)
            _tell(page, secret)
            signals.stop.wait()


def _require(secret: Optional[str]) -> None:
    from hyperhive.common.errors import UsageError

    if secret is not None and _SECRET.fullmatch(secret) is None:
        raise UsageError(
            "the secret of the dashboard's address has 16 to 200 letters, digits, '.', '_', '~' "
            "and '-': `openssl rand -hex 16` makes one"
        )


def _listen(shown: "Dashboard", host: str, port: int, secret: Optional[str]) -> "PageServer":
    from hyperhive.common.errors import UsageError
    from hyperhive.coordinator import views
    from hyperhive.web.server import PageServer, Viewer, files

    def fleet(viewer: Viewer) -> None:
        viewer.send("application/json", shown.look(viewer.query.get("study")))

    routes = {**files(Path(views.__file__).with_name("web")), "fleet.json": fleet}
    try:
        return PageServer(routes, host, port, "hyperhive dashboard", secret)
    except OSError as error:
        raise UsageError(
            f"the dashboard cannot be served on {host}:{port}: {error.strerror or error}; "
            "choose another with --host and "
            "--port"
        ) from error


def _first_look(shown: "Dashboard") -> None:
    """End now if waiting will not help; a server that is away is waited for, on the page."""
    from hyperhive.store.errors import StoreUnavailable

    try:
        shown.read()
    except StoreUnavailable as error:
        tell(f"{error}; the page goes on when it is there")


def _tell(page: "PageServer", secret: Optional[str]) -> None:
    # A secret that its owner keeps does not go to a log; one that is new stands nowhere else.
    address = page.url if secret is None else page.root + "$HYPERHIVE_DASHBOARD_SECRET/"
    tell(f"the dashboard is at {address}")
    if not page.is_loopback:
        tell("(or at any other name of this machine; of a container, at the names of its host)")
    tell("Ctrl-C ends it")
