"""The page on which a browser sees what is labelled, for a device without a screen."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Iterator

from hyperhive.common.errors import OutputError, UsageError
from hyperhive.inference.views.broadcast import INTERVAL_S, Broadcast, Channel
from hyperhive.web.server import PATIENCE_S, PageServer, Route, Viewer, files

_WEB = Path(__file__).with_name("web")
_BOUNDARY = "frame"
_ADDRESS = re.compile(r"(?:(\[[0-9a-fA-F:.%\w]+\]|[^:\[\]]*):)?(\d{1,5})")


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, ``:PORT`` or ``PORT``: loopback unless it says more.

    Raises ``UsageError`` for anything else. Port 0 is any that is free.
    """
    match = _ADDRESS.fullmatch(text)
    if not match or int(match.group(2)) > 65535:
        raise UsageError(f"--serve must be PORT or HOST:PORT, as 8000 or 0.0.0.0:8000, not {text}")
    return (match.group(1) or "127.0.0.1").strip("[]"), int(match.group(2))


@contextlib.contextmanager
def serve(broadcast: Broadcast, host: str, port: int) -> Iterator[str]:
    """Serve the page while this is open; give its URL.

    Beyond loopback the URL holds a secret, new each time, and without it there is nothing to see.
    A viewer takes two connections: one for the pictures, one for the labels.

    Raises ``OutputError`` if the address cannot be had.
    """
    pictures = "multipart/x-mixed-replace; boundary=" + _BOUNDARY
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
            "another with --serve HOST:PORT"
        ) from error
    with server.running():
        try:
            yield server.url
        finally:
            broadcast.close()


def _stream(
    viewer: Viewer, broadcast: Broadcast, channel: Channel, kind: str, before: str, after: str
) -> None:
    """Send what the channel has, as it comes, until the viewer goes or the program ends."""
    viewer.begin(kind)
    number = 0
    while True:
        newest = channel.after(number, PATIENCE_S / 2)
        if newest is None:
            return
        number, data = newest
        viewer.write(before.format(len(data)).encode() + data + after.encode())
        broadcast.closed.wait(INTERVAL_S)
