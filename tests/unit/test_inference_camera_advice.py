"""The rows of the table in docs/camera.md, each by a source that fails in that way.

The window's row ("headless without a display") is test_it_is_headless_where_there_is_no_display in
test_inference_command.py.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch  # noqa: F401  before cv2, and before a test calls this a Mac
from support.devices import Device, Plug
from support.home import until
from support.mjpeg import MjpegServer, number_in

from hyperhive.common.errors import SourceError
from hyperhive.inference.frames import Frame
from hyperhive.inference.settings import Sampling
from hyperhive.inference.sources.grabber import Patience
from hyperhive.inference.sources.resolve import resolve

cv2 = pytest.importorskip("cv2", reason="no OpenCV: there are no cameras")


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wait less than for real cameras, and find none of this machine's own."""
    monkeypatch.setattr("hyperhive.inference.sources.resolve._PATIENCE", Patience(1.0, 0.6, 1.0))
    monkeypatch.setattr(
        "hyperhive.inference.sources.resolve._STREAM_PATIENCE", Patience(1.0, 0.6, 0.2)
    )
    monkeypatch.setattr("hyperhive.inference.sources.camera._WARM_UP_S", 0.1)
    monkeypatch.setattr("hyperhive.inference.sources.feed._FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr("hyperhive.inference.sources.grabber._EMPTY_S", 0.25)
    monkeypatch.setattr("hyperhive.inference.sources.camera_advice.SYSFS", tmp_path / "video4linux")
    monkeypatch.setattr("hyperhive.inference.sources.camera_advice._DEVICES", tmp_path)


def shots(text: str, sentences: list[str] | None = None, **options: Any) -> list[Frame]:
    """Take snapshots of a source; collect its sentences."""
    say = (lambda _: None) if sentences is None else sentences.append
    sampling = Sampling(**{"count": 2, "every": 0.05, "countdown": 0.0, **options})
    source = resolve([text], sampling, Path("nowhere"), say)
    return list(source.frames(threading.Event(), print))


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plug]:
    """Return a function that plugs in devices; OpenCV then opens them one after the other."""

    def put(*devices: Device) -> Plug:
        plugged = Plug(*devices)
        monkeypatch.setattr(cv2, "VideoCapture", plugged)
        return plugged

    return put


def called(tmp_path: Path, index: int, name: str, part: str = "0") -> None:
    """Give a camera this name in Linux's files."""
    folder = tmp_path / "video4linux" / f"video{index}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(name + "\n")
    (folder / "index").write_text(part + "\n")


def test_macos_not_authorized(monkeypatch: pytest.MonkeyPatch, plug: Any) -> None:
    """A Mac's camera is opened in the main thread; a forbidden one says where to allow it."""
    monkeypatch.setattr(sys, "platform", "darwin")
    opened = plug(Device(there=False)).opened
    with pytest.raises(SourceError) as complaint:
        shots("0")
    assert str(complaint.value) == (
        "camera 0 cannot be opened: allow your terminal the camera in System Settings > Privacy & "
        "Security > Camera, then run this again; --list-cameras shows all cameras; or classify "
        "files with --source FILE-or-FOLDER"
    )
    assert [device.opened_in for device in opened] == [threading.main_thread()]
    assert opened[0].released

    plug(Device())
    assert len(shots("0")) == 2


def test_continuity_camera_takes_index_0(monkeypatch: pytest.MonkeyPatch, plug: Any) -> None:
    """AVFoundation is chosen by name; a sentence names the camera and how to choose another."""
    monkeypatch.setattr(sys, "platform", "darwin")
    sentences: list[str] = []
    device = plug(Device()).devices[0]
    shots("0", sentences)
    assert device.opened_as == (0, cv2.CAP_AVFOUNDATION)
    assert sentences == [
        "camera 0 gives 8x6 pixels (an iPhone near a Mac may take the number 0: --list-cameras "
        "shows all cameras)"
    ]


