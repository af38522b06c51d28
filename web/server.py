"""Serves a page to browsers: who may see it, how many at once, and what the page may load.

It answers GET requests only. On loopback it answers to this machine's own names. Beyond loopback
its address holds a secret, and it answers under that address only.
"""

from __future__ import annotations

import contextlib
import errno
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
from typing import Any, Callable, Iterator, Mapping
from urllib.parse import parse_qsl

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    # Otherwise another site's page could show the pictures: browsers request those of loopback too.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

_CONNECTIONS = 16
"""Largest number at the same time. Each stream that a viewer watches takes one."""

PATIENCE_S = 10.0
"""Seconds after which a viewer that takes nothing is dropped."""

_GONE = (
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EPROTOTYPE,  # macOS, if the viewer leaves during a write
)

_BUFFER = 128 * 1024
"""Bytes that wait for a slow viewer. They are old when they arrive, so this is a few pictures."""

Route = Callable[["Viewer"], None]
"""Answers a request for one path, by ``send``, or by ``begin`` and then ``write``."""


def files(folder: Path) -> dict[str, Route]:
    """Return the routes of a page's files: an HTML file is the page, the others have their names.

    The files are read now, so that only connections can fail later.
    """

    def sends(kind: str, data: bytes) -> Route:
        return lambda viewer: viewer.send(kind, data)

    return {
        "" if path.suffix == ".html" else path.name: sends(_KINDS[path.suffix], path.read_bytes())
        for path in folder.iterdir()
        if path.suffix in _KINDS
    }


class PageServer(ThreadingHTTPServer):
    """Serves while ``running`` is open: one thread per connection, a bounded number of them.

    Args:
        routes: the answers, by path.
        host: a name or an address of this machine.
        port: 0 is any free port.
        program: the command that prints the address; requests without the secret are told its name.
        secret: the secret in the address, to keep the same one. By default it is a new one beyond
            loopback, and none on loopback.

    Raises ``OSError`` if the address is not available.
    """

    daemon_threads = True
    block_on_close = False  # a slow viewer does not delay the end

    def __init__(
        self,
        routes: Mapping[str, Route],
        host: str,
        port: int,
        program: str,
        secret: str | None = None,
    ) -> None:
        address: Any
        self.address_family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        self.routes = routes
        self.program = program
        self._slots = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__(address[:2], Viewer)
        bound = ipaddress.ip_address(str(self.server_address[0]).partition("%")[0])
        self.is_loopback = bound.is_loopback
        own = f"[{bound}]" if bound.version == 6 else str(bound)
        self.loopback_names = ("localhost", "127.0.0.1", "[::1]", own)
        name = socket.gethostname() if bound.is_unspecified else own
        self.root = f"http://{name}:{self.server_address[1]}/"
        self.secret = secret or (None if self.is_loopback else secrets.token_urlsafe(16))

    @property
    def url(self) -> str:
        """The page's address, including the secret."""
        return self.root if self.secret is None else f"{self.root}{self.secret}/"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve while this is open."""
        thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), name="server", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()

    def server_bind(self) -> None:
        """Bind without the base class's DNS lookup of this machine's name, which may take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a new thread if a slot is free, or refuse."""
        if not self._slots.acquire(blocking=False):
            with contextlib.suppress(OSError):  # the viewer has left already
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
        """Answer, then free the slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error, unless it only means that the viewer has left."""
        if not _means_gone(sys.exc_info()[1]):
            super().handle_error(request, client_address)


class Viewer(BaseHTTPRequestHandler):
    """One request of a browser and its answer."""

    server: PageServer
    timeout = PATIENCE_S
    sys_version = ""
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(message)s\n"

    def setup(self) -> None:
        """Bound what waits for a slow viewer."""
        with contextlib.suppress(OSError):  # macOS, if the viewer has left already
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        super().setup()

    def do_GET(self) -> None:
        """Answer with the route of the path, or refuse."""
        path, _, query = self.path[1:].partition("?")
        secret = self.server.secret
        if self.server.is_loopback and not self._names_loopback():
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this page is at http://localhost only")
            return
        if secret is not None:
            given, slash, path = path.partition("/")
            if not (slash and hmac.compare_digest(given.encode(), secret.encode())):
                reason = f"use the address that {self.server.program} printed"
                self._refuse(HTTPStatus.NOT_FOUND, reason)
                return
        route = self.server.routes.get(path)
        if route is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no page of this name")
            return
        self.query = dict(parse_qsl(query, keep_blank_values=True))
        route(self)

    def send(self, kind: str, data: bytes) -> None:
        """Answer with this content of this type."""
        self.begin(kind, len(data))
        self.wfile.write(data)

    def begin(self, kind: str, length: int | None = None) -> None:
        """Begin an answer of this content type; ``write`` sends its content."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def write(self, data: bytes) -> None:
        """Send more of an answer; raises ``OSError`` once the viewer has left."""
        self.wfile.write(data)

    def end_headers(self) -> None:
        """Tell browsers in every answer, including refusals, what they may do with it."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        """Return the program's name, without a version."""
        return self.server.program.replace(" ", "-")

    def log_message(self, *_: object) -> None:
        """Log nothing: the address holds the secret."""

    def _names_loopback(self) -> bool:
        """Return whether the request names this machine by a name of its own.

        A page from elsewhere may have its own name resolve to 127.0.0.1 (DNS rebinding); its
        requests carry that name.
        """
        host = re.sub(r":\d+$", "", self.headers.get("Host") or "")
        return host.lower() in self.server.loopback_names

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", self.error_content_type)
        self.end_headers()
        self.wfile.write(f"{reason}\n".encode())


def _means_gone(error: BaseException | None) -> bool:
    """Return whether an error means only that the viewer left, or reads no more."""
    if isinstance(error, (ConnectionError, socket.timeout)):
        return True
    return isinstance(error, OSError) and error.errno in _GONE
