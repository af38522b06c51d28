"""Unusual answers of cameras' web servers, byte by byte."""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import httpx
import pytest
from support.mjpeg import jpeg, number_in, numbered

from hyperhive.common.errors import SourceError
from hyperhive.inference.frames import Frame
from hyperhive.inference.settings import Sampling
from hyperhive.inference.sources.grabber import Patience
from hyperhive.inference.sources.http_client import reason_of
from hyperhive.inference.sources.http_login import CameraLogin
from hyperhive.inference.sources.http_stream import StillImage, open_http
from hyperhive.inference.sources.mjpeg import MjpegCapture
from hyperhive.inference.sources.resolve import resolve

PICTURE = jpeg(numbered(5))
STREAM = "multipart/x-mixed-replace; boundary=frame"
REFUSED = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n"


def answer(kind: str, body: bytes) -> bytes:
    """Return an answer that ends with its connection."""
    head = "HTTP/1.1 200 OK\r\n" + (f"Content-Type: {kind}\r\n" if kind else "")
    return head.encode() + b"Connection: close\r\n\r\n" + body


def part(number: int, headers: str = "") -> bytes:
    """Return a part of a stream."""
    return b"--frame\r\n" + headers.encode() + b"\r\n" + jpeg(numbered(number)) + b"\r\n"


class Server:
    """Gives one answer after the other, and repeats the last; ``asked`` holds the requests."""

    def __init__(self, answers: list[bytes]) -> None:
        self.asked: list[bytes] = []
        self._answers = list(answers)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/a"
        threading.Thread(target=self._serve, daemon=True).start()

    def logins(self) -> list[bytes]:
        """Return the logins of all requests."""
        lines = [line for request in self.asked for line in request.split(b"\r\n")]
        return [line for line in lines if line.startswith(b"Authorization")]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            with connection:
                self.asked.append(connection.recv(65536))
                many = len(self._answers) > 1
                connection.sendall(self._answers.pop(0) if many else self._answers[0])

    def close(self) -> None:
        """Refuse further connections."""
        self._listening.close()


@contextmanager
def serving(*answers: bytes) -> Iterator[Server]:
    server = Server(list(answers))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "hyperhive.inference.sources.resolve._STREAM_PATIENCE", Patience(1.0, 0.6, 0.2)
    )
    monkeypatch.setattr("hyperhive.inference.sources.camera._WARM_UP_S", 0.0)
    monkeypatch.setattr("hyperhive.inference.sources.feed._FIRST_PAUSE_S", 0.05)


def opened(url: str) -> Any:
    return open_http(url, "cam", 5.0)


def shots(url: str, sentences: list[str], count: int) -> list[Frame]:
    source = resolve([url], Sampling(count, 0.0, 0.0), Path("nowhere"), sentences.append)
    return list(source.frames(threading.Event(), sentences.append))


def numbers(frames: list[Frame]) -> list[int]:
    return [number_in(frame.image) for frame in frames]


def test_a_stream_that_comes_back_as_an_image_is_no_new_series() -> None:
    """A reconnect that finds an image has failed, and the series ends with that reason."""
    sentences: list[str] = []
    stream = answer(STREAM, part(1) + part(2))
    with serving(stream, answer("image/jpeg", PICTURE)) as server, pytest.raises(
        SourceError, match="was a stream and has become an image"
    ):
        shots(server.url, sentences, 5)
    assert "is lost, trying again" in sentences[1]


