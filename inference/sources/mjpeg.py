"""A motion JPEG stream: images in the parts of one endless multipart answer."""

from __future__ import annotations

import io
import time
from typing import Any, Callable

from hyperhive.common.errors import SourceError

LARGEST = 64 * 2**20
"""Bytes of the largest image that is read."""

_LONGEST_LINE = 2**16
_END_OF_JPEG = b"\xff\xd9"

_SEARCH_S = 1.0
"""Seconds of searching for the next part before ``read`` returns, so that it can be stopped."""


class MjpegCapture:
    """A stream of JPEG images; see ``Capture``.

    Args:
        body: the answer, without its headers; raises ``SourceError`` if the connection breaks.
        boundary: the line between the parts, as the answer's headers name it.
        title: names the stream to a person, without the password.
        close: closes the connection.
        at_boundary: whether the first boundary has been read from ``body`` already.
    """

    def __init__(
        self,
        body: io.BufferedReader[Any],
        boundary: str,
        title: str,
        close: Callable[[], None],
        at_boundary: bool = False,
    ) -> None:
        self._body = body
        # Some cameras count the leading dashes as part of it, some do not.
        self._boundary = boundary.strip().strip("-").encode("latin-1", "replace")
        self._title = title
        self._close = close
        self._at_boundary = at_boundary

    def read(self) -> bytes | None:
        """Return the next image as it was encoded; see ``Capture.read``.

        Between parts, any line that starts with two dashes begins a part: cameras send other
        boundaries than their headers promise.
        """
        until = time.monotonic() + _SEARCH_S
        while not self._at_boundary:
            if time.monotonic() > until:
                return None
            self._at_boundary = self._line().startswith(b"--")
        self._at_boundary = False
        return self._part(self._length())

    def release(self) -> None:
        """Close the connection."""
        self._close()

    def _length(self) -> int | None:
        """Read the headers of a part; return the length that they give, or None."""
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
        if length > LARGEST:
            raise SourceError(f"{self._title} sends a part of {length:,} bytes")
        data: bytes = self._body.read(length)
        if len(data) < length:
            raise SourceError(f"{self._title} ended")
        return data

    def _part_to_boundary(self) -> bytes:
        """Read a part of unknown length to its end.

        The next boundary arrives only with the next image, and so does the line end before it from
        some cameras. To avoid being one image late, a JPEG's own end marker ends the part where no
        more bytes have arrived.
        """
        data, line = bytearray(), 0
        while len(data) <= LARGEST:
            ready = self._body.peek()
            if not ready:
                raise SourceError(f"{self._title} ended")
            data += self._body.read(ready.find(b"\n") + 1 or len(ready))
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
        line: bytes = self._body.readline(_LONGEST_LINE)
        if not line:
            raise SourceError(f"{self._title} ended")
        return line
