"""Simpsons-MNIST is downloaded once, complete and verified, or not at all.

A real HTTP server on this machine plays the public repository.
"""

from __future__ import annotations

import functools
import http.server
import io
import threading
import zipfile
from pathlib import Path
from typing import Callable, Iterator

import pytest
from PIL import Image

from hyperhive.common.errors import DatasetError
from hyperhive.model.data import download, loading
from hyperhive.model.data.cache import datasets_directory
from hyperhive.model.data.download import simpsons_archive, tree_sha256


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one body, or a failure that the requested path selects."""

    def __init__(self, body: bytes, asked: list[str], *rest: object) -> None:
        self.body = body
        self.asked = asked
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Send the whole body, half of it, the body without its length, or an error."""
        self.asked.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unannounced":
            self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        half = len(self.body) // 2
        self.wfile.write(self.body[:half] if self.path == "/half" else self.body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Site:
    """A running server: its address, and the paths that were requested."""

    def __init__(self, port: int, asked: list[str]) -> None:
        self.port = port
        self.asked = asked

    def url(self, path: str = "master.zip") -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}/{path}"


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], Site]]:
    """Give a function that serves a body until the end of the test."""
    servers = []

    def start(body: bytes) -> Site:
        asked: list[str] = []
        handler = functools.partial(Handler, body, asked)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return Site(server.server_address[1], asked)

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give each test a cache of its own."""
    monkeypatch.setattr(download, "datasets_directory", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def small_archive(content: bytes = b"pixels") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("simpsons-mnist-master/dataset/rgb/train/bart/1.jpg", content)
    return buffer.getvalue()


@pytest.fixture
def known_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bytes:
    """Give a small archive that passes the check of the hash."""
    path = tmp_path / "known.zip"
    path.write_bytes(small_archive())
    monkeypatch.setattr(download, "SIMPSONS_TREE_SHA256", tree_sha256(path))
    return path.read_bytes()


class Recorder:
    """Records the progress that is reported."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        """Record one step."""
        self.steps.append((done, total))


@pytest.mark.long
def test_the_true_archive_is_downloaded_checked_and_kept(
    serve: Callable[[bytes], Site], simpsons_zip: Path, cache: Path
) -> None:
    """The archive passes the check, progress rises to its size, a second call uses the cache."""
    data = simpsons_zip.read_bytes()
    site, progress = serve(data), Recorder()
    archive = simpsons_archive(progress, site.url())
    assert archive.read_bytes() == data
    assert progress.steps[-1] == (len(data), len(data))
    assert progress.steps == sorted(progress.steps)
    assert simpsons_archive(progress, site.url()) == archive
    assert site.asked == ["/master.zip"]
    assert list(cache.iterdir()) == [archive]


def test_an_archive_whose_length_is_not_announced_is_taken(
    serve: Callable[[bytes], Site], known_archive: bytes
) -> None:
    """GitHub does not send the lengths of its archives; then the total is 0."""
    progress = Recorder()
    archive = simpsons_archive(progress, serve(known_archive).url("unannounced"))
    assert archive.read_bytes() == known_archive
    assert progress.steps[-1] == (len(known_archive), 0)


@pytest.mark.parametrize(
    ("body", "path", "complaint"),
    [
        (small_archive(b"other"), "master.zip", "is not the Simpsons-MNIST.*--data"),
        (b"<html>log in first</html>", "master.zip", "zip"),
        (small_archive(), "half", "ended early"),
        (b"", "missing", "Not Found.*--data"),
    ],
    ids=[
        "other images",
        "a page",
        "half of it",
        "nothing",
    ],  # named, because a zip's bytes contain the time
)
def test_what_is_not_the_archive_is_refused_and_not_kept(
    serve: Callable[[bytes], Site],
    cache: Path,
    known_archive: bytes,
    body: bytes,
    path: str,
    complaint: str,
) -> None:
    """Another archive, a web page, half a body and a 404 raise; the cache stays empty."""
    with pytest.raises(DatasetError, match=complaint):
        simpsons_archive(Recorder(), serve(body).url(path))
    assert list(cache.iterdir()) == []


def test_half_an_unannounced_archive_is_refused(
    serve: Callable[[bytes], Site], cache: Path, known_archive: bytes
) -> None:
    """Without a length, the check of the content detects a download that ended early."""
    with pytest.raises(DatasetError):
        simpsons_archive(Recorder(), serve(known_archive[:-40]).url("unannounced"))
    assert list(cache.iterdir()) == []


def test_without_a_network_the_error_says_what_to_do(cache: Path) -> None:
    """If no server answers, the error is one sentence that suggests --data."""
    with pytest.raises(DatasetError, match=r"cannot be downloaded.*--data"):
        simpsons_archive(Recorder(), "http://127.0.0.1:1/master.zip")
    assert list(cache.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(
    serve: Callable[[bytes], Site], cache: Path, known_archive: bytes
) -> None:
    """Ctrl-C during a download leaves no partial archive for a later run."""

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simpsons_archive(interrupt, serve(known_archive).url())
    assert list(cache.iterdir()) == []


def test_a_failed_download_can_be_tried_again(
    serve: Callable[[bytes], Site], known_archive: bytes
) -> None:
    """A download that failed can be repeated."""
    site = serve(known_archive)
    with pytest.raises(DatasetError):
        simpsons_archive(Recorder(), site.url("half"))
    assert simpsons_archive(Recorder(), site.url()).read_bytes() == known_archive


def test_the_hash_is_that_of_the_images_not_of_the_zip(tmp_path: Path) -> None:
    """The same images have the same hash in a zip with other files and another top folder."""
    path = tmp_path / "a.zip"
    path.write_bytes(small_archive())
    other = tmp_path / "b.zip"
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.md", "new")
        archive.writestr("simpsons-mnist-1234abc/dataset/rgb/train/bart/1.jpg", b"pixels")
    assert tree_sha256(other) == tree_sha256(path)
    for changed in (small_archive(b"others"), small_archive().replace(b"bart", b"lisa")):
        path.write_bytes(changed)
        assert tree_sha256(other) != tree_sha256(path)


def test_a_data_set_without_data_is_the_downloaded_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without data, ``load`` reads the archive from ``simpsons_archive`` and passes progress on."""
    buffer = io.BytesIO()
    Image.new("RGB", (28, 28)).save(buffer, "JPEG")
    with zipfile.ZipFile(tmp_path / "downloaded.zip", "w") as archive:
        for place in ("train/bart", "train/lisa", "test/bart", "test/lisa"):
            for number in range(2):
                name = f"top/dataset/grayscale/{place}/{number}.jpg"
                archive.writestr(name, buffer.getvalue())
    progress = Recorder()
    given = {progress: tmp_path / "downloaded.zip"}
    monkeypatch.setattr(loading, "simpsons_archive", given.__getitem__)
    loaded = loading.load(loading.DatasetRequest("simpsons-gray"), progress)
    assert loaded.dataset.classes == ("bart", "lisa")
    assert loaded.dataset.channels == 1


def test_the_cache_is_the_systems_place_for_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads go to the system's folder for caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.setattr("sys.platform", "linux")
    assert datasets_directory() == Path("/caches/hyperhive/datasets")
