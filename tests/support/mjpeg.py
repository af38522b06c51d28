"""A network camera for tests: serves MJPEG on loopback, and misbehaves when told to.

Each picture carries its number in its pixels; the time at which it was sent is recorded.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import re
import socket
import threading
import time
from typing import Callable

import numpy as np
from PIL import Image

_BITS, _SIDE = 16, 16
BOUNDARY = "frame"


def numbered(number: int) -> np.ndarray:
    """Return RGB pixels that show a number as a row of squares, white for 1, which survive JPEG."""
    bits = [255 * (number >> bit & 1) for bit in range(_BITS)]
    row = np.repeat(np.array(bits, np.uint8), _SIDE)
    return np.repeat(np.tile(row, (3 * _SIDE, 1))[..., None], 3, axis=2)


def number_in(image: np.ndarray) -> int:
    """Return the number that a picture of any size shows."""
    height, width = image.shape[:2]
    middles = [int((bit + 0.5) * width / _BITS) for bit in range(_BITS)]
    return sum((int(image[height // 2, x].mean()) > 127) << bit for bit, x in enumerate(middles))


def jpeg(image: np.ndarray) -> bytes:
    """Return an RGB picture as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return file.getvalue()


class MjpegServer:
    """``/stream`` is MJPEG, ``/still`` one picture, ``/page`` neither; a context manager.

    A test may set these at any time:

    Attributes:
        fps: pictures per second.
        picture: returns the pixels of a number.
        stalled: while set, streams stay open and send nothing.
        mute: while set, requests are accepted and not answered.
        login: required user and password, or None.
        digest: whether the login must be a digest.
        lengths: whether the parts of a stream have a length.
        leading: whether the line end after a picture comes with the next one.
        chunked: whether a stream comes in HTTP's chunks, as behind a proxy.
        damaged: whether pictures are truncated.
        sent: moment of the monotonic clock when the picture of each number was last sent.
        asked: number of requests that were answered with pictures.
        watching: number of open streams.
    """

    def __init__(self, fps: float = 25.0) -> None:
        self.fps = fps
        self.picture: Callable[[int], np.ndarray] = numbered
        self.stalled, self.mute = threading.Event(), threading.Event()
        self.login: tuple[str, str] | None = None
        self.digest = False
        self.lengths = True
        self.leading = False
        self.chunked = False
        self.damaged = False
        self.sent: dict[int, float] = {}
        self.asked = 0
        self.watching = 0
        self._started_at = time.monotonic()
        self._cut = threading.Event()
        self._server: http.server.ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """The address of the stream."""
        return f"http://{self.address}/stream"

    def number(self) -> int:
        """Return the number of the newest picture."""
        return int((time.monotonic() - self._started_at) * self.fps)

    def up(self) -> None:
        """Start to answer, at the same address as before."""
        owner = self

        class Handler(_Handler):
            camera = owner

        self._cut.clear()
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def cut(self) -> None:
        """Break every open stream; further ones are served."""
        self._cut.set()
        self._cut = threading.Event()

    def down(self) -> None:
        """Break every stream, and refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.cut()

    def __enter__(self) -> MjpegServer:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.mute.clear()
        self.stalled.clear()
        self.down()


class _Handler(http.server.BaseHTTPRequestHandler):
    camera: MjpegServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        """Answer as the attributes say."""
        camera, cut = self.camera, self.camera._cut
        while camera.mute.is_set():
            if cut.wait(0.02):
                return
        if not self._is_welcome():
            return
        path = self.path.partition("?")[0]
        if path == "/page":
            self._answer("text/html", b"<html>a page</html>")
        elif path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/stream")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == "/still":
            camera.asked += 1
            self._answer("image/jpeg", jpeg(camera.picture(camera.number())))
        elif path == "/stream":
            camera.asked += 1
            camera.watching += 1
            try:
                self._stream(cut)
            except OSError:  # the viewer has left
                pass
            finally:
                camera.watching -= 1
                self.close_connection = True
        else:
            self.send_error(404)

    def _stream(self, cut: threading.Event) -> None:
        camera, last = self.camera, -1
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send_response(200)
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        self.send_header("Content-Type", kind)
        if camera.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not cut.wait(0.25 / camera.fps):
            number = camera.number()
            if camera.stalled.is_set() or number == last:
                continue
            picture = jpeg(camera.picture(number))
            picture = picture[: len(picture) // 2] if camera.damaged else picture
            length = f"Content-Length: {len(picture)}\r\n" if camera.lengths else ""
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n{length}\r\n"
            part = head.encode() + picture
            part = b"\r\n" + part if camera.leading else part + b"\r\n"
            if camera.chunked:
                half = len(part) // 2
                part = b"".join(
                    f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"
                    for chunk in (part[:half], part[half:])
                )
            self.wfile.write(part)
            camera.sent[number] = time.monotonic()
            last = number

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _is_welcome(self) -> bool:
        login, given = self.camera.login, self.headers.get("Authorization", "")
        if login is None:
            return True
        expected = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        if self._digested(given, login) if self.camera.digest else given == expected:
            return True
        kind = 'Digest realm="camera", nonce="1", qop="auth"' if self.camera.digest else "Basic"
        self.send_response(401)
        self.send_header("WWW-Authenticate", kind + ("" if self.camera.digest else ' realm="c"'))
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def _digested(self, given: str, login: tuple[str, str]) -> bool:
        """Check a digest login (RFC 2617, MD5, qop auth)."""
        parts = dict(re.findall(r'(\w+)="?([^",]+)"?', given))
        if not parts:
            return False

        def md5(*texts: str) -> str:
            return hashlib.md5(":".join(texts).encode()).hexdigest()

        who, what = md5(login[0], "camera", login[1]), md5("GET", self.path)
        rest = [parts.get(key, "") for key in ("nonce", "nc", "cnonce", "qop")]
        return parts.get("response") == md5(who, *rest, what)
