"""Streams over the network, from a real server that misbehaves as cameras on a network do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Iterator

import pytest
from support.devices import Device, Plug
from support.home import until
from support.lenets import save_untrained
from support.mjpeg import MjpegServer, number_in, numbered
from support.rtsp import RtspServer

from hyperhive.common.errors import OutputError, SourceError
from hyperhive.common.signals import StopSignals
from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import expected_class
from hyperhive.inference.settings import Sampling
from hyperhive.inference.sources.grabber import Patience
from hyperhive.inference.sources.resolve import resolve

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less than for real cameras."""
    monkeypatch.setattr(
        "hyperhive.inference.sources.resolve._STREAM_PATIENCE", Patience(0.6, 3.0, 0.2)
    )
    monkeypatch.setattr("hyperhive.inference.sources.camera._WARM_UP_S", 0.05)
    monkeypatch.setattr("hyperhive.inference.sources.feed._FIRST_PAUSE_S", 0.1)


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer(fps=50) as running:
        yield running


def source_of(url: str, sentences: list[str] | None = None, **options: Any) -> Any:
    say = (lambda _: None) if sentences is None else sentences.append
    sampling = Sampling(**{"count": 3, "every": 0.05, "countdown": 0.0, **options})
    return resolve([url], sampling, Path("nowhere"), say)


def shots(url: str, sentences: list[str] | None = None, **options: Any) -> list[Frame]:
    return list(source_of(url, sentences, **options).frames(threading.Event(), print))


def numbers(frames: list[Frame]) -> list[int]:
    return [number_in(frame.image) for frame in frames]


def test_a_stream_gives_snapshots(server: MjpegServer) -> None:
    """An MJPEG stream is a camera: snapshots come on time, none twice, and the end closes it."""
    frames = shots(server.url)
    assert numbers(frames) == sorted(set(numbers(frames)))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert {frame.source for frame in frames} == {server.url}
    assert all(abs(time.time() - frame.time) < 5 for frame in frames)
    left(server)


def left(server: MjpegServer) -> None:
    """Wait until no stream of the server is open."""
    until(lambda: not server.watching, "the end of the stream")


def test_a_single_image_is_one_frame(server: MjpegServer) -> None:
    """An image is requested once, or ``count`` times, and anew each time."""
    still = server.url.replace("stream", "still")
    frames = shots(still, count=None)
    assert [frame.index for frame in frames] == [0]
    assert frames[0].image.shape == (48, 256, 3)
    assert server.asked == 1
    again = numbers(shots(still, count=3))
    assert again == sorted(set(again))
    assert server.asked == 4


@pytest.mark.parametrize("digest", [False, True])
def test_a_login_in_the_address_is_used(server: MjpegServer, digest: bool) -> None:
    """A server that asks gets the address's user and password, as basic or digest login."""
    server.login, server.digest = ("me", "p@ss/w"), digest
    assert len(shots(f"http://me:p%40ss%2Fw@{server.address}/stream")) == 3
    for login in ("", "me:other@"):
        with pytest.raises(SourceError, match="needs a valid user and password"):
            shots(f"http://{login}{server.address}/stream")


def test_what_is_no_stream_says_what_it_is(server: MjpegServer) -> None:
    """A page, a wrong path, a closed port, another protocol and a bad address: a sentence each."""
    root = f"http://{server.address}"
    assert len(shots(root + "/moved")) == 3
    for url, sentence in [
        (root + "/page", "answers with text/html, neither an MJPEG stream nor an image"),
        (root + "/nowhere", "the server answers 404 Not Found"),
        (f"https://{server.address}/stream", "cannot be opened: .*check that the server"),
        ("http://me:secret@[/", "is not a valid address"),
        ("http://me:secret@localhost:port/", "is not a valid address"),
    ]:
        with pytest.raises(SourceError, match=sentence) as complaint:
            shots(url)
        assert "secret" not in str(complaint.value)
    server.down()
    with pytest.raises(SourceError, match="cannot be opened: Connection refused; check that"):
        shots(root + "/stream")


@pytest.mark.parametrize(("lengths", "chunked"), [(False, False), (True, True), (False, True)])
def test_however_a_stream_is_packed(server: MjpegServer, lengths: bool, chunked: bool) -> None:
    """Parts without a length end at the next boundary; HTTP's chunks do not matter."""
    server.lengths, server.chunked = lengths, chunked
    taken = numbers(shots(server.url))
    assert taken == sorted(set(taken))
    assert taken[0] > 0


def test_damaged_pictures_are_left_out(server: MjpegServer) -> None:
    """A truncated picture is never shown: the feed waits for others, for a limited time."""
    frames = source_of(server.url, count=2).frames(threading.Event(), print)
    with closing(frames):
        next(frames)
        server.damaged = True
        threading.Timer(0.3, setattr, (server, "damaged", False)).start()
        assert number_in(next(frames).image) > 0
    server.damaged = True
    with pytest.raises(SourceError, match="gives only pictures that cannot be decoded"):
        shots(server.url)


