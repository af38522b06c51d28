"""Who may see a site, what a page may load, and what a request may ask for."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from http import HTTPStatus
from typing import Sequence
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hyperhive.web.connections import PATIENCE_S

LARGEST_BODY = 24 * 1024 * 1024
"""Bytes of the largest body of a POST: a photograph of a phone fits."""

_BODIES = 4
"""Largest number of POSTs at a time, each with its body in memory."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data: blob:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Otherwise another site's page could show the pictures: browsers request those of loopback too.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def refusal(status: HTTPStatus, reason: str) -> Response:
    """Return an answer that says in a sentence why there is no other."""
    headers = {"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return PlainTextResponse(f"{reason}\n", status, headers)


class Guard:
    """Passes a request on to the site if it may be answered.

    - On loopback, the request must name this machine by a name of its own. A page from elsewhere
      may have its own name resolve to 127.0.0.1 (DNS rebinding); its requests carry that name.
    - With a key, it must have the cookie, or the key itself in its query. A browser that comes with
      the key gets the cookie and is sent to the address without the key.
    - A POST must have the token that only a page of this site can read (``GET csrf``), in its
      header ``X-CSRF-Token``, and a body of at most ``LARGEST_BODY`` bytes.

    Args:
        app: the site.
        names: the names in ``Host`` that are answered; None for all.
        key: the secret that opens the site; None if it needs none.
        port: the one that is served. A browser sends a host's cookies to all its ports, so the
            cookie's name has the port.
        program: the command that printed the address.
    """

    def __init__(
        self, app: ASGIApp, names: Sequence[str] | None, key: str | None, port: int, program: str
    ) -> None:
        self._app = app
        self._names = names
        self._key = key
        self._program = program
        self._cookie = f"hyperhive-{port}"
        # The cookie says that its browser had the key, and does not contain it.
        self._pass = hmac.new((key or "").encode(), b"cookie", hashlib.sha256).hexdigest()
        self._bodies = 0
        self.csrf = secrets.token_urlsafe(16)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_all(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        request = Request(scope)
        answer = self._refused(request) or self._opened(request)
        if answer is not None:
            await answer(scope, receive, send_all)
        elif request.method == "POST":
            await self._post(request, receive, send_all)
        else:
            await self._app(scope, receive, send_all)

    def _refused(self, request: Request) -> Response | None:
        host = re.sub(r":\d+$", "", request.headers.get("host", "")).lower()
        if self._names is not None and host not in self._names:
            return refusal(HTTPStatus.MISDIRECTED_REQUEST, "this page is at http://localhost only")
        if self._key is not None:
            has_pass = _same(request.cookies.get(self._cookie, ""), self._pass)
            if not has_pass and not _same(request.query_params.get("key", ""), self._key):
                reason = f"use the address that {self._program} printed"
                return refusal(HTTPStatus.FORBIDDEN, reason)
        if request.method == "POST" and not _same(
            request.headers.get("x-csrf-token", ""), self.csrf
        ):
            return refusal(
                HTTPStatus.FORBIDDEN, "the header X-CSRF-Token must have this page's token"
            )
        return None

    def _opened(self, request: Request) -> Response | None:
        """Return the cookie and the plain address for a browser that comes with the key.

        A program that asks for no HTML keeps no cookies, such as a player of the pictures: it is
        answered at the address that has the key.
        """
        if self._key is None or "text/html" not in request.headers.get("accept", ""):
            return None
        query = request.query_params.multi_items()
        others = [(name, value) for name, value in query if name != "key"]
        if len(others) == len(query):
            return None
        # Two slashes would begin the name of another host.
        plain = "/" + request.scope["path"].lstrip("/")
        answer = RedirectResponse(
            plain + ("?" + urlencode(others) if others else ""), HTTPStatus.SEE_OTHER
        )
        answer.set_cookie(self._cookie, self._pass, httponly=True, samesite="strict")
        return answer

    async def _post(self, request: Request, receive: Receive, send: Send) -> None:
        """Read the whole body, then pass the request on."""
        if self._bodies == _BODIES:
            full = refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests; ask again")
            await full(request.scope, receive, send)
            return
        self._bodies += 1
        try:
            body = await _body(receive)
            if isinstance(body, Response):
                body.headers["Connection"] = "close"  # the rest of the body is not read
                await body(request.scope, receive, send)
            elif body is not None:
                await self._app(request.scope, _again(body, receive), send)
        finally:
            self._bodies -= 1


async def _body(receive: Receive) -> bytes | Response | None:
    """Return the body, or why it is refused; None once the viewer has left."""
    body, more = bytearray(), True
    while more:
        try:
            message = await asyncio.wait_for(receive(), PATIENCE_S)
        except asyncio.TimeoutError:
            return refusal(HTTPStatus.REQUEST_TIMEOUT, "the rest of the request did not come")
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            reason = f"send at most {LARGEST_BODY // 1024**2} MB"
            return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
        more = message.get("more_body", False)
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body that was read, and then what comes after it."""
    given = False

    async def first() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return first


def _same(given: str, wanted: str) -> bool:
    """Return whether two texts are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
