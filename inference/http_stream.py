"""Pictures over HTTP: an MJPEG stream, or a single image; what the server answers tells.

This is a reader of our own over ``urllib`` and not OpenCV's FFmpeg: FFmpeg hides why a server
refuses, asks for no digest login, holds a stalled connection for 30 s before OpenCV 4.6, decodes
every picture, and takes a single image for a video. A multipart stream is simple, and so images and
streams need no OpenCV.
"""

import http.client
import itertools
import socket
import threading
import time
import urllib.error
import urllib.request
from typing import Any, Generator, Optional, Union
from urllib.parse import unquote, urlsplit

from inference.camera import Camera, stamp
from inference.errors import SourceError
from inference.feed import Feed, Origin
from inference.frames import Frame, Sampling, Say
from model.errors import DatasetError
from model.images import decode

_LARGEST = 64 * 2**20
_LONGEST_LINE = 2**16
_END_OF_JPEG = b"\xff\xd9"


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
        self._origin = origin
        self._sampling = sampling
        self._say = say

    def frames(self, stop: threading.Event, left_out: Say) -> Generator[Frame, None, None]:
        """Give the snapshots; see ``Source.frames``."""
        try:
            yield from Camera(self._origin, self._sampling, self._say).frames(stop, left_out)
        except StillImage as still:
            yield from self._stills(still.data, stop)

    def _stills(self, first: bytes, stop: threading.Event) -> Generator[Frame, None, None]:
        begun = time.monotonic()
        data: Optional[bytes] = first
        live, count = self._sampling.live, self._sampling.count
        every = _LIVE_EVERY_S if live else self._sampling.every
        for index in itertools.count() if live and count is None else range(count or 1):
            if index:
                stop.wait(max(0.0, begun + index * every - time.monotonic()))
                data = self._fetch(stop)
            if data is None:
                return
            try:
                image = decode(data)
            except DatasetError as error:
                raise SourceError("{} cannot be read: {}".format(self.title, error)) from error
            now = time.time()
            name = "snapshot-{}-{:03d}".format(stamp(now), index)
            yield Frame(image, name, self.title, index, now)

    def _fetch(self, stop: threading.Event) -> Optional[bytes]:
        """Return the image as it is now; None once stopped."""
        feed = Feed(self._origin, self._say)
        try:
            feed.newest(time.monotonic(), stop)
        except StillImage as still:
            return still.data
        finally:
            feed.close()
        if stop.is_set():
            return None
        raise SourceError("{} was an image and has become a stream".format(self.title))


def open_http(url: str, title: str, seconds: float) -> "MjpegCapture":
    """Ask an address for its stream.

    Args:
        url: http or https; a user and password in it are given to the server that asks for them.
        title: names it to a person, without the password.
        seconds: how long the server may be silent.

    Raises ``StillImage`` if the answer is an image, ``SourceError`` if it is neither.
    """
    try:
        response = _ask(url, seconds)
        kind = response.headers.get_content_type()
        if kind == "multipart/x-mixed-replace":
            return MjpegCapture(response, response.headers.get_param("boundary") or "", title)
        with response:
            if kind.startswith("image/"):
                raise StillImage(response.read(_LARGEST))
    except urllib.error.HTTPError as error:
        raise SourceError(_refusal(error.code, title)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Not the error itself: its text may hold the address, and with it a password.
        raise SourceError("{} cannot be opened: {}".format(title, _reason(error))) from None
    raise SourceError(
        "{} answers with {}, neither an MJPEG stream nor an image: give the address of the stream "
        "itself, not of a page that shows it; a video file must be downloaded first".format(
            title, kind
        )
    )


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

    def read(self) -> Optional[bytes]:
        """Return the next image as it was encoded; see ``Capture.read``."""
        try:
            while not self._at_boundary:
                self._at_boundary = self._is_boundary(self._line())
            self._at_boundary = False
            return self._part(self._length())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceError("{} broke off: {}".format(self._title, _reason(error))) from None

    def release(self) -> None:
        """Close the connection."""
        self._response.close()

    def _length(self) -> Optional[int]:
        """Read a part's headers; return its length if they tell."""
        length = None
        while True:
            name, _, value = self._line().strip().partition(b":")
            if not name:
                return length
            if name.lower() == b"content-length":
                length = int(value)

    def _part(self, length: Optional[int]) -> bytes:
        if length is None:
            return self._part_to_boundary()
        if not 0 <= length <= _LARGEST:
            raise SourceError("{} sends a part of {:,} bytes".format(self._title, length))
        data: bytes = self._response.read(length)
        if len(data) < length:
            raise SourceError("{} ended".format(self._title))
        return data

    def _part_to_boundary(self) -> bytes:
        """Read a part whose length is not told, to its end.

        The next boundary comes with the next image only: not to be one image late, a JPEG's own end
        is enough.
        """
        data = bytearray()
        while len(data) <= _LARGEST:
            line = self._line()
            if self._is_boundary(line):
                self._at_boundary = True
                return bytes(data)
            data += line
            if line.rstrip(b"\r\n").endswith(_END_OF_JPEG):
                return bytes(data)
        raise SourceError("{} sends a part that does not end".format(self._title))

    def _is_boundary(self, line: bytes) -> bool:
        if not line.startswith(b"--"):
            return False
        return not self._boundary or line.strip().strip(b"-") == self._boundary

    def _line(self) -> bytes:
        line: bytes = self._response.readline(_LONGEST_LINE)
        if not line:
            raise SourceError("{} ended".format(self._title))
        return line


class _BasicLogin(urllib.request.HTTPBasicAuthHandler):
    """Leaves alone who asks for a digest only; urllib's own would fail with what is no refusal."""

    def http_error_401(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        schemes = [scheme.lower() for scheme in headers.get_all("www-authenticate", [])]
        if not any(scheme.startswith("basic") for scheme in schemes):
            return None
        return super().http_error_401(req, fp, code, msg, headers)


def _ask(url: str, seconds: float) -> Any:
    parts = urlsplit(url)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    logins = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        logins.add_password(None, plain, unquote(parts.username), unquote(parts.password or ""))
    opener = urllib.request.build_opener(
        _BasicLogin(logins), urllib.request.HTTPDigestAuthHandler(logins)
    )
    return opener.open(plain, timeout=seconds)


def _refusal(code: int, title: str) -> str:
    if code == 401:
        return (
            "{} wants another user and password: write them into the address, as "
            "http://USER:PASSWORD@HOST/... (in a password, @ is %40 and / is %2F)".format(title)
        )
    name = http.client.responses.get(code, "")
    return "{} cannot be opened: the server answers {} {}".format(title, code, name).rstrip()


def _reason(error: Union[OSError, Exception]) -> str:
    """Return why a connection failed, in words that hold no address."""
    reason = getattr(error, "reason", error)  # what urllib wraps
    if isinstance(reason, (socket.timeout, TimeoutError)):
        return "the server does not answer in time; see that it runs and is in this network"
    if isinstance(reason, OSError) and reason.strerror:
        return "{}; see that the server runs and is in this network".format(reason.strerror)
    if isinstance(error, http.client.HTTPException) and not isinstance(
        error, http.client.InvalidURL
    ):
        return "the server does not speak HTTP as it should ({})".format(type(error).__name__)
    return "that is not a valid address (in a password, @ is %40, / is %2F and : is %3A)"
