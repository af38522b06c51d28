"""The page that shows frames and labels in a browser, for a device without a screen."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator

from starlette.routing import Route

from hyperhive.common.errors import OutputError
from hyperhive.inference.views.broadcast import Broadcast
from hyperhive.web.site import Site, files
from hyperhive.web.streams import events, pictures

_WEB = Path(__file__).with_name("web")


@contextlib.contextmanager
def serve(broadcast: Broadcast, host: str, port: int) -> Iterator[str]:
    """Serve the page while this is open; yield its URL.

    Beyond loopback the URL holds a new key each time, and the page needs it. A viewer uses two
    streams: one for the pictures, one for the labels.

    Raises ``OutputError`` if the address is not available.
    """
    routes = [
        *files(_WEB),
        Route("/labels", events(broadcast.labels), methods=["GET"]),
        Route("/viewfinder.mjpg", pictures(broadcast.viewfinder), methods=["GET"]),
        Route("/annotated.mjpg", pictures(broadcast.annotated), methods=["GET"]),
    ]
    try:
        site = Site(routes, host, port, "predict-cam")
    except OSError as error:
        raise OutputError(
            f"the page cannot be served on {host}:{port}: {error.strerror or error}; choose "
            "another address with --serve HOST:PORT"
        ) from error
    with site.running():
        yield site.url
