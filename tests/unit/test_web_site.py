"""A site answers whom it should, is kept waiting by nobody, and reports nothing but our faults."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from support.home import until

from hyperhive.web import connections, guard
from hyperhive.web.site import Site, files
from hyperhive.web.streams import Channel, Stream, events


@contextlib.contextmanager
def serving(*routes: BaseRoute, host: str = "127.0.0.1", key: str | None = None) -> Iterator[Site]:
    site = Site(routes, host, 0, "a program", key)
    with site.running():
        yield site


def ask(
    site: Site, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> Any:
    """Return status, content and headers of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    with contextlib.closing(connection):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


def connected(site: Site, data: bytes) -> socket.socket:
    """Open a connection, and send some bytes."""
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=20)
    connection.sendall(data)
    return connection


async def repeat(request: Request) -> Response:
    return PlainTextResponse(await request.body())


REPEAT = Route("/repeat", repeat, methods=["POST"])


def stream_of(channel: Channel[Any]) -> Route:
    async def watch(_: Request) -> Stream:
        return events(channel)

    return Route("/events", watch)


def test_a_browser_gets_a_cookie_for_the_key() -> None:
    """It is sent to the address without the key, and needs the cookie alone from then on."""
    with serving(REPEAT, Route("/page", lambda _: PlainTextResponse("it")), host="0.0.0.0") as site:
        key = urlsplit(site.url).query
        html = "text/html,*/*"
        status, _, headers = ask(site, f"/page?a=1&{key}", Accept=html)
        assert (status, headers["Location"]) == (303, "/page?a=1")
        cookie, *attributes = headers["Set-Cookie"].lower().split("; ")
        assert sorted(attributes) == ["httponly", "path=/", "samesite=strict"]
        assert cookie.startswith(f"hyperhive-{site.port}=")
        assert str(site.key).lower() not in cookie
        assert ask(site, "/page", Cookie=cookie)[:2] == (200, b"it")
        for wrong in (cookie[:-1], cookie + "0", f"hyperhive-{site.port}={site.key}", "\xff=\xff"):
            assert ask(site, "/page", Cookie=wrong)[0] == 403
        assert ask(site, f"/page?{key}x", Accept=html)[0] == 403
        elsewhere = ask(site, f"//evil.example/?{key}", Accept=html)[2]["Location"]
        assert elsewhere == "/evil.example/"
        # A post with the cookie alone may come from another site's page.
        assert ask(site, "/repeat", "POST", b"x", Cookie=cookie)[0] == 403


