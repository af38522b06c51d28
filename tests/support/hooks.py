"""A web server for tests that is told something, and answers as it is asked to."""

from __future__ import annotations

import base64
import http.server
import ssl
import threading


class HookServer:
    """Keeps the POSTs that it gets; a context manager.

    Attributes:
        status: what it answers.
        login: required user and password, or None.
        got: path, content type and body of each request that it accepted.
    """

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        self.status = 204
        self.login: tuple[str, str] | None = None
        self.got: list[tuple[str, str, bytes]] = []
        owner = self

        class Handler(_Handler):
            hook = owner

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        if trust is not None:
            self._server.socket = trust.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> HookServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    hook: HookServer

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        """Answer as the attributes say."""
        hook = self.hook
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if hook.login is not None:
            expected = "Basic " + base64.b64encode(":".join(hook.login).encode()).decode()
            if self.headers.get("Authorization") != expected:
                self._answer(401, "WWW-Authenticate", 'Basic realm="hook"')
                return
        hook.got.append((self.path, self.headers["Content-Type"], body))
        self._answer(hook.status, "Location", "/elsewhere")

    def _answer(self, status: int, name: str, value: str) -> None:
        self.send_response(status)
        self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
