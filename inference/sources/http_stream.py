"""Pictures over HTTP: an MJPEG stream, or a single image; the server's answer tells which.

This reads streams with httpx instead of OpenCV's FFmpeg. FFmpeg hides why a server refuses, cannot
answer a digest login, holds a stalled connection for 30 s before OpenCV 4.6, decodes every picture,
and takes a single image for a video. A multipart stream is simple to read without OpenCV.
"""

from __future__ import annotations

import contextlib
import email.message
import io
import itertools
import threading
import time
from dataclasses import replace
from typing import Any, Generator

import httpx

from hyperhive.common.errors import SourceError
from hyperhive.common.text import printable
from hyperhive.inference.frames import Frame, Say
from hyperhive.inference.settings import Sampling
from hyperhive.inference.sources.camera import Camera
from hyperhive.inference.sources.feed import Feed
from hyperhive.inference.sources.grabber import Capture, Origin
from hyperhive.inference.sources.http_client import client_for, parsed, reason_of
from hyperhive.inference.sources.http_login import CameraLogin
from hyperhive.inference.sources.mjpeg import LARGEST, MjpegCapture

_BUFFER = 2**16
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG")
"""First bytes of images: some cameras send images without a content type.

A stream without one is known by its first boundary.
"""


class StillImage(Exception):
    """An address turned out to be a single image: these bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__("a single image")
        self.data = data


_LIVE_INTERVAL_S = 0.2
"""Seconds between two requests for an image in live mode."""


class HttpSource:
    """A source of snapshots of an MJPEG stream, or of the image at an address.

    An image is requested once, or ``count`` times, and again and again in live mode: this is how
    many cameras give their newest picture.

    Args:
        origin: opens with ``open_http``.
        sampling: ``count``, ``every`` and, for a stream, ``countdown``; or ``live``.
        say: is called with a sentence about the connection and the countdown.
    """

    live = True

    def __init__(self, origin: Origin, sampling: Sampling, say: Say) -> None:
        self.title = origin.title
        self._open = origin.open
        self._origin = replace(origin, open=self._open_stream)
        self._sampling = sampling
        self._say = say
        self._is_stream = False
        self._image: bytes | None = None

    def frames(self, stop: threading.Event, left_out: Say) -> Generator[Frame, None, None]:
        """Yield the snapshots; see ``Source.frames``."""
        try:
            yield from Camera(self._origin, self._sampling, self._say).frames(stop, left_out)
        except StillImage as still:
            self._image = still.data
            yield from self._stills(stop)

    def _open_stream(self) -> Capture:
        try:
            capture = self._open()
        except StillImage:
            if self._is_stream:
                raise SourceError(f"{self.title} was a stream and has become an image") from None
            raise
        self._is_stream = True
        return capture

    def _stills(self, stop: threading.Event) -> Generator[Frame, None, None]:
        feed = Feed(replace(self._origin, open=self._open_image), self._say)
        live, count = self._sampling.live, self._sampling.count
        interval = _LIVE_INTERVAL_S if live else self._sampling.interval
        due = time.monotonic()
        for index in itertools.count() if live and count is None else range(count or 1):
            stop.wait(max(0.0, due - time.monotonic()))
            try:
                frame = feed.newest(time.monotonic(), stop, index)
            finally:
                feed.close()
            if frame is None:
                return
            yield frame
            if frame.moment - due > interval:
                due = frame.moment  # after an outage, missed snapshots are not taken at once
            due += interval

    def _open_image(self) -> Capture:
        image, self._image = self._image, None
        if image is None:
            try:
                self._open().release()
            except StillImage as still:
                image = still.data
            else:
                raise SourceError(f"{self.title} was an image and has become a stream")
        return _ImageCapture(image, self.title)


class _ImageCapture:
    """An image as a ``Capture``, which gives it once."""

    def __init__(self, image: bytes, title: str) -> None:
        self._image: bytes | None = image
        self._title = title

    def read(self) -> bytes:
        image, self._image = self._image, None
        if image is None:
            raise SourceError(f"{self._title} cannot be decoded: it is damaged, or not an image")
        return image

    def release(self) -> None:
        pass  # the connection is closed


def open_http(url: str, title: str, seconds: float) -> MjpegCapture:
    """Request a stream.

    Args:
        url: http or https; a user and password in it are given to that server, once it asks.
        title: names it to a person, without the password.
        seconds: how long the server may be silent.

    Raises ``StillImage`` if the answer is an image, ``SourceError`` if it is neither.
    """
    with contextlib.ExitStack() as opened:
        response = _answer(url, title, seconds, opened)
        kind, boundary = _content_type(response)
        body = io.BufferedReader(_Body(response, title), _BUFFER)
        if kind == "multipart/x-mixed-replace" or (kind.startswith("multipart/") and boundary):
            return MjpegCapture(body, boundary, title, opened.pop_all().close)
        head = body.read(len(_BEGINNINGS[-1]))
        if head.lstrip(b"\r\n").startswith(b"--"):
            line = head.lstrip(b"\r\n") + body.readline(_BUFFER)
            return MjpegCapture(body, line.decode("latin-1"), title, opened.pop_all().close, True)
        if kind.startswith("image/") or head.startswith(_BEGINNINGS):
            raise StillImage(head + body.read(LARGEST))
    content = printable(kind) or "data without a content type"
    raise SourceError(
        f"{title} answers with {content}, neither an MJPEG stream nor an image: give the address "
        "of the stream itself, not of a page that shows it; download a video file first"
    )


class _Body(io.RawIOBase):
    """The bytes of an answer as they arrive, for ``io.BufferedReader``."""

    def __init__(self, response: httpx.Response, title: str) -> None:
        self._pieces = response.iter_bytes()
        self._rest = b""
        self._title = title

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            while not self._rest:
                self._rest = next(self._pieces)
        except StopIteration:
            return 0
        except httpx.HTTPError as error:
            raise SourceError(f"{self._title} broke off: {reason_of(error)}") from None
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _answer(url: str, title: str, seconds: float, opened: contextlib.ExitStack) -> httpx.Response:
    """Return a server's answer, whose body has not been read; ``opened`` closes the connection.

    Raises ``SourceError`` for an address that is not valid, for a server that cannot be reached,
    and for one that refuses.
    """
    address, host, login = parsed(url, title)
    client = opened.enter_context(client_for(host, title, seconds))
    try:
        response = _followed(client, address, login)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Not the error's own text: it may hold the address, and with it a password.
        raise SourceError(f"{title} cannot be opened: {reason_of(error)}") from None
    opened.callback(response.close)
    if not response.is_success:
        raise SourceError(_refusal(response.status_code, title))
    return response


def _followed(client: httpx.Client, address: str, login: CameraLogin | None) -> httpx.Response:
    """Return the answer at the end of all redirects; each address may ask for the login again.

    httpx would read the whole body of a redirect, which may have no end, and would send a digest on
    to an address that it does not fit.
    """
    request = client.build_request("GET", address)
    for _ in range(client.max_redirects + 1):
        response = client.send(request, auth=login, stream=True)
        if response.next_request is None:
            return response
        response.close()
        request = response.next_request
        request.headers.pop("Authorization", None)
    raise httpx.TooManyRedirects("too many redirects", request=request)


def _content_type(response: httpx.Response) -> tuple[str, str]:
    """Return an answer's content type, and the boundary between its parts; each may be ``""``."""
    given = response.headers.get("Content-Type", "").strip()
    message = email.message.Message()
    message["Content-Type"] = given
    # A type that is missing or malformed would be text/plain, as it is in an e-mail.
    kind = message.get_content_type()
    is_given = given.lower().startswith(kind)
    return kind if is_given else given, message.get_boundary("")


def _refusal(code: int, title: str) -> str:
    if code == 401:
        return (
            f"{title} needs a valid user and password: write them into the address, as "
            "http://USER:PASSWORD@HOST/... (in a password, @ is %40 and / is %2F)"
        )
    name = httpx.codes.get_reason_phrase(code)
    return f"{title} cannot be opened: the server answers {code} {name}".rstrip()