def test_list_cameras(
    monkeypatch: pytest.MonkeyPatch, plug: Any, tmp_path: Path, capsys: Any
) -> None:
    """Every camera is listed with number, name and size or fault, and then released."""
    from hyperhive.inference.cli import app

    opened = plug(Device(empty=2), Device(there=False), Device(dies_after=0)).opened
    monkeypatch.setattr("hyperhive.inference.sources.listing._PATIENCE_S", 0.1)
    called(tmp_path, 0, "HD Webcam: HD Webcam")
    called(tmp_path, 1, "HD Webcam: HD Webcam", part="1")
    called(tmp_path, 2, "vi-output, imx219 7-0010")
    called(tmp_path, 10, "Grab\x1bber")
    app(["--list-cameras"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0  HD Webcam: HD Webcam  8x6 pixels"
    assert lines[1].startswith("2  vi-output, imx219 7-0010  camera 2 cannot be opened: that is")
    assert lines[2] == "10  Grab\\x1bber  it opens, but gives no picture"
    assert len(lines) == 3
    assert all(device.released for device in opened)


def test_list_cameras_on_a_mac(monkeypatch: pytest.MonkeyPatch, plug: Any, capsys: Any) -> None:
    """A Mac does not number its names: numbers and names are listed apart, or without names."""
    from hyperhive.inference.cli import app

    told = '{"SPCameraDataType": [{"_name": "FaceTime HD"}, {"_name": "My iPhone Camera"}]}'
    monkeypatch.setattr(sys, "platform", "darwin")
    for output, last in [
        (told, "macOS names its cameras, but not their numbers: FaceTime HD, My iPhone Camera"),
        ("no JSON", "0  (no name)  8x6 pixels"),
    ]:
        opened = plug(Device(), Device(there=False)).opened
        profiler = [sys.executable, "-c", f"print({output!r})"]
        monkeypatch.setattr("hyperhive.inference.sources.listing._PROFILER", profiler)
        app(["--list-cameras"], standalone_mode=False)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "0  (no name)  8x6 pixels"
        assert lines[-1] == last
        assert {device.opened_in for device in opened} == {threading.main_thread()}


def test_list_cameras_where_there_is_none(plug: Any) -> None:
    """Without a camera, a sentence says what to do."""
    from hyperhive.inference.cli import app

    plug(Device(there=False))
    with pytest.raises(SourceError, match="no camera was found: plug one in"):
        app(["--list-cameras"], standalone_mode=False)


def test_first_frames_dark_or_empty(monkeypatch: pytest.MonkeyPatch, plug: Any) -> None:
    """About a second is skipped, and empty reads are tolerated; only empty reads are an error."""
    monkeypatch.setattr("hyperhive.inference.sources.camera._WARM_UP_S", 1.0)
    plug(Device(empty=10, dark=20))  # 0.3 s, or some more on a busy machine
    assert all(frame.image.max() > 0 for frame in shots("0"))
    plug(Device(empty=10**6))
    with pytest.raises(SourceError, match="camera 0 gave no picture for 1 s: check its cable"):
        shots("0")


@pytest.mark.parametrize(("lengths", "leading"), [(True, False), (False, False), (False, True)])
def test_stale_snapshots(lengths: bool, leading: bool) -> None:
    """A snapshot is less than a frame's interval old, however slow the consumer is."""
    interval = 1.0
    taken: list[int] = []
    with MjpegServer(fps=1 / interval) as server:
        server.lengths, server.leading = lengths, leading
        source = resolve([server.url], Sampling(2, 0.0, 0.0), Path("x"), lambda _: None)
        for frame in source.frames(threading.Event(), print):
            now = time.monotonic()
            taken.append(number_in(frame.image))
            # Pictures are sent up to a quarter early or late.
            assert now - server.sent.get(taken[-1], now) < 0.7 * interval
            time.sleep(0.3)  # a slow model: meanwhile pictures come, and must not queue
    assert taken == sorted(set(taken))


def test_v4l2_select_timeout(plug: Any) -> None:
    """A read that hangs ends by our own deadline, with advice for such a camera."""
    device = plug(Device(hangs_after=0)).devices[0]
    started_at = time.monotonic()
    with pytest.raises(SourceError) as complaint:
        shots("0")
    assert time.monotonic() - started_at < 60  # the read comes back after a minute
    assert str(complaint.value) == (
        "camera 0 gave no picture for 1 s: check its cable, and check that no other program uses "
        "it; a camera that needs more bandwidth than its port has works in another port (not "
        "through a hub), or with --pixel-format MJPG or a smaller --size"
    )
    assert not device.released  # to release it under a read would crash
    device.unplugged.set()
    released_soon(device)


def released_soon(device: Device) -> None:
    until(lambda: device.released, "the release of the camera")


@pytest.mark.parametrize(
    ("device", "found"),
    [
        (Device(pixel_format="RG10"), "gives RG10, not pictures in 8-bit colour"),
        (Device(pixel_format="GR16"), "gives GR16, not pictures in 8-bit colour"),
        (Device(pixel_format="BYR2"), "gives BYR2, not pictures in 8-bit colour"),
        (Device(pixels=np.zeros((4, 6), np.uint16)), r"gives pictures of uint16 \(4, 6\), not"),
        (Device(there=False), "cannot be opened"),
        (Device(dies_after=0), "gave no picture for 1 s"),
    ],
)
def test_csi_through_dev_video0_gives_raw_bayer(
    device: Device, found: str, tmp_path: Path, plug: Any
) -> None:
    """A raw camera is noticed by its format, pixels or name, and the advice is csi://0."""
    plug(device)
    called(tmp_path, 0, "vi-output, imx219 7-0010")
    with pytest.raises(SourceError, match=found) as complaint:
        shots("/dev/video0")
    assert "on a Jetson, use --source csi://0" in str(complaint.value)
    assert device.released


def test_pypis_cv2_has_no_gstreamer(monkeypatch: pytest.MonkeyPatch, plug: Any) -> None:
    """Before csi:// is opened, OpenCV's build is checked, and the advice is which cv2 to use."""
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "    GStreamer:                   NO\n")
    opened = plug(Device()).opened
    with pytest.raises(SourceError) as complaint:
        resolve(["csi://0"], Sampling(), Path("x"), print)
    assert str(complaint.value) == (
        f"csi:// needs an OpenCV with GStreamer, which this one ({cv2.__version__}) and all others "
        "from PyPI do not have: `pip uninstall opencv-python`, use the Jetson's own cv2 (it is in "
        "JetPack, or `sudo apt install python3-opencv`), and make the virtual environment with "
        "--system-site-packages"
    )
    assert opened == []


def test_failed_to_create_capture_session(monkeypatch: pytest.MonkeyPatch, plug: Any) -> None:
    """csi:// is opened through Argus; if that fails, the advice is how to free the camera."""
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "    GStreamer:     YES (1.14.5)\n")
    device = plug(Device()).devices[0]
    assert len(shots("csi://0?w=1920&h=1080&flip=2")) == 2
    pipeline, backend = device.opened_as
    assert pipeline.startswith("nvarguscamerasrc sensor-id=0 ! ")
    assert "width=1920, height=1080, framerate=30/1" in pipeline
    assert backend == cv2.CAP_GSTREAMER
    assert device.released

    plug(Device(there=False))
    with pytest.raises(SourceError) as complaint:
        shots("csi://0")
    assert str(complaint.value) == (
        "csi://0 cannot be opened: check that the ribbon cable sits firmly and that no other "
        "program uses the camera; if it worked before, the camera's service still holds it: `sudo "
        "systemctl restart nvargus-daemon`"
    )


