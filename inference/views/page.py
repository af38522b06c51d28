"""The page that shows frames and labels in a browser, for a device without a screen."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Callable, Iterator

from starlette.requests import Request
from starlette.routing import Route

from hyperhive.common.errors import OutputError
from hyperhive.inference.views.broadcast import Broadcast
from hyperhive.web.site import Site, files
from hyperhive.web.streams import Stream, events, pictures

_WEB = Path(__file__).with_name("web")


@contextlib.contextmanager
def serve(broadcast: Broadcast, host: str, port: int) -> Iterator[str]:
    """Serve the page while this is open; yield its URL.

    Beyond loopback the URL holds a new key each time, and the page needs it. A viewer uses two
    streams: one for the pictures, one for the labels.

    Raises ``OutputError`` if the address is not available.
    """

    def streams(path: str, answer: Callable[[], Stream]) -> Route:
        async def stream(_: Request) -> Stream:
            return answer()

        return Route(path, stream)

    routes = [
        *files(_WEB),
        streams("/labels", lambda: events(broadcast.labels)),
        streams("/viewfinder.mjpg", lambda: pictures(broadcast.viewfinder)),
        streams("/annotated.mjpg", lambda: pictures(broadcast.annotated)),
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
