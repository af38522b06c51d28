"""Serves a site to browsers while a program runs: ``predict-cam --serve`` and the dashboard.

It is Starlette on uvicorn. Both are small, pure Python, well kept, and their versions of 2023 run
on the Python 3.8 of an old device. aiohttp would bring six compiled packages there, and tornado
one. waitress under Flask needs a thread for each stream, as our own server did. None of them bounds
slow viewers or checks ``Host``, so those lines, in ``connections`` and ``guard``, would be ours
with each.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import socket
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any, Iterator, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from uvicorn.config import Config
from uvicorn.server import Server

from hyperhive.web.connections import Connection
from hyperhive.web.guard import Guard, refusal
from hyperhive.web.streams import Viewers

_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}

_BUFFER = 128 * 1024
"""Bytes that wait for a slow viewer. They are old when they arrive, so this is a few pictures."""

_ENDING_S = 2.0
"""Seconds that the end waits for answers. One that takes longer ends alone, in its thread."""


def files(folder: Path, under: str = "/") -> list[Route]:
    """Return the routes of a folder's files: an HTML file is the page, the others have their names.

    The files are read now, so that only connections can fail later.

    Args:
        folder: the files. Only HTML, CSS, JavaScript, SVG and PNG are served.
        under: the path of the page, which ends with a slash.
    """

    def route(path: Path) -> Route:
        data, kind = path.read_bytes(), _KINDS[path.suffix]

        async def send(_: Request) -> Response:
            return Response(data, media_type=kind)

        return Route(under + ("" if path.suffix == ".html" else path.name), send)

    return [route(path) for path in sorted(folder.iterdir()) if path.suffix in _KINDS]


class Site:
    """Serves while ``running`` is open, in a thread of its own; it logs nothing but our own faults.

    The answers are Starlette's: ``async def`` for those that never wait, ``def`` for those that do,
    which run in threads. Methods that a route does not name are refused; a route that names none
    answers GET and HEAD. ``GET csrf`` gives the token that every POST needs (see ``Guard``). A
    stream too many is answered with 503; ``EventSource`` does not ask again by itself then.

    Args:
        routes: the answers.
        host: a name or an address of this machine.
        port: 0 is any free port.
        program: the command that prints the address; requests without the key are told its name.
        key: the secret in the printed address, to keep the same one. By default it is a new one
            beyond loopback, and none on loopback.
        streams: the largest number of streams at the same time.

    Raises ``OSError`` if the address is not available.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        host: str,
        port: int,
        program: str,
        key: str | None = None,
        streams: int = 16,
    ) -> None:
        self._socket = _listening(host, port)
        bound = self._socket.getsockname()
        self.address = ipaddress.ip_address(bound[0].partition("%")[0])
        self.port: int = bound[1]
        own = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        name = socket.gethostname() if self.address.is_unspecified else own
        self.root = f"http://{name}:{self.port}/"
        self.key = key or (None if self.is_loopback else secrets.token_urlsafe(16))
        self._streams = streams
        self._app = Starlette(
            routes=[*routes, Route("/csrf", lambda _: PlainTextResponse(guard.csrf))],
            exception_handlers={HTTPException: _refuse},
        )
        names = ("localhost", "127.0.0.1", "[::1]", own) if self.is_loopback else None
        guard = Guard(self._app, names, self.key, self.port, program)
        self._server = Server(
            Config(
                guard,
                http=Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
            )
        )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.address.is_loopback

    @property
    def url(self) -> str:
        """The page's address, including the key."""
        return self.root if self.key is None else f"{self.root}?key={self.key}"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve while this is open."""
        began = threading.Event()
        thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(began)), name="site", daemon=True
        )
        thread.start()
        began.wait()
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._end)
            thread.join(_ENDING_S)

    async def _serve(self, began: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._app.state.viewers = Viewers(self._streams)
        began.set()
        await self._server.serve([self._socket])

    def _end(self) -> None:
        self._app.state.viewers.closing.set()
        self._server.should_exit = True


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens, without a DNS lookup of this machine's name."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The connections inherit it.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        listening.bind(address)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


async def _refuse(_: Request, error: Any) -> Response:
    status = HTTPStatus(error.status_code)
    reason = "there is no page of this name" if status == HTTPStatus.NOT_FOUND else status.phrase
    answer = refusal(status, reason)
    answer.headers.update(error.headers or {})
    return answer
