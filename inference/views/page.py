"""The page that shows frames and labels in a browser, for a device without a screen."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from pathlib import Path
from typing import Any, Callable, Coroutine, Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hyperhive.common.errors import OutputError
from hyperhive.inference.views.broadcast import Broadcast
from hyperhive.inference.views.remote import Remote, press_of
from hyperhive.web.guard import refusal
from hyperhive.web.site import Site, files
from hyperhive.web.streams import events, pictures

_WEB = Path(__file__).with_name("web")


@contextlib.contextmanager
def serve(
    broadcast: Broadcast, host: str, port: int, remote: Remote | None = None
) -> Iterator[str]:
    """Serve the page while this is open; yield its URL.

    Beyond loopback the URL holds a new key each time, and the page needs it. A viewer uses two
    streams: one for the pictures, one for the labels.

    Args:
        broadcast: has what is shown.
        host: a name or an address of this machine.
        port: 0 is any free port.
        remote: gets what viewers press; None lets them press nothing.

    Raises ``OutputError`` if the address is not available.
    """
    routes = [
        *files(_WEB),
        Route("/labels", events(broadcast.labels), methods=["GET"]),
        Route("/viewfinder.mjpg", pictures(broadcast.viewfinder), methods=["GET"]),
        Route("/annotated.mjpg", pictures(broadcast.annotated), methods=["GET"]),
    ]
    if remote is not None:
        routes.append(Route("/press", _pressing(remote), methods=["POST"]))
    try:
        site = Site(routes, host, port, "predict-cam")
    except OSError as error:
        raise OutputError(
            f"the page cannot be served on {host}:{port}: {error.strerror or error}; choose "
            "another address with --serve HOST:PORT"
        ) from error
    with site.running():
        yield site.url


def _pressing(remote: Remote) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """Return the answer to a press of a viewer."""

    async def press(request: Request) -> Response:
        try:
            pressed = press_of(await request.body())
        except ValueError as error:
            return refusal(HTTPStatus.BAD_REQUEST, str(error))
        if not remote.add(pressed):
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many keys wait; press again")
        return Response(status_code=HTTPStatus.NO_CONTENT)

    return press
