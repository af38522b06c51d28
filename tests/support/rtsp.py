"""A network camera for tests that speaks RTSP: numbered JPEG pictures over RTP over TCP."""

from __future__ import annotations

import base64
import socketserver
import struct
import threading

from support.mjpeg import jpeg, numbered

_CLOCK = 90_000
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 26\r\na=control:track\r\n"
)


def _parts(picture: bytes) -> tuple[bytes, bytes]:
    """Return a JPEG file's quantisation tables, and the data after its headers."""
    tables, at = b"", 2
    while True:
        marker, size = struct.unpack(">HH", picture[at : at + 4])
        segment = picture[at + 4 : at + 2 + size]
        at += 2 + size
        if marker == 0xFFDB:
            while segment:
                tables, segment = tables + segment[1:65], segment[65:]
        elif marker == 0xFFDA:
            return tables, picture[at:]


def packets(number: int, width: int, height: int, tables: bytes, scan: bytes) -> list[bytes]:
    """Return a picture as RTP packets (RFC 2435; type 1 is 4:2:0, Q 255 includes the tables)."""
    result, offset, largest = [], 0, 1200
    while offset < len(scan):
        piece = scan[offset : offset + largest]
        last = offset + len(piece) == len(scan)
        head = struct.pack(">BBHII", 0x80, 26 | last << 7, number, number * _CLOCK // 25, 1)
        head += struct.pack(">IBBBB", offset, 1, 255, width // 8, height // 8)
        head += struct.pack(">BBH", 0, 0, len(tables)) + tables if offset == 0 else b""
        result.append(head + piece)
        offset += len(piece)
    return result


class RtspServer(socketserver.ThreadingTCPServer):
    """Serves one stream at 25 pictures per second; use it as a context manager.

    Attributes:
        login: required user and password (basic), or None.
        last: number of the last picture that was sent.
        stalled: while set, nothing is sent.
        watching: number of open streams.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.login: tuple[str, str] | None = None
        self.last = 0
        self.stalled = threading.Event()
        self.closed = threading.Event()
        self.watching = 0
        self.address = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self.shutdown()
        self.server_close()


class _Session(socketserver.StreamRequestHandler):
    server: RtspServer

    def handle(self) -> None:
        while True:
            request = self.rfile.readline().decode().split()
            if len(request) < 2:
                return
            headers = {}
            for line in iter(self.rfile.readline, b"\r\n"):
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            self._answer(request[0], headers.get("cseq", "0"), headers.get("authorization", ""))
            if request[0] == "PLAY":
                self.server.watching += 1
                try:
                    self._play()
                except OSError:  # the viewer has left
                    return
                finally:
                    self.server.watching -= 1

    def _answer(self, method: str, number: str, authorization: str) -> None:
        login = self.server.login
        lines, body = ["RTSP/1.0 200 OK"], ""
        expected = "Basic " + base64.b64encode(":".join(login or ("", "")).encode()).decode()
        if login is not None and authorization != expected:
            lines = ["RTSP/1.0 401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"']
        elif method == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(_SDP)}"]
            body = _SDP
        elif method == "SETUP":
            lines += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
        lines.append(f"CSeq: {number}")
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def _play(self) -> None:
        sequence = 0
        while not self.server.closed.wait(0.04):
            if self.server.stalled.is_set():
                continue
            number = self.server.last = self.server.last + 1
            tables, scan = _parts(jpeg(numbered(number)))
            for packet in packets(number, 256, 48, tables, scan):
                packet = packet[:2] + struct.pack(">H", sequence & 0xFFFF) + packet[4:]
                sequence += 1
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
