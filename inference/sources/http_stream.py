"""Pictures over HTTP: an MJPEG stream, or a single image; what the server answers tells.

This is a reader of our own over ``urllib`` and not OpenCV's FFmpeg: FFmpeg hides why a server
refuses, asks for no digest login, holds a stalled connection for 30 s before OpenCV 4.6, decodes
every picture, and takes a single image for a video. A multipart stream is simple, and so images and
streams need no OpenCV.
"""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from dataclasses import replace
from typing import Any, Generator

from hyperhive.common.errors import SourceError
from hyperhive.inference.drawing.text import printable
from hyperhive.inference.frames import Frame, Sampling, Say
from hyperhive.inference.sources.camera import Camera, stamp
from hyperhive.inference.sources.feed import Capture, Feed, Origin
from hyperhive.inference.sources.http_request import ask, reason_of

_LARGEST = 64 * 2**20
_LONGEST_LINE = 2**16
_END_OF_JPEG = b"\xff\xd9"
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG")
"""Of images: some cameras send them as no type at all."""

_SEARCH_S = 1.0
"""So long the next part is looked for before whoever closes the stream is heard."""


class StillImage(Exception):
    """An address turned out to be a single image: these bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__("a single image")
        self.data = data


_LIVE_EVERY_S = 0.2
"""An image that is fetched anew each time is not fetched without a pause."""


class HttpSource:
    """A source of snapshots of an MJPEG stream, or of the image that an address gives.

    An image is fetched once, or as often as a count says, and in live mode again and again: many
    cameras give their newest picture so.

    Args:
        origin: opens with ``open_http``.
        sampling: ``count``, ``every`` and, of a stream, ``countdown``; or ``live``.
        say: is told what is going on.
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
        """Give the snapshots; see ``Source.frames``."""
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
        every = _LIVE_EVERY_S if live else self._sampling.every
        due = time.monotonic()
        for index in itertools.count() if live and count is None else range(count or 1):
            stop.wait(max(0.0, due - time.monotonic()))
            try:
                picture = feed.newest(time.monotonic(), stop)
            finally:
                feed.close()
            if picture is None:
                return
            name = f"snapshot-{stamp(picture.time)}-{index:03d}"
            yield Frame(picture.image, name, self.title, index, picture.time, picture.took)
            if picture.moment - due > every:
                due = picture.moment  # after an outage, not all that it missed at once
            due += every

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
            raise SourceError(f"{self._title} cannot be read: it is no image, or damaged")
        return image

    def release(self) -> None:
        pass  # the connection is closed


def open_http(url: str, title: str, seconds: float) -> MjpegCapture:
    """Ask an address for its stream.

    Args:
        url: http or https; a user and password in it are given to the server that asks for them.
        title: names it to a person, without the password.
        seconds: how long the server may be silent.

    Raises ``StillImage`` if the answer is an image, ``SourceError`` if it is neither.
    """
    response = ask(url, title, seconds)
    kind = response.headers.get_content_type()
    boundary = response.headers.get_boundary("")
    if kind == "multipart/x-mixed-replace" or (kind.startswith("multipart/") and boundary):
        return MjpegCapture(response, boundary, title)
    try:
        with response:
            head = response.read(len(_BEGINNINGS[-1]))
            if kind.startswith("image/") or head.startswith(_BEGINNINGS):
                raise StillImage(head + _rest(response))
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"{title} broke off: {reason_of(error)}") from None
    raise SourceError(
        f"{title} answers with {printable(kind)}, neither an MJPEG stream nor an image: "
        "give the address of the stream "
        "itself, not of a page that shows it; a video file must be downloaded first"
    )


def _rest(response: Any) -> bytes:
    data = bytearray()
    while len(data) < _LARGEST:
        piece = response.read(_LONGEST_LINE)  # not all at once: Python 3.8 takes memory for it
        if not piece:
            break
        data += piece
    return bytes(data)


class MjpegCapture:
    """A stream of JPEG images, each a part of one endless answer; see ``Capture``.

    Args:
        response: the answer.
        boundary: what stands between the parts, as its headers say.
        title: names it to a person.
    """

    def __init__(self, response: Any, boundary: str, title: str) -> None:
        self._response = response
        # Some cameras count the dashes in, some do not.
        self._boundary = boundary.strip("-").encode("latin-1", "replace")
        self._title = title
        self._at_boundary = False

    def read(self) -> bytes | None:
        """Return the next image as it was encoded; see ``Capture.read``.

        Between parts any line with two dashes begins one: cameras promise another boundary than
        they send.
        """
        until = time.monotonic() + _SEARCH_S
        try:
            while not self._at_boundary:
                if time.monotonic() > until:
                    return None
                self._at_boundary = self._line().startswith(b"--")
            self._at_boundary = False
            return self._part(self._length())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceError(f"{self._title} broke off: {reason_of(error)}") from None

    def release(self) -> None:
        """Close the connection."""
        self._response.close()

    def _length(self) -> int | None:
        """Read a part's headers; return its length if they tell."""
        length = None
        while True:
            name, _, value = self._line().strip().partition(b":")
            if not name:
                return length
            if name.lower() == b"content-length":
                if not value.strip().isdigit():
                    raise SourceError(f"{self._title} sends a part whose length cannot be read")
                length = int(value)

    def _part(self, length: int | None) -> bytes:
        if length is None:
            return self._part_to_boundary()
        if length > _LARGEST:
            raise SourceError(f"{self._title} sends a part of {length:,} bytes")
        data: bytes = self._response.read(length)
        if len(data) < length:
            raise SourceError(f"{self._title} ended")
        return data

    def _part_to_boundary(self) -> bytes:
        """Read a part whose length is not told, to its end.

        The next boundary, and of some cameras the line end before it, comes with the next image
        only: not to be one image late, a JPEG's own end is enough where no more is there.
        """
        data, line = bytearray(), 0
        while len(data) <= _LARGEST:
            ready = self._response.peek(_LONGEST_LINE)
            if not ready:
                raise SourceError(f"{self._title} ended")
            data += self._response.read(ready.find(b"\n") + 1 or len(ready))
            if data[-4:].rstrip(b"\r\n").endswith(_END_OF_JPEG):
                return bytes(data)
            if data.endswith(b"\n"):
                if self._is_boundary(data[line:]):
                    self._at_boundary = True
                    return bytes(data[:line])
                line = len(data)
        raise SourceError(f"{self._title} sends a part that does not end")

    def _is_boundary(self, line: bytearray) -> bool:
        if not line.startswith(b"--"):
            return False
        return not self._boundary or line.strip().strip(b"-") == self._boundary

    def _line(self) -> bytes:
        line: bytes = self._response.readline(_LONGEST_LINE)
        if not line:
            raise SourceError(f"{self._title} ended")
        return line