def test_a_post_needs_the_token_and_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page reads the token; without it, or with a body that is too large, nothing is done."""
    monkeypatch.setattr(guard, "LARGEST_BODY", 200_000)
    with serving(REPEAT) as site:
        token = ask(site, "/csrf")[1].decode()
        for wrong in ({}, {"X_CSRF_Token": token + "x"}, {"X_CSRF_Token": "\xe9"}):
            assert ask(site, "/repeat", "POST", b"x", **wrong)[0] == 403
        for size in (0, 1, 200_000):
            sent = b"x" * size
            assert ask(site, "/repeat", "POST", sent, X_CSRF_Token=token)[:2] == (200, sent)
        large = connected(
            site,
            f"POST /repeat HTTP/1.1\r\nHost: localhost\r\n"
            f"X-CSRF-Token: {token}\r\nContent-Length: 999999999\r\n\r\n".encode(),
        )
        large.sendall(b"x" * 200_001)
        assert large.recv(12) == b"HTTP/1.1 413"
        large.close()
        monkeypatch.setattr(guard, "PATIENCE_S", 0.3)
        part = b"POST /repeat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        slow = connected(site, part + f"X-CSRF-Token: {token}\r\n\r\nfour".encode())
        assert slow.recv(12) == b"HTTP/1.1 408"
        slow.close()


def test_only_declared_methods_are_answered() -> None:
    """HEAD gives what GET does without the content, of a stream too; others are refused."""
    channel = Channel(bytes)
    with serving(stream_of(channel), REPEAT) as site:
        token = ask(site, "/csrf")[1].decode()
        status, content, headers = ask(site, "/events", "HEAD")
        assert (status, content) == (200, b"")
        assert headers["Content-Type"] == "text/event-stream"
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            status, _, headers = ask(site, "/events", method, X_CSRF_Token=token)
            assert (status, headers["X-Content-Type-Options"]) == (405, "nosniff")
        assert ask(site, "/repeat")[0] == 405


def test_files_of_two_folders(tmp_path: Path) -> None:
    """They have their content types and names; what is no part of a page is not served."""
    kinds = {
        "page.html": "text/html; charset=utf-8",
        "a.css": "text/css; charset=utf-8",
        "a.js": "text/javascript; charset=utf-8",
        "a.svg": "image/svg+xml",
        "a.png": "image/png",
    }
    for name in (*kinds, "secret.txt", ".a.js.swp"):
        (tmp_path / name).write_bytes(name.encode())
    with serving(*files(tmp_path), *files(tmp_path, "/more/")) as site:
        for folder in ("/", "/more/"):
            for name, kind in kinds.items():
                path = folder + ("" if name == "page.html" else name)
                status, content, headers = ask(site, path)
                assert (status, content, headers["Content-Type"]) == (200, name.encode(), kind)
        for path in ("/secret.txt", "/.a.js.swp", "/page.html", "/more/../secret.txt", "/more"):
            assert ask(site, path)[0] in (404, 307)


def test_a_value_is_rendered_once_for_all_who_watch() -> None:
    """Without viewers nothing is rendered; a viewer that comes gets the newest value at once."""
    rendered = []

    def render(value: int) -> bytes:
        rendered.append(value)
        return str(value).encode()

    channel = Channel(render)
    for value in range(5):
        channel.publish(value)
    with serving(stream_of(channel)) as site:
        assert (rendered, channel.watched.is_set()) == ([], False)
        asked = b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n"
        watching = [connected(site, asked).makefile("rb") for _ in range(5)]
        for value in (4, 5):
            for each in watching:
                while (line := each.readline()) != f"data: {value}\n".encode():
                    assert line, "the stream has ended"
            assert (rendered, channel.watched.is_set()) == (list(range(4, value + 1)), True)
            channel.publish(value + 1)
        for each in watching:
            each.close()
        until(lambda: not channel.watched.is_set(), "all to have left")


def test_a_slow_viewer_skips_and_a_stalled_one_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one that never ends its request."""
    monkeypatch.setattr(connections, "PATIENCE_S", 1.0)
    rendered = []

    def render(value: int) -> bytes:
        rendered.append(value)
        return b"x" * 500_000

    channel = Channel(render)
    with serving(stream_of(channel)) as site:
        silent = connected(site, b"GET / HTTP/1.1\r\nHost: loc")
        stalled = connected(site, b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        channel.publish(0)
        until(channel.watched.is_set, "it to watch")
        for value in range(1, 200):
            channel.publish(value)
        until(lambda: not channel.watched.is_set(), "it to be dropped")
        assert len(rendered) < 50
        assert silent.recv(1) == b""
        stalled.close()
        silent.close()


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond the bound are told to come again later, and each that ends makes room."""
    monkeypatch.setattr(connections, "CONNECTIONS", 3)
    with serving() as site:
        idle = [connected(site, b"GET") for _ in range(3)]
        until(lambda: ask(site, "/csrf")[0] == 503, "them to be counted")
        assert ask(site, "/csrf")[2]["Retry-After"] == "5"
        idle.pop().close()
        until(lambda: ask(site, "/csrf")[0] == 200, "room")
        for each in idle:
            each.close()


@pytest.mark.parametrize("error", [ValueError("a fault of ours"), BrokenPipeError(32, "ours")])
def test_our_own_faults_are_logged(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """They have their traceback; the viewer is told nothing of it."""

    def fails(_: Request) -> Response:
        raise error

    with serving(Route("/", fails)) as site:
        status, content, headers = ask(site, "/")
    assert (status, headers["X-Content-Type-Options"]) == (500, "nosniff")
    assert b"ours" not in content
    assert f"{type(error).__name__}: " in caplog.text


def test_a_viewers_leaving_and_nonsense_are_not_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither a viewer that vanishes, during a stream or a post, nor one that speaks no HTTP."""
    channel = Channel(bytes)
    channel.publish(b"x" * 500_000)
    with serving(stream_of(channel), REPEAT) as site:
        token = ask(site, "/csrf")[1].decode()
        post = f"POST /repeat HTTP/1.1\r\nHost: localhost\r\nX-CSRF-Token: {token}\r\n"
        for data in (
            b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n",
            (post + "Content-Length: 9\r\n\r\nfour").encode(),
            b"\x16\x03\x01 TLS\r\n\r\n",
        ):
            gone = connected(site, data)
            if data.startswith(b"GET"):
                until(channel.watched.is_set, "it to watch")
            # A reset and no goodbye, as when a viewer's network goes.
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.close()
        until(lambda: not channel.watched.is_set(), "it to have left")
        assert ask(site, "/csrf")[0] == 200
    assert (caplog.text, *capfd.readouterr()) == ("", "", "")
