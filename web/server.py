"""Serves a page to browsers: who may see it, how many at once, and what it may load.

It only answers GET. On loopback it answers to this machine's own names; beyond, its address holds a
secret, without which there is nothing to see.
"""

from __future__ import annotations

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
from typing import Any, Callable, Iterator, Mapping
from urllib.parse import parse_qsl

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
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

_CONNECTIONS = 16
"""At once. What a viewer watches without a pause keeps one."""

PATIENCE_S = 10.0
"""A viewer that takes nothing for so long has gone."""

_BUFFER = 128 * 1024
"""What waits for a slow viewer is old when it arrives: some pictures, not megabytes of them."""

Route = Callable[["Viewer"], None]
"""Answers a request for one path: with ``send``, or with ``begin`` and then ``write``."""


def files(folder: Path) -> dict[str, Route]:
    """Return the routes of a page's files: ``page.html`` is the page, the others have their names.

    They are read now, so that whatever fails later is a connection.
    """

    def sends(kind: str, data: bytes) -> Route:
        return lambda viewer: viewer.send(kind, data)

    return {
        "" if path.suffix == ".html" else path.name: sends(_KINDS[path.suffix], path.read_bytes())
        for path in folder.iterdir()
        if path.suffix in _KINDS
    }


class PageServer(ThreadingHTTPServer):
    """Serves while ``running`` is open: a thread a connection, and a bounded number of them.

    Args:
        routes: what is there, by path.
        host: a name or an address of this machine.
        port: 0 is any that is free.
        program: says the address, by which whoever lacks the secret is told where to look.
        secret: of the address, for one that stays the same; by default a new one beyond loopback,
            and none on it.

    Raises ``OSError`` if the address cannot be had.
    """

    daemon_threads = True
    block_on_close = False  # a slow viewer does not hold up the end

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
        """The page's address, secret included."""
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


class Viewer(BaseHTTPRequestHandler):
    """One request of a browser, and the answer to it."""

    server: PageServer
    timeout = PATIENCE_S
    sys_version = ""
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(message)s\n"

    def setup(self) -> None:
        """Keep little for a viewer that is slow."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        super().setup()

    def do_GET(self) -> None:
        """Answer with what the path names, or with why not."""
        path, _, query = self.path[1:].partition("?")
        secret = self.server.secret
        if self.server.is_loopback and not self._names_loopback():
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this page is http://localhost only")
            return
        if secret is not None:
            given, slash, path = path.partition("/")
            if not (slash and hmac.compare_digest(given.encode(), secret.encode())):
                reason = f"the address is the one {self.server.program} printed"
                self._refuse(HTTPStatus.NOT_FOUND, reason)
                return
        route = self.server.routes.get(path)
        if route is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")
            return
        self.query = dict(parse_qsl(query))
        route(self)

    def send(self, kind: str, data: bytes) -> None:
        """Answer with this content of this type."""
        self.begin(kind, len(data))
        self.wfile.write(data)

    def begin(self, kind: str, length: int | None = None) -> None:
        """Begin an answer of this content type, which ``write`` goes on with."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def write(self, data: bytes) -> None:
        """Send more of an answer; raises ``OSError`` once the viewer has gone."""
        self.wfile.write(data)

    def end_headers(self) -> None:
        """Add to every answer, also to what is no request, what a browser may do with it."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        """Return the program's name, and of no version."""
        return self.server.program.replace(" ", "-")

    def log_message(self, *_: object) -> None:
        """Say nothing: the address holds the secret."""

    def _names_loopback(self) -> bool:
        """Whether the request names this machine as itself.

        A page from elsewhere whose name was made to mean 127.0.0.1 (DNS rebinding) says its own.
        """
        host = re.sub(r":\d+$", "", self.headers.get("Host") or "")
        return host.lower() in self.server.loopback_names

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", self.error_content_type)
        self.end_headers()
        self.wfile.write(f"{reason}\n".encode())