def test_an_image_that_is_away_is_fetched_again() -> None:
    """A refused and a truncated image cost one sentence each; the series goes on."""
    sentences: list[str] = []
    image = answer("image/jpeg", PICTURE)
    gone = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with serving(image, gone, image, answer("image/jpeg", PICTURE[:200]), image) as server:
        assert numbers(shots(server.url, sentences, 3)) == [5, 5, 5]
    for sentence, word in zip(sentences, ("lost", "back", "lost", "back")):
        assert word in sentence
    assert len(sentences) == 4
    assert "503" in sentences[0]
    assert "damaged, or not an image" in sentences[2]
    with serving(image, gone) as server, pytest.raises(SourceError, match="did not come back"):
        shots(server.url, sentences, 2)
    with serving(answer("image/jpeg", b"x")) as server, pytest.raises(
        SourceError, match="cannot be decoded"
    ):
        shots(server.url, sentences, 2)


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", ""])
def test_an_image_is_known_by_its_first_bytes(kind: str) -> None:
    """Whatever content type a camera sends; other bytes are not an image."""
    with serving(answer(kind, PICTURE)) as server, pytest.raises(StillImage) as still:
        opened(server.url)
    assert still.value.data == PICTURE
    with serving(answer("text/\x1b[2J", b"<html>")) as server, pytest.raises(
        SourceError, match=r"answers with text/\\x1b\[2j, neither"
    ):
        opened(server.url)


@pytest.mark.parametrize(
    "kind", ["multipart/mixed; boundary=frame", STREAM + "x", "multipart/mixed; boundary*=utf-8''f"]
)
def test_parts_are_found_whatever_the_headers_promise(kind: str) -> None:
    """Any multipart answer is a stream, even if its boundary differs from the promised one."""
    with serving(answer(kind, part(1, f"Content-Length: {len(jpeg(numbered(1)))}\r\n"))) as s:
        assert opened(s.url).read() == jpeg(numbered(1))


@pytest.mark.parametrize("kind", ["", "application/octet-stream", "image/jpeg"])
@pytest.mark.parametrize("begin", [b"", b"\r\n"])
def test_a_stream_is_known_by_its_first_boundary(kind: str, begin: bytes) -> None:
    """Some cameras send a stream without a content type, or with that of its pictures."""
    stream = begin + (part(1) + part(2)).lstrip(b"\r\n")
    with serving(answer(kind, stream)) as server:
        capture = opened(server.url)
        pictures = [capture.read().rstrip(b"\r\n") for _ in range(2)]
    assert pictures == [jpeg(numbered(1)), jpeg(numbered(2))]


@pytest.mark.parametrize(
    ("kind", "said"), [("", "data without a content type"), ("nonsense", "nonsense")]
)
def test_a_refusal_repeats_the_content_type_that_was_sent(kind: str, said: str) -> None:
    """A missing content type is not called text/plain."""
    with serving(answer(kind, b"no picture")) as server, pytest.raises(
        SourceError, match=f"answers with {said}, neither"
    ):
        opened(server.url)


class Endless(io.RawIOBase):
    """An answer that never has a boundary."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give a line."""
        buffer[:3] = b"x\r\n"
        return 3


def test_a_stream_without_parts_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader returns after a time, so that it can be closed."""
    monkeypatch.setattr("hyperhive.inference.sources.mjpeg._SEARCH_S", 0.05)
    read: list[Any] = []
    capture = MjpegCapture(io.BufferedReader(Endless()), "frame", "cam", lambda: None)
    reader = threading.Thread(target=lambda: read.append(capture.read()), daemon=True)
    reader.start()
    reader.join(60)
    assert read == [None]


def test_a_length_that_is_none_is_said() -> None:
    """A part's length that is not a number is the camera's fault, not the address's."""
    with serving(answer(STREAM, part(1, "Content-Length: abc\r\n"))) as server, pytest.raises(
        SourceError, match="sends a part whose length cannot be read"
    ):
        opened(server.url).read()


def test_a_picture_is_not_late_where_the_line_end_leads() -> None:
    """A complete JPEG is given at once, even if its line end comes with the next picture."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        reader = Reader(f"http://127.0.0.1:{port}/")
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer(STREAM, b"\r\n--frame\r\n\r\n" + PICTURE))
            reader.join(60)
            assert reader.pictures == [PICTURE]


class Reader(threading.Thread):
    """Reads the first picture of a stream, in a thread."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.pictures: list[Any] = []
        self._url = url
        self.start()

    def run(self) -> None:
        """Open, read and close it."""
        capture = opened(self._url)
        self.pictures.append(capture.read())
        capture.release()


