"""The page that shows frames and labels in a browser, for a device without a screen."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator

from hyperhive.common.errors import OutputError
from hyperhive.inference.views.broadcast import INTERVAL_S, Broadcast, Channel
from hyperhive.web.server import PATIENCE_S, PageServer, Route, Viewer, files

_WEB = Path(__file__).with_name("web")
_BOUNDARY = "frame"


@contextlib.contextmanager
def serve(broadcast: Broadcast, host: str, port: int) -> Iterator[str]:
    """Serve the page while this is open; yield its URL.

    Beyond loopback the URL holds a new secret each time, and the page is served only under it.
    A viewer uses two connections: one for the pictures, one for the labels.

    Raises ``OutputError`` if the address is not available.
    """
    pictures = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
    before = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {{}}\r\n\r\n"

    def streams(channel: Channel, kind: str, before: str, after: str) -> Route:
        return lambda viewer: _stream(viewer, broadcast, channel, kind, before, after)

    routes = {
        **files(_WEB),
        "labels": streams(broadcast.labels, "text/event-stream", "data: ", "\n\n"),
        "viewfinder.mjpg": streams(broadcast.viewfinder, pictures, before, "\r\n"),
        "annotated.mjpg": streams(broadcast.annotated, pictures, before, "\r\n"),
    }
    try:
        server = PageServer(routes, host, port, "predict-cam")
    except OSError as error:
        raise OutputError(
            f"the page cannot be served on {host}:{port}: {error.strerror or error}; choose "
            "another address with --serve HOST:PORT"
        ) from error
    with server.running():
        try:
            yield server.url
        finally:
            broadcast.close()


def _stream(
    viewer: Viewer, broadcast: Broadcast, channel: Channel, kind: str, before: str, after: str
) -> None:
    """Send the channel's renderings as they come, until the viewer leaves or the program ends."""
    viewer.begin(kind)
    number = 0
    while True:
        newest = channel.after(number, PATIENCE_S / 2)
        if newest is None:
            return
        number, data = newest
        viewer.write(before.format(len(data)).encode() + data + after.encode())
        broadcast.closed.wait(INTERVAL_S)
