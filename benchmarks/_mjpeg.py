"""A small server on this machine that sends frames as a network camera does (motion JPEG)."""

from __future__ import annotations

import contextlib
import io
import itertools
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator, Sequence

# torch before cv2: on a Jetson there is too little static TLS left for it afterwards.
import torch  # noqa: F401

# isort: split
import cv2
import numpy as np
from PIL import Image

_BITS = 12
_CELL = 40
"""A frame's number is drawn beside the guide, one cell per bit, to identify it in a snapshot."""

_BOUNDARY = "frame"


def encode(frame: np.ndarray, number: int) -> bytes:
    """Return a BGR frame, 480 high, as a JPEG with its number (below 4096) drawn at the left."""
    marked = frame.copy()
    for bit in range(_BITS):
        marked[bit * _CELL : (bit + 1) * _CELL, :_CELL] = 255 * (number >> bit & 1)
    _, data = cv2.imencode(".jpg", marked, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return data.tobytes()


def number(frame: np.ndarray) -> int:
    """Return the number that is drawn in a frame."""
    middles = frame[_CELL // 2 :: _CELL, _CELL // 2].mean(axis=1)
    return sum(int(middle > 127) << bit for bit, middle in enumerate(middles[:_BITS]))


def jpeg(image: np.ndarray) -> bytes:
    """Return an RGB picture as a JPEG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=85)
    return file.getvalue()


@contextlib.contextmanager
def serve(frames: Sequence[bytes], fps: float = 15.0) -> Iterator[str]:
    """Send JPEG frames to every client, from the first on and in a loop; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server calls it by this name
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.end_headers()
            started_at = time.monotonic()
            for shown, frame in enumerate(itertools.cycle(frames), start=1):
                head = "--{}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
                try:
                    self.wfile.write(head.format(_BOUNDARY, len(frame)).encode() + frame + b"\r\n")
                except OSError:  # the client has gone
                    return
                if closed.wait(max(0.0, started_at + shown / fps - time.monotonic())):
                    return

        def log_message(self, *_: object) -> None:
            """Log nothing: only the table is printed."""

    closed = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            closed.set()
            server.shutdown()
            thread.join()