def challenge(*offers: str) -> bytes:
    lines = "".join(f"WWW-Authenticate: {offer}\r\n" for offer in offers)
    return REFUSED + lines.encode() + b"\r\n"


DIGEST = 'Digest realm="c", nonce="1", qop="auth"'


@pytest.mark.parametrize(
    ("offers", "tries"),
    [
        ([DIGEST], 1),
        ([DIGEST + ", stale=true"], 2),
        ([DIGEST + ', Basic realm="c"'], 1),
        ([DIGEST, 'Basic realm="c"'], 1),
        (['Basic realm="c"'], 1),
        (["Digest realm=c, nonce=1, algorithm=SHA-512-256", DIGEST + ", algorithm=md5"], 1),
        (['Digest realm="c", nonce="1", qop="auth-int"'], 0),
        (["Negotiate"], 0),
        (["Bearer x=1", "Negotiate"], 0),
        ([], 0),
    ],
)
def test_a_wrong_password_is_tried_once(offers: list[str], tries: int) -> None:
    """A second attempt could lock the user out; the sentence is the same for every offer."""
    with serving(challenge(*offers)) as server, pytest.raises(
        SourceError, match="needs a valid user and password"
    ):
        opened(server.url.replace("//", "//me:gr%C3%BCn@"))
    assert len(server.logins()) == tries
    assert len(server.asked) == 1 + tries


def test_a_login_goes_along_within_its_server_only() -> None:
    """A redirect keeps the login on the same host and port only; FTP is not followed."""

    def to(url: str) -> bytes:
        return f"HTTP/1.1 302 Go\r\nLocation: {url}\r\nConnection: close\r\n\r\n".encode()

    asks, image = challenge('Basic realm="c"'), answer("image/png", PICTURE)
    with serving(to("/elsewhere"), asks, image) as server, pytest.raises(StillImage):
        opened(server.url.replace("//", "//me:x@"))
    assert len(server.logins()) == 1
    with serving(asks) as other, serving(to(other.url)) as server, pytest.raises(
        SourceError, match="needs a valid user"
    ):
        opened(server.url.replace("//", "//me:x@"))
    assert other.asked
    assert not other.logins()
    with serving(to("ftp://127.0.0.1/x")) as server, pytest.raises(
        SourceError, match="redirects to an address that is not http"
    ):
        opened(server.url)


def test_a_digest_answers_the_address_that_a_redirect_leads_to() -> None:
    """The digest names the path that asked for it, or a strict server would refuse it."""
    to = b"HTTP/1.1 302 Go\r\nLocation: /there\r\nConnection: close\r\n\r\n"
    with serving(to, challenge(DIGEST), answer("image/png", PICTURE)) as server, pytest.raises(
        StillImage
    ):
        opened(server.url.replace("//", "//me:x@"))
    (login,) = server.logins()
    assert b'uri="/there"' in login


def test_a_redirect_after_a_login_asks_for_the_login_again() -> None:
    """A digest is never sent to another path than its own: a strict server would refuse it."""
    to = b"HTTP/1.1 302 Go\r\nLocation: /there\r\nConnection: close\r\n\r\n"
    asks, image = challenge(DIGEST), answer("image/png", PICTURE)
    with serving(asks, to, asks, image) as server, pytest.raises(StillImage):
        opened(server.url.replace("//", "//me:x@"))
    first, second = server.logins()
    assert b'uri="/a"' in first
    assert b'uri="/there"' in second
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("asking", "is_given"),
    [
        ("http://camera/b", True),
        ("https://camera/b", True),
        ("http://camera:81/b", False),
        ("https://camera:81/b", False),
        ("http://other/b", False),
    ],
)
def test_a_login_is_for_one_server(asking: str, is_given: bool) -> None:
    """A camera that turns http into https gets the login; another host or port does not."""
    flow = CameraLogin("me", "x", "http://camera/a").auth_flow(httpx.Request("GET", asking))
    request = next(flow)
    refusal = httpx.Response(401, headers={"WWW-Authenticate": "Basic"}, request=request)
    try:
        assert "Authorization" in flow.send(refusal).headers
        assert is_given
    except StopIteration:
        assert not is_given


