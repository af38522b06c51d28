"""The newest of a series of values, streamed to any number of viewers: events and pictures."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from http import HTTPStatus
from typing import Any, Callable, Generic, Iterator, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from hyperhive.web.connections import PATIENCE_S
from hyperhive.web.guard import refusal

Value = TypeVar("Value")

_QUIET_S = PATIENCE_S / 2
"""Seconds without news after which something is sent, to notice a viewer that vanished."""


class Channel(Generic[Value]):
    """The newest value, as bytes that are made once for all viewers, when the first one asks.

    A slow viewer skips values. Publishing never waits for a viewer.

    Args:
        render: returns the bytes of a value; it runs in a thread of its own.
        interval_s: the shortest time between two renderings, in seconds.
    """

    def __init__(self, render: Callable[[Value], bytes], interval_s: float = 0.0) -> None:
        self.watched = threading.Event()
        """Set while somebody watches."""
        self._render = render
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._newest: tuple[int, Any] = (0, None)
        self._rendered: tuple[int, bytes] = (0, b"")
        self._rendered_at = -interval_s
        self._watching = 0
        # These two belong to the event loop of those who watch now.
        self._changed: asyncio.Event
        self._rendering: asyncio.Lock
        self._loop: asyncio.AbstractEventLoop

    def publish(self, value: Value) -> None:
        """Make this the newest value, from any thread."""
        with self._lock:
            self._newest = (self._newest[0] + 1, value)
            if self._watching:
                self._loop.call_soon_threadsafe(self._wake)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Enable ``after`` while this is open, in one event loop at a time."""
        with self._lock:
            if not self._watching:
                self._loop = asyncio.get_running_loop()
                self._changed, self._rendering = asyncio.Event(), asyncio.Lock()
            self._watching += 1
            self.watched.set()
        try:
            yield
        finally:
            with self._lock:
                self._watching -= 1
                if not self._watching:
                    self.watched.clear()

    async def after(self, number: int) -> tuple[int, bytes]:
        """Wait for a value after this number; return the newest one's number and bytes."""
        while self._newest[0] <= number:
            await self._changed.wait()
        async with self._rendering:
            pause = self._rendered_at + self._interval_s - time.monotonic()
            if self._rendered[0] <= number:
                await asyncio.sleep(max(0.0, pause))
            if self._rendered[0] < self._newest[0] and (pause <= 0 or self._rendered[0] <= number):
                found, value = self._newest
                self._rendered_at = time.monotonic()
                data = await run_in_threadpool(self._render, value)
                self._rendered = found, data
            return self._rendered

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Viewers:
    """The streams that a site sends now.

    Args:
        most: the largest number at the same time.
    """

    def __init__(self, most: int) -> None:
        self.closing = asyncio.Event()
        """Set when the program ends."""
        self._most = most
        self._now = 0

    @contextlib.contextmanager
    def one_more(self) -> Iterator[bool]:
        """Count one more while this is open, if there is room for it; yield whether there is."""
        if self._now == self._most:
            yield False
            return
        self._now += 1
        try:
            yield True
        finally:
            self._now -= 1


class Stream:
    """An answer that sends what a channel gives, until the viewer leaves or the program ends.

    Args:
        channel: gives the bytes.
        kind: the content type.
        part: returns what is sent for some bytes.
        quiet: returns what is sent if nothing new came for a while, from the bytes before.
    """

    def __init__(
        self,
        channel: Channel[Value],
        kind: str,
        part: Callable[[bytes], bytes],
        quiet: Callable[[bytes], bytes],
    ) -> None:
        self._channel = channel
        self._kind = kind
        self._part = part
        self._quiet = quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        viewers: Viewers = scope["app"].state.viewers
        with viewers.one_more() as has_room:
            if not has_room:
                full = refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many people are watching")
                await full(scope, receive, send)
                return
            headers = [(b"content-type", self._kind.encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if scope["method"] != "HEAD":
                await self._send_all(viewers.closing, receive, send)
            await send({"type": "http.response.body", "body": b""})

    async def _send_all(self, closing: asyncio.Event, receive: Receive, send: Send) -> None:
        async def sent(data: bytes) -> None:
            # The second part is empty: it waits until the viewer has taken most of the first, so
            # that the next value is the newest when it is sent.
            for part in (data, b""):
                await send({"type": "http.response.body", "body": part, "more_body": True})

        ends = {asyncio.ensure_future(_left(receive)), asyncio.ensure_future(closing.wait())}
        number, data = 0, b""
        with self._channel.watching():
            news = asyncio.ensure_future(self._channel.after(number))
            try:
                while True:
                    done, _ = await asyncio.wait(
                        {news, *ends}, timeout=_QUIET_S, return_when=asyncio.FIRST_COMPLETED
                    )
                    if done & ends:
                        return
                    if news in done:
                        number, data = news.result()
                        await sent(self._part(data))
                        news = asyncio.ensure_future(self._channel.after(number))
                    elif number:
                        await sent(self._quiet(data))
            finally:
                for task in (news, *ends):
                    task.cancel()


def events(channel: Channel[Value]) -> Stream:
    """Return an answer of server-sent events: each value is one message, without a name."""
    return Stream(
        channel,
        "text/event-stream",
        lambda data: b"data: " + data.replace(b"\n", b"\ndata: ") + b"\n\n",
        lambda _: b":\n\n",
    )


def pictures(channel: Channel[Value]) -> Stream:
    """Return an answer of JPEG pictures, of which a browser's ``img`` shows the newest (MJPEG)."""

    def part(data: bytes) -> bytes:
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        return head.encode() + data + b"\r\n"

    return Stream(channel, "multipart/x-mixed-replace; boundary=frame", part, part)


async def _left(receive: Receive) -> None:
    """Wait until the viewer has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
