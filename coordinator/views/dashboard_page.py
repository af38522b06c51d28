"""The command ``hyperhive dashboard``: the page that shows what ``dashboard`` reads, served."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, ContextManager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hyperhive.common.errors import UsageError
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator.views.dashboard import Dashboard
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.web.site import Site, files

_SECRET = re.compile(r"[A-Za-z0-9_.~-]{16,200}")
_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class DashboardOptions:
    """The options of ``hyperhive dashboard``.

    Args:
        study: the one to show; None for all.
        host: the address to serve the page on.
        port: 0 for any that is free.
        secret: the key in the page's address; None for none on 127.0.0.1, and a new one elsewhere.

    Raises ``UsageError`` for a secret that is too short or does not fit into an address.
    """

    study: str | None
    host: str
    port: int
    secret: str | None

    def __post_init__(self) -> None:
        if self.secret is not None and _SECRET.fullmatch(self.secret) is None:
            raise UsageError(
                "the secret of the dashboard's address must be 16 to 200 letters, digits, '.', "
                "'_', '~' or '-': `openssl rand -hex 16` makes one"
            )


def serve(
    options: DashboardOptions,
    connect: Callable[[], ContextManager[str]],
    tell: Callable[[str], None],
) -> None:
    """Serve the page until a signal to stop.

    Args:
        options: what is served, and where.
        connect: opens the server of the store and gives its URI.
        tell: prints a sentence.
    """
    with StopSignals() as signals, connect() as uri, Store(uri, _TIMEOUT_S) as store:
        dashboard = Dashboard(FleetReader(store, options.study))
        page = listen(dashboard, options)
        with page.running():
            read_first(dashboard, tell)
            for line in address_of(page, options.secret):
                tell(line)
            signals.stop.wait()


def listen(dashboard: Dashboard, options: DashboardOptions) -> Site:
    """Return a site that listens; raises ``UsageError`` if it cannot."""

    def fleet(request: Request) -> Response:
        shown = dashboard.look(request.query_params.get("study"))
        return Response(shown, media_type="application/json")

    host, port = options.host, options.port
    routes = [*files(Path(__file__).with_name("web")), Route("/fleet.json", fleet)]
    try:
        return Site(routes, host, port, "hyperhive dashboard", options.secret)
    except OSError as error:
        raise UsageError(
            f"the dashboard cannot be served on {host}:{port}: {error.strerror or error}; choose "
            "another address with --host and --port"
        ) from error


def read_first(dashboard: Dashboard, tell: Callable[[str], None]) -> None:
    """Read the store once: a wrong login ends the command now.

    If the server does not answer, ``tell`` gets a sentence about it, and the page waits for it.
    """
    try:
        dashboard.read()
    except StoreUnavailable as error:
        tell(f"{error}; the page goes on when it is back")


def address_of(page: Site, secret: str | None) -> list[str]:
    """Return where the page is, in sentences.

    A secret that the user chose must not get into a log. A new one is known from nowhere else, so
    it is printed.
    """
    address = page.url if secret is None else page.root + "?key=$HYPERHIVE_DASHBOARD_SECRET"
    lines = [f"the dashboard is at {address}", "Ctrl-C ends it"]
    if not page.is_loopback:
        other = "(or at any other name of this machine; for a container, at the names of its host)"
        lines.insert(1, other)
    return lines