@pytest.mark.parametrize("trouble", ["cut", "stall", "down"])
def test_a_stream_that_is_lost_comes_back(server: MjpegServer, trouble: str) -> None:
    """A broken, stalled or absent stream is reported and reopened, and no picture comes twice."""
    sentences: list[str] = []
    frames = source_of(server.url, sentences, count=50, every=0.0).frames(threading.Event(), print)
    taken = [number_in(next(frames).image) for _ in range(5)]
    if trouble == "cut":
        server.cut()
    elif trouble == "stall":
        server.stalled.set()
        threading.Timer(1.0, server.stalled.clear).start()
    else:
        server.down()
        threading.Timer(0.5, server.up).start()
    taken += [number_in(frame.image) for frame in frames]
    assert len(taken) == 50
    assert taken == sorted(set(taken))
    assert sentences[1].startswith(f"{server.url} is lost, trying again: ")
    assert sentences[-1] == f"{server.url} is back"


@pytest.mark.parametrize("trouble", ["stall", "mute", "down"])
def test_a_stream_that_does_not_come_back_ends(
    server: MjpegServer, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """After the limit the series ends with a sentence; the earlier pictures were given."""
    monkeypatch.setattr(
        "hyperhive.inference.sources.resolve._STREAM_PATIENCE", Patience(0.4, 0.6, 0.2)
    )
    frames = source_of(server.url, count=1000, every=0.0).frames(threading.Event(), print)
    next(frames)
    if trouble == "down":
        server.down()
    else:
        server.stalled.set()
        if trouble == "mute":
            server.mute.set()
    with pytest.raises(SourceError, match=r"went away and did not come back within 0\.6 s"):
        list(frames)


@pytest.fixture
def deaf() -> Iterator[int]:
    """Return a port that accepts connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield listening.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_an_open_that_hangs_ends(deaf: int, scheme: str) -> None:
    """A silent server costs our time-out, or less when stopped."""
    if scheme == "rtsp":
        pytest.importorskip("cv2", reason="no OpenCV: no RTSP")
    url = f"{scheme}://127.0.0.1:{deaf}/"
    with pytest.raises(SourceError, match=r"gave no picture for 0\.6 s|does not answer in time"):
        shots(url)
    stop = threading.Event()
    stopper = threading.Timer(0.1, stop.set)
    stopper.start()
    assert list(source_of(url).frames(stop, print)) == []


def test_a_refused_rtsp_stream_says_so() -> None:
    """If the port is closed, the sentence says what to check."""
    pytest.importorskip("cv2", reason="no OpenCV: no RTSP")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"rtsp://me:secret@127.0.0.1:{free.getsockname()[1]}/1"
        with pytest.raises(
            SourceError, match="cannot be opened: check that the camera"
        ) as complaint:
            shots(url)
    assert "secret" not in str(complaint.value)


def test_an_addresss_parts_are_no_classes() -> None:
    """The host or path of a stream is not taken for its class."""
    frame = Frame(numbered(1), "name", "http://lisa/stream", 0, 0.0)
    assert expected_class(frame, ["lisa", "bart"]) is None


@pytest.fixture
def rtsp() -> Iterator[RtspServer]:
    pytest.importorskip("torch")
    pytest.importorskip("cv2", reason="no OpenCV: no RTSP")
    with RtspServer() as running:
        yield running


def test_an_rtsp_stream_gives_its_newest_pictures(
    rtsp: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures that FFmpeg buffered while opening, 20 here, are skipped.

    The address's login is used, and another one is refused.
    """
    monkeypatch.setattr(
        "hyperhive.inference.sources.resolve._STREAM_PATIENCE", Patience(10.0, 1.0, 5.0)
    )
    rtsp.login = ("me", "secret")
    source = source_of(f"rtsp://me:secret@{rtsp.address}/1", count=4)
    taken = []
    for frame in source.frames(threading.Event(), print):
        taken.append(number_in(frame.image))
        assert rtsp.last - taken[-1] <= 6
    assert len(taken) == 4
    assert taken == sorted(set(taken))
    with pytest.raises(SourceError, match="that user and password in the address are right"):
        shots(f"rtsp://me:other@{rtsp.address}/1")
    assert source.title == f"rtsp://{rtsp.address}/1"
    until(lambda: rtsp.watching == 0, "the end of the stream")


@pytest.mark.long
def test_an_rtsp_stream_that_stalls_comes_back(
    rtsp: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that hangs in FFmpeg is abandoned, and another connection is opened."""
    monkeypatch.setattr(
        "hyperhive.inference.sources.resolve._STREAM_PATIENCE", Patience(3.0, 10.0, 0.2)
    )
    sentences: list[str] = []
    source = source_of(f"rtsp://{rtsp.address}/1", sentences, count=8, every=0.0)
    frames = source.frames(threading.Event(), print)
    taken = [number_in(next(frames).image)]
    monkeypatch.setattr("hyperhive.inference.sources.feed._HANDOVER_S", 0.1)
    rtsp.stalled.set()
    threading.Timer(3.1, rtsp.stalled.clear).start()
    taken += [number_in(frame.image) for frame in frames]
    assert len(taken) == 8
    assert taken == sorted(set(taken))
    assert sentences[-1] == f"rtsp://{rtsp.address}/1 is back"


# The command, with signals.


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    code = "from hyperhive import cli; cli.predict_cam()"
    path = [str(REPOSITORY), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return subprocess.Popen(
        [sys.executable, "-c", code, "--model", "model", *arguments],
        cwd=str(folder),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.long
def test_credentials_reach_no_output(server: MjpegServer, tmp_path: Path) -> None:
    """The login of an address on standard input is in no file, no file name and on no screen.

    SIGTERM ends the process: the stream is closed, and the results so far are kept.
    """
    server.login = ("me", "s3cret")
    save_untrained(tmp_path / "model")
    address = f"http://me:s3cret@{server.address}/stream?key=s3cret\n"
    process = start(tmp_path, "-", "--count", "1000", "--every", "0.1", "--countdown", "0")
    assert process.stdin is not None
    process.stdin.write(address)
    process.stdin.close()
    process.stdin = None  # or communicate() would flush it
    jsonl = tmp_path / "predictions" / "predictions.jsonl"
    until(lambda: process.poll() is not None or (jsonl.exists() and jsonl.stat().st_size), "a line")
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (128 + signal.SIGTERM, "")
    left(server)
    shown = f"http://{server.address}/stream?..."
    sources = {json.loads(line)["source"] for line in jsonl.read_text().splitlines()}
    assert sources == {shown}
    assert f"labelling {shown} with" in out
    written = [path for path in (tmp_path / "predictions").rglob("*") if path.is_file()]
    assert len(written) >= 3
    for path in written:
        assert b"s3cret" not in path.read_bytes() + os.fsencode(path)
    assert "s3cret" not in out


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells who is connected")
def test_ctrl_c_ends_an_open_that_hangs(deaf: int, tmp_path: Path) -> None:
    """While opening a stream blocks in FFmpeg, the process ends at once and in good order."""
    pytest.importorskip("cv2", reason="no OpenCV: no RTSP")
    save_untrained(tmp_path / "model")
    process = start(tmp_path, f"rtsp://127.0.0.1:{deaf}/")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("labelling ")
    until(lambda: connections(deaf), "FFmpeg's connection")
    started_at = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "")
    assert time.monotonic() - started_at < 30  # FFmpeg's own time-out


def connections(port: int) -> int:
    """Return the number of established TCP connections to a local port; Linux only."""
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in table]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_nohup_stays_in_force() -> None:
    """A process that ignores SIGHUP, as under nohup, keeps ignoring it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals(restore=True) as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.stop.is_set()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_in_the_middle_of_a_wait_is_no_deadlock() -> None:
    """A handler may interrupt the thread that holds the event's lock, so it must not wait."""
    interrupt = StopSignals(restore=True)
    handler = threading.Thread(target=interrupt._on_signal, args=(2, None), daemon=True)
    with interrupt.stop._cond:  # type: ignore[attr-defined]
        handler.start()
        handler.join(60)
        assert not handler.is_alive()
    assert interrupt.stop.wait(60)


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """Restore the usual handlers: background jobs ignore Ctrl-C, and nohup ignores SIGHUP."""
    usual = {name: signal.SIG_DFL for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)}
    handlers: dict[str, Any] = {"SIGINT": signal.default_int_handler, **usual}
    before = [(name, signal.signal(getattr(signal, name), handlers[name])) for name in handlers]
    yield
    for name, handler in before:
        signal.signal(getattr(signal, name), handler)


def test_a_second_ctrl_c_is_not_held_back(usual_signals: None) -> None:
    """The first requests an end, the second interrupts whatever hangs."""
    with StopSignals(restore=True) as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.stop.wait(60)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert interrupt.signal_number == signal.SIGINT


def signalled(output: Path, number: int) -> None:
    """Send this process a signal after the first result."""
    until(lambda: list(output.glob("annotated/*.jpg")), "a labelled frame")
    os.kill(os.getpid(), number)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "SIGHUP", "error", "end"])
def test_the_camera_is_released(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual_signals: None
) -> None:
    """After Ctrl-C, SIGTERM, SIGHUP, a write error and the end the camera is released."""
    pytest.importorskip("torch")
    cv2 = pytest.importorskip("cv2", reason="no OpenCV: no camera")
    from hyperhive.inference.cli import app

    device = Device()
    monkeypatch.setattr(cv2, "VideoCapture", Plug(device))
    output, count = tmp_path / "out", "2" if ending == "end" else "100000"
    if ending == "error":
        output.write_text("no folder")
    elif ending != "end":
        threading.Thread(target=signalled, args=(output, getattr(signal, ending))).start()
    arguments = ["0", "--model", str(save_untrained(tmp_path / "model")), "--output", str(output)]
    arguments += ["--count", count, "--every", "0.02", "--countdown", "0"]
    if ending == "error":
        with pytest.raises(OutputError):
            app(arguments, standalone_mode=False)
    else:
        code = app(arguments, standalone_mode=False)
        assert (code or 0) == (0 if ending == "end" else 128 + getattr(signal, ending))
    assert device.reads > 0
    assert device.released
    assert (output / "contact_sheet.png").exists() == (ending != "error")
