"""The page shows frames and labels to permitted browsers, and never delays the labelling."""

from __future__ import annotations

import contextlib
import html
import http.client
import io
import json
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
from typing import Any, Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from support.home import until

from hyperhive.common.errors import OutputError, UsageError
from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import Result
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.settings import parse_address
from hyperhive.inference.views.broadcast import Broadcast
from hyperhive.inference.views.page import serve
from hyperhive.model.calibration import Doubt

HOSTILE = "</script><img src=x onerror=alert(1)>"


def result(index: int, label: str = "bart_simpson") -> Result:
    image = np.full((480, 640, 3), (index % 256, 90, 200), np.uint8)
    prediction = Prediction(((label, 0.75), ("lisa_simpson", 0.25)))
    return Result(Frame(image, "name", "camera 0", index, float(index)), prediction)


def seen(image: np.ndarray) -> np.ndarray:
    return image[:28, :28]


@pytest.fixture
def broadcast() -> Broadcast:
    return Broadcast(seen)


@pytest.fixture
def url(broadcast: Broadcast) -> Iterator[str]:
    """Serve the page on loopback, with a first result."""
    broadcast.publish(result(0))
    with serve(broadcast, "127.0.0.1", 0) as address:
        yield address


def ask(url: str, path: str = "", **headers: str) -> tuple[http.client.HTTPResponse, Any]:
    """Send a request; return the answer, with only its head read, and the connection."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    query = f"?{parts.query}" if parts.query else ""
    connection.request("GET", parts.path + path + query, headers=headers)
    return connection.getresponse(), connection


def opened(url: str, path: str) -> socket.socket:
    """Request a stream, and read nothing but the fact that it has begun."""
    parts = urlsplit(url)
    watching = socket.create_connection((parts.hostname, parts.port), timeout=20)
    watching.sendall(f"GET /{path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    watching.recv(5000, socket.MSG_PEEK)
    return watching


def body(url: str, path: str = "", **headers: str) -> tuple[int, bytes]:
    answer, connection = ask(url, path, **headers)
    with contextlib.closing(connection):
        return answer.status, answer.read()


def next_picture(stream: http.client.HTTPResponse) -> Image.Image:
    """Read one part of an MJPEG stream."""
    assert stream.readline() == b"--frame\r\n"
    assert stream.readline() == b"Content-Type: image/jpeg\r\n"
    length = int(stream.readline().split()[1])
    assert stream.readline() == b"\r\n"
    picture = Image.open(io.BytesIO(stream.read(length)))
    assert stream.readline() == b"\r\n"
    return picture.convert("RGB")


def next_labels(stream: http.client.HTTPResponse) -> dict[str, Any]:
    """Read one of the server-sent events."""
    line = b":\n"
    while line == b":\n":  # a comment, which says only that the program is there
        line = stream.readline()
        assert stream.readline() == b"\n"
    labels_shown: dict[str, Any] = json.loads(line[len(b"data: ") :])
    return labels_shown


@contextlib.contextmanager
def labelling(broadcast: Broadcast, label: str = "bart") -> Iterator[dict[str, float]]:
    """Publish 100 results per second; return the longest time that one took."""
    ended, longest = threading.Event(), {"published": 0.0, "seconds": 0.0}

    def run() -> None:
        index = 0
        while not ended.wait(0.01):
            index += 1
            begun = time.thread_time()
            broadcast.publish(result(index, label))
            longest["seconds"] = max(longest["seconds"], time.thread_time() - begun)
            longest["published"] = index

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield longest
    finally:
        ended.set()
        thread.join()


def test_the_page_needs_nothing_from_elsewhere(url: str) -> None:
    """Page, style and script are served, allow nothing else, and name no other host."""
    for path, kind in (("", "text/html"), ("page.css", "text/css"), ("page.js", "text/javascript")):
        answer, connection = ask(url, path)
        with contextlib.closing(connection):
            text = answer.read().decode()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith(kind)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert not re.search(r"(?:https?:)?//\w", text.replace("// A text", ""))
    assert body(url, "nothing")[0] == 404


def test_pictures_and_labels_come_as_they_are_labelled(broadcast: Broadcast, url: str) -> None:
    """Two streams of pictures and one of labels show each new result; the labels are text."""
    streams = [ask(url, path) for path in ("viewfinder.mjpg", "annotated.mjpg", "labels")]
    (plain, _), (annotated, _), (labels, _) = streams
    for index in (0, 200):
        if index:
            broadcast.publish(result(index, HOSTILE))
        picture = next_picture(plain)
        assert picture.size == (640, 480)
        assert abs(picture.getpixel((320, 240))[0] - index) < 10
        assert next_picture(annotated).size[1] > 480
        labels_shown = next_labels(labels)
        assert (labels_shown["frame"], labels_shown["probability"]) == (index, "75 %")
    assert (labels_shown["label"], labels_shown["known"]) == (HOSTILE, True)
    assert labels_shown["reason"] == ""
    assert [entry["share"] for entry in labels_shown["top"]] == [0.75, 0.25]
    doubt = Doubt("membership", 0.0123, 0.05)
    unknown = Result(result(201).frame, Prediction((("lisa_simpson", 0.75),), doubt))
    broadcast.publish(unknown)
    labels_shown = next_labels(labels)
    assert (labels_shown["label"], labels_shown["known"]) == ("unknown", False)
    assert labels_shown["reason"] == "unlike the training pictures (membership 0.01 < 0.05)"
    for _, connection in streams:
        connection.close()


def test_the_end_of_the_program_ends_every_stream(broadcast: Broadcast) -> None:
    """Closing is as fast with viewers, even stalled ones, and disconnects them."""
    broadcast.publish(result(0))
    with serve(broadcast, "127.0.0.1", 0) as url:
        watching, one = ask(url, "viewfinder.mjpg")
        waiting, other = ask(url, "labels")
        next_picture(watching)
        next_labels(waiting)
        begun = time.monotonic()
    assert time.monotonic() - begun < 15.0  # a client's time-out is 20 s
    assert watching.read() == b""
    assert waiting.read() == b""
    one.close()
    other.close()


def test_slow_and_vanished_viewers_hold_up_nobody(broadcast: Broadcast, url: str) -> None:
    """With one viewer stalled and one gone, labelling goes on, and others see the newest result."""
    with labelling(broadcast) as longest:
        slow, gone = opened(url, "annotated.mjpg"), opened(url, "annotated.mjpg")
        # A reset and no goodbye, as when a viewer's network goes.
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        stream, watching = ask(url, "labels")
        frames = [next_labels(stream)["frame"] for _ in range(12)]
        assert frames == sorted(set(frames))
        until(lambda: longest["published"] >= frames[-1] + 20, "labelling to go on")
        assert longest["seconds"] < 0.02
        assert slow.recv(9) == b"HTTP/1.1 "  # it is not given up yet
        slow.close()
        watching.close()


def status_of_stream(url: str) -> int:
    answer, connection = ask(url, "labels")
    connection.close()
    answer.close()
    return answer.status


def test_streams_are_bounded(broadcast: Broadcast, url: str) -> None:
    """Sixteen streams are served, the next is refused, and each that ends makes room."""
    streams = [ask(url, "labels") for _ in range(16)]
    for stream, _ in streams:
        next_labels(stream)
    assert status_of_stream(url) == 503
    for _, connection in streams[:4]:
        connection.close()
    for stream, _ in streams[:4]:
        stream.close()
    with labelling(broadcast):
        until(lambda: status_of_stream(url) == 200, "room")
    for _, connection in streams:
        connection.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:4711", 200),  # through ssh -L
        ("127.0.0.1:80", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("", 421),
    ],
)
def test_on_loopback_only_its_own_names_are_answered(url: str, host: str, status: int) -> None:
    """A site whose name resolves to 127.0.0.1 (DNS rebinding) sees nothing."""
    assert body(url, Host=host)[0] == status


def test_beyond_loopback_it_takes_the_key(
    broadcast: Broadcast, capfd: pytest.CaptureFixture[str]
) -> None:
    """The address holds a new key each time; it is needed, and it is not logged."""
    broadcast.publish(result(0))
    keys = set()
    for _ in range(2):
        with serve(broadcast, "0.0.0.0", 0) as url:
            here, key = f"http://127.0.0.1:{urlsplit(url).port}/", urlsplit(url).query
            assert len(key) >= len("key=") + 22
            assert body(f"{here}?{key}", Host="jetson.local")[0] == 200
            assert b"bart" in body_of_stream(f"{here}labels?{key}")
            for wrong in ("", "page.js", "labels", f"?{key[:-1]}", f"?{key}x", "?key=%C3%A9"):
                assert body(here + wrong)[0] == 403
            keys.add(key)
        broadcast = Broadcast(seen)
        broadcast.publish(result(0))
    assert len(keys) == 2
    assert capfd.readouterr() == ("", "")


def body_of_stream(url: str) -> bytes:
    stream, connection = ask(url)
    with contextlib.closing(connection):
        return stream.readline()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8000", ("127.0.0.1", 8000)),
        (":8000", ("127.0.0.1", 8000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("jetson.local:8000", ("jetson.local", 8000)),
        ("[::1]:8000", ("::1", 8000)),
    ],
)
def test_an_address_is_loopback_unless_it_says_more(text: str, address: tuple[str, int]) -> None:
    """A port without a host is on 127.0.0.1."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "host", "host:", "::1:80", "80:80:80", "65536", "http://x:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Anything but PORT and HOST:PORT is wrong usage."""
    with pytest.raises(UsageError, match="--serve must be PORT or HOST:PORT"):
        parse_address(text)


