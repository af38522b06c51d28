"""The page on which a browser sees what is labelled, for a device without a screen."""

import contextlib
import hmac
import ipaddress
import re
import secrets
import socket
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple
from urllib.parse import urlsplit

from inference.broadcast import INTERVAL_S, Broadcast, Channel
from inference.errors import OutputError
from model.errors import UsageError

_WEB = Path(__file__).with_name("web")
_FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    # Another site's page could show the pictures otherwise: a browser also asks loopback for them.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_BOUNDARY = "frame"

_CONNECTIONS = 16
"""A viewer takes two: one for the pictures, one for the labels."""

_PATIENCE_S = 10.0
"""A viewer that takes nothing for so long has gone."""

_BUFFER = 128 * 1024
"""What waits for a slow viewer is old when it arrives: some pictures, not megabytes of them."""

_ADDRESS = re.compile(r"(?:(\[[0-9a-fA-F:.%\w]+\]|[^:\[\]]*):)?(\d{1,5})")


def parse_address(text: str) -> Tuple[str, int]:
    """Return host and port of ``HOST:PORT``, ``:PORT`` or ``PORT``: loopback unless it says more.

    Raises ``UsageError`` for anything else. Port 0 is any that is free.
    """
    match = _ADDRESS.fullmatch(text)
    if not match or int(match.group(2)) > 65535:
        raise UsageError(
            "--serve must be PORT or HOST:PORT, as 8000 or 0.0.0.0:8000, not {}".format(text)
        )
    return (match.group(1) or "127.0.0.1").strip("[]"), int(match.group(2))


@contextlib.contextmanager
def serve(broadcast: Broadcast, host: str, port: int) -> Iterator[str]:
    """Serve the page while this is open; give its URL.

    Beyond loopback the URL holds a secret, new each time, and without it there is nothing to see.

    Raises ``OutputError`` if the address cannot be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        server = _Server(family, address, broadcast)
    except OSError as error:
        raise OutputError(
            "the page cannot be served on {}:{}: {}; choose another with --serve HOST:PORT".format(
                host, port, error.strerror or error
            )
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="server", daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        broadcast.close()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """A thread a connection, and a bounded number of them."""

    daemon_threads = True
    block_on_close = False  # a slow viewer does not hold up the end

    def __init__(self, family: int, address: Any, broadcast: Broadcast) -> None:
        self.address_family = family
        self.broadcast = broadcast
        # Now, so that whatever fails later is a connection.
        self.files = {path: (_WEB / name).read_bytes() for path, (name, _) in _FILES.items()}
        self._slots = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__(address[:2], _Handler)
        bound = ipaddress.ip_address(str(self.server_address[0]).partition("%")[0])
        self.token = None if bound.is_loopback else secrets.token_urlsafe(16)
        own = "[{}]".format(bound) if bound.version == 6 else str(bound)
        self.loopback_names = ("localhost", "127.0.0.1", "[::1]", own)
        name = socket.gethostname() if bound.is_unspecified else own
        self.url = "http://{}:{}/".format(name, self.server_address[1])
        if self.token is not None:
            self.url += self.token + "/"

    def server_bind(self) -> None:
        """Bind, without asking a name server for this machine's name, which may take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, if there is a slot."""
        if not self._slots.acquire(blocking=False):
            with contextlib.suppress(OSError):  # it has gone already
                request.settimeout(0)
                request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 5\r\n\r\n")
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and free the slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave out what is only a viewer's going, which is no error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_S
    server_version = "predict-cam"
    sys_version = ""

    def setup(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        super().setup()

    def do_GET(self) -> None:
        """Answer with the page, a stream, or why not."""
        token = self.server.token
        path = urlsplit(self.path).path[1:]
        if token is not None:
            given, slash, path = path.partition("/")
            if not (slash and hmac.compare_digest(given.encode(), token.encode())):
                self._refuse(HTTPStatus.NOT_FOUND, "the address is the one predict-cam printed")
                return
        elif not self._names_loopback():
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this page is http://localhost only")
            return
        if path in _FILES:
            self._head(HTTPStatus.OK, {"Content-Type": _FILES[path][1]})
            self.wfile.write(self.server.files[path])
        elif path == "labels":
            self._head(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
            self._stream(self.server.broadcast.labels, "data: ", "\n\n")
        elif path in ("viewfinder.mjpg", "annotated.mjpg"):
            kind = "multipart/x-mixed-replace; boundary=" + _BOUNDARY
            self._head(HTTPStatus.OK, {"Content-Type": kind})
            channel = getattr(self.server.broadcast, path.partition(".")[0])
            before = "--{}\r\nContent-Type: image/jpeg\r\nContent-Length: {{}}\r\n\r\n"
            self._stream(channel, before.format(_BOUNDARY), "\r\n")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")

    def _stream(self, channel: Channel, before: str, after: str) -> None:
        """Send what the channel has, as it comes, until the viewer goes or the program ends."""
        number = 0
        while True:
            newest = channel.after(number, _PATIENCE_S / 2)
            if newest is None:
                return
            number, data = newest
            self.wfile.write(before.format(len(data)).encode() + data + after.encode())
            self.server.broadcast.closed.wait(INTERVAL_S)

    def _names_loopback(self) -> bool:
        """Whether the request names this machine as itself.

        A page from elsewhere whose name was made to mean 127.0.0.1 (DNS rebinding) says its own.
        """
        host = re.sub(r":\d+$", "", self.headers.get("Host") or "")
        return host.lower() in self.server.loopback_names

    def _head(self, status: HTTPStatus, headers: Dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._head(status, {"Content-Type": "text/plain; charset=utf-8"})
        self.wfile.write("{}\n".format(reason).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing: the address holds the secret."""