def test_the_camera_goes_away(plug: Any) -> None:
    """It is reopened with growing pauses for a bounded time, and reported; then the series ends."""
    sentences: list[str] = []
    plugged = plug(Device(dies_after=60), Device(there=False))
    taken: list[bytes] = []
    source = resolve(["0"], Sampling(1000, 0.0, 0.0), Path("x"), sentences.append)
    pictures = (frame.image[0, 0].tobytes() for frame in source.frames(threading.Event(), print))
    with pytest.raises(SourceError) as complaint:
        taken.extend(pictures)
    assert str(complaint.value).startswith(
        "camera 0 went away and did not come back within 0.6 s: camera 0 cannot be opened: plug "
        "one in, and check that no other program uses it"
    )
    assert sentences[1].startswith(
        "camera 0 is lost, trying again: camera 0 gave no picture for 0.25 s"
    )
    assert sentences[2:] == [
        f"camera 0 is not back yet, trying again in {pause} s" for pause in (0.2, 0.4)
    ]
    assert len(set(taken)) == len(taken) > 5  # none is shown twice
    assert all(device.released for device in plugged.opened)


def test_the_camera_goes_away_and_comes_back(plug: Any) -> None:
    """When it is plugged in again, the series goes on by itself, with new pictures."""
    sentences: list[str] = []
    away = Device(dies_after=30)
    plugged = plug(away, Device(there=False), Device())
    frames = shots("0", sentences, count=100, every=0.0)
    assert len(frames) == 100
    assert sentences[-1] == "camera 0 is back"
    assert all(device.released for device in plugged.opened)
    assert len(plugged.opened) == 3


def test_an_outage_is_not_made_up_for(plug: Any) -> None:
    """After the camera is back, the snapshots have the requested interval again."""
    plug(Device(dies_after=40), Device())
    frames = shots("0", count=7, every=0.15)
    gaps = np.diff([frame.time for frame in frames])
    assert gaps.max() > 0.3  # the outage
    assert gaps.min() > 0.1


SECRET = "s3cr%40t"


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_credentials_in_a_streams_url(scheme: str, capfd: Any) -> None:
    """Credentials are in no title, error or sentence, whatever happens to the stream."""
    sentences: list[str] = []
    with MjpegServer() as server:
        server.login = ("me", "other")
        url = f"{scheme}://me:{SECRET}@{server.address}/stream?key={SECRET}"
        source = resolve([url], Sampling(count=1, countdown=0.0), Path("x"), sentences.append)
        with pytest.raises(SourceError) as complaint:
            list(source.frames(threading.Event(), sentences.append))
    out, error = capfd.readouterr()
    for text in (source.title, str(complaint.value), repr(complaint.value), *sentences, out, error):
        assert not re.search("s3cr|me:", text)
    assert source.title == f"{scheme}://{server.address}/stream?..."
    if scheme == "http":
        assert "needs a valid user and password" in str(complaint.value)