def test_a_login_for_https_is_not_sent_unencrypted() -> None:
    """A redirect from https to http would show the password to everybody on the way."""
    login = CameraLogin("me", "x", "https://camera/a")
    flow = login.auth_flow(httpx.Request("GET", "http://camera/a"))
    request = next(flow)
    with pytest.raises(StopIteration):
        flow.send(httpx.Response(401, headers={"WWW-Authenticate": "Basic"}, request=request))


ENDLESS = 2**24
"""Bytes of a body that stands for one without an end."""


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="c"\r\n\r\n', "needs a valid user"),
        (b"HTTP/1.1 302 Go\r\nLocation: /a\r\n\r\n", "redirects from one address to the next"),
        (b"HTTP/1.1 500 No\r\n\r\n", "answers 500"),
    ],
)
def test_the_body_of_a_refusal_or_redirect_is_not_read(head: bytes, sentence: str) -> None:
    """A body without an end would fill the memory."""
    sent: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=pour, args=(listening, head, sent), daemon=True).start()
        with pytest.raises(SourceError, match=sentence):
            opened(f"http://me:x@127.0.0.1:{listening.getsockname()[1]}/a")
    assert all(size < ENDLESS for size in sent)


def pour(listening: socket.socket, head: bytes, sent: list[int]) -> None:
    """Give an endless answer to each request; note how much of it was taken."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # closed
            return
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
            connection.recv(65536)
            sent.append(0)
            connection.sendall(head)
            while sent[-1] < ENDLESS:
                sent[-1] += connection.send(bytes(2**16))


def test_no_proxy_is_asked_for_a_camera_nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera in the user's own network is asked directly, whatever http_proxy says."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(answer("image/png", PICTURE)) as server, pytest.raises(StillImage):
        opened(server.url)


def test_the_environments_proxy_is_asked_for_a_camera_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A public host is reached through http_proxy; an unusable proxy is reported in a sentence."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(answer("image/png", PICTURE)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with pytest.raises(StillImage):
            opened("http://me:secret@camera.example.com/still")
    assert proxy.asked[0].startswith(b"GET http://camera.example.com/still HTTP/1.1\r\n")
    assert not proxy.logins()
    for unusable in ("gopher://127.0.0.1:1", "http://127.0.0.1:x"):
        monkeypatch.setenv("http_proxy", unusable)
        with pytest.raises(SourceError, match="proxy that the environment names cannot be used"):
            opened("http://camera.example.com/still")


def caused_by(cause: Exception) -> Exception:
    """Return an error of httpx as it comes from an error of the operating system."""
    error = httpx.ConnectError("x")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (caused_by(ssl.SSLCertVerificationError(1, "self-signed")), "is not trusted"),
        (caused_by(ConnectionRefusedError(111, "refused")), "refused; check that the server runs"),
        (httpx.RemoteProtocolError("x"), "does not speak HTTP"),
        (httpx.ReadTimeout("x"), "does not answer in time"),
        (httpx.InvalidURL("x"), "not a valid address"),
    ],
)
def test_a_failure_is_told_for_what_it_is(error: Exception, sentence: str) -> None:
    """A sentence blames the address only if the address is wrong."""
    assert sentence in reason_of(error)


@pytest.mark.parametrize("url", ["http:///x", "http://[/", "http://cam:x/", "http://cam/\xfc"])
def test_an_address_that_is_none_is_said(url: str) -> None:
    """It is refused before any request."""
    with pytest.raises(SourceError, match="is not a valid address"):
        opened(url)