def test_an_address_that_is_taken_is_an_error(broadcast: Broadcast, url: str) -> None:
    """A port in use and a host of another machine are reported in a sentence each."""
    port = urlsplit(url).port or 0
    for host in ("127.0.0.1", "192.0.2.1"):
        taken = serve(broadcast, host, port)
        with pytest.raises(OutputError, match=r"cannot be served on .*choose another"), taken:
            pass


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page is not looked at in a browser")
def test_a_browser_shows_the_labels_as_text(
    broadcast: Broadcast, url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Chromium shows the label, the top three with bars to scale, and the model's input."""
    broadcast.publish(result(1, HOSTILE))
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    flags += "--disable-background-networking --disable-component-update"
    profile = "--user-data-dir={}".format(tmp_path_factory.mktemp("browser"))
    with labelling(broadcast, HOSTILE):
        for seconds in (5, 20, 80):  # after which it prints the page: a busy machine needs longer
            shown = subprocess.run(
                [
                    str(CHROMIUM),
                    *flags.split(),
                    f"--timeout={1000 * seconds}",
                    profile,
                    "--dump-dom",
                    url,
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                timeout=300,
                check=True,
            ).stdout
            if "data:image/png;base64," in shown:
                break
    label = re.search(r'<h1 id="label"[^>]*>(.*?)</h1>', shown)
    assert label
    assert html.unescape(label.group(1)) == HOSTILE
    assert re.findall(r'class="share">([^<]+)<', shown) == ["75 %", "25 %"]
    assert re.findall(r'class="bar" style="width: (\d+)%', shown) == ["75", "25"]
    assert 'id="input" alt' in shown
    assert "data:image/png;base64," in shown
