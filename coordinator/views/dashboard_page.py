"""Serves the live page: ``hyperhive dashboard``, and ``hyperhive coordinator --dashboard``."""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
from dataclasses import dataclass
from typing import Callable, ContextManager, Iterator, Sequence
from urllib.parse import urlencode

from starlette.routing import BaseRoute

from hyperhive.common.errors import UsageError
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator.changes.actions import Actions, require_right
from hyperhive.coordinator.live.answers import Answers
from hyperhive.coordinator.live.page import LivePage
from hyperhive.coordinator.live.readings import Readings
from hyperhive.coordinator.views.best_model import BestModels
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.web.site import Site

_SECRET = re.compile(r"[A-Za-z0-9_.~-]{16,200}")
PORT = 8765
TIMEOUT_S = 5.0
"""Seconds that a question to the store may take: people wait for it."""


@dataclass(frozen=True)
class DashboardOptions:
    """What is served, and where.

    Args:
        study: the one to show; None for all.
        host: the address to serve the page on.
        port: 0 for any that is free.
        secret: the key in the page's address; None for none on 127.0.0.1, and a new one elsewhere.
        allow_actions: whether the page may change anything, with a coordinator's login.

    Raises ``UsageError`` for a secret that is too short or does not fit into an address.
    """

    study: str | None
    host: str
    port: int
    secret: str | None
    allow_actions: bool = False

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
    with contextlib.ExitStack() as opened:
        signals = opened.enter_context(StopSignals())
        store = opened.enter_context(Store(opened.enter_context(connect()), TIMEOUT_S))
        opened.enter_context(serving(store, options, tell))
        tell("Ctrl-C ends it")
        signals.stop.wait()


def beside(
    store: Store, study: str, tell: Callable[[str], None]
) -> contextlib.AbstractContextManager[Site]:
    """Serve the page of a study that this process runs, on this machine only.

    If the usual port is taken, as by another coordinator's page, it is any free one. ``tell`` gets
    the address.
    """
    options = DashboardOptions(None, "127.0.0.1", PORT if _is_free(PORT) else 0, None)
    return serving(store, options, tell, "#" + urlencode({"study": study}))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def serving(
    store: Store, options: DashboardOptions, tell: Callable[[str], None], part: str = ""
) -> Iterator[Site]:
    """Serve the page of a store while this is open; ``tell`` gets its address, to a ``part`` of it.

    The store is read once: a wrong login ends the command now. If its server does not answer,
    ``tell`` gets a sentence about it, and the page waits for it. Raises ``UsageError`` if the
    address cannot be served, ``NotAllowed`` for actions without the right to them, ``StoreError``.
    """
    readings = Readings(FleetReader(store, options.study))
    page = LivePage(Answers(store, readings))
    if options.allow_actions:
        require_right(store)
    actions = Actions(store, options.allow_actions, options.study)
    site = listen(page, options, [*actions.routes(), *BestModels(store).routes])
    with site.running(), page.reading():
        try:
            readings.read()
        except StoreUnavailable as error:
            tell(f"{error}; the page goes on when it is back")
        for line in address_of(site, options.secret, part):
            tell(line)
        yield site


def listen(page: LivePage, options: DashboardOptions, more: Sequence[BaseRoute] = ()) -> Site:
    """Return a site that listens, with ``more`` answers; raises ``UsageError`` if it cannot."""
    host, port, key = options.host, options.port, options.secret
    if key is None and options.allow_actions:
        key = secrets.token_urlsafe(16)  # on loopback other users of this machine have no key
    try:
        return Site([*page.routes, *more], host, port, "hyperhive dashboard", key)
    except OSError as error:
        raise UsageError(
            f"the dashboard cannot be served on {host}:{port}: {error.strerror or error}; choose "
            "another address with --host and --port"
        ) from error


def address_of(site: Site, secret: str | None, part: str = "") -> list[str]:
    """Return where the page is, or a part of it, in sentences.

    A secret that the user chose must not get into a log. A new one is known from nowhere else, so
    it is printed.
    """
    address = site.url if secret is None else site.root + "?key=$HYPERHIVE_DASHBOARD_SECRET"
    lines = [f"the dashboard is at {address}{part}"]
    if not site.is_loopback:
        lines.append(
            "(or at any other name of this machine; for a container, at the names of its host)"
        )
    return lines
