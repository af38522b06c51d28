"""Frames of images, videos and cameras are unchanged, and a source that fails says so."""

from __future__ import annotations

import io
import math
import os
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
from PIL import Image
from support.devices import Device, Plug

from hyperhive.common.errors import SourceError, UsageError
from hyperhive.inference.frames import Frame, batches
from hyperhive.inference.settings import Sampling
from hyperhive.inference.sources.address import (
    CaptureRequest,
    CsiAddress,
    parse_size,
    without_secrets,
)
from hyperhive.inference.sources.grabber import Patience
from hyperhive.inference.sources.image_files import ImageFiles
from hyperhive.inference.sources.resolve import read_list, resolve

RED, BLUE = (250, 10, 20), (20, 10, 250)


def paint(path: Path, colour: tuple[int, int, int] = RED, size: tuple[int, int] = (32, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def source_of(*texts: object, output: str = "nowhere", **sampling: Any) -> Any:
    given = [str(text) for text in texts]
    return resolve(given, Sampling(**sampling), Path(output), lambda sentence: None)


def frames_of(source: Any, left_out: list[str] | None = None) -> list[Frame]:
    sentences: list[str] = [] if left_out is None else left_out
    return list(source.frames(threading.Event(), sentences.append))


def names(source: Any) -> list[str]:
    return [frame.name for frame in frames_of(source)]


def test_a_folder_is_searched_to_the_bottom_in_order(tmp_path: Path) -> None:
    """Every image below a folder is a frame, in sorted order; hidden and other files are not."""
    for name in ("b/2.png", "a/9.JPG", "1.bmp", ".hidden.png", ".cache/x.png"):
        paint(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    frames = frames_of(source_of(tmp_path))
    assert [frame.name for frame in frames] == ["1", "a/9", "b/2"]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert {frame.time for frame in frames} == {None}
    assert Path(frames[2].source) == tmp_path / "b" / "2.png"


def test_our_own_outputs_are_not_labelled_again(tmp_path: Path) -> None:
    """Images in the output folder are skipped, even inside the folder that is searched."""
    paint(tmp_path / "in.png")
    paint(tmp_path / "predictions" / "annotated" / "in.png")
    output = str(tmp_path / "predictions")
    assert names(source_of(tmp_path, output=output)) == ["in"]
    assert names(source_of(tmp_path / "**" / "*.png", output=output)) == ["in"]


def test_globs_find_files_folders_and_what_is_below(tmp_path: Path) -> None:
    """A glob gives the images and folders that it matches, and ``**`` includes subfolders."""
    for name in ("test/bart/1.png", "test/lisa/2.png", "3.png"):
        paint(tmp_path / name)
    assert names(source_of(tmp_path / "*.png")) == ["3"]
    assert names(source_of(tmp_path / "test" / "*")) == ["bart/1", "lisa/2"]
    assert names(source_of(tmp_path / "**" / "*.png")) == ["3", "test/bart/1", "test/lisa/2"]


def test_many_texts_are_one_source(tmp_path: Path) -> None:
    """Several files and folders are one source, without duplicates: shells expand globs."""
    first = paint(tmp_path / "x" / "1.png")
    second = paint(tmp_path / "y" / "2.png")
    assert names(source_of(second, first, tmp_path / "y")) == ["y/2", "x/1"]


def test_a_name_with_glob_characters_is_itself(tmp_path: Path) -> None:
    """A path that exists is that file, even if it would be a glob."""
    paint(tmp_path / "a.png")
    assert names(source_of(paint(tmp_path / "[a].png", BLUE))) == ["[a]"]


def test_unreadable_images_are_named_and_left_out(tmp_path: Path) -> None:
    """An unreadable image among others costs a sentence; the rest keep their numbers."""
    paint(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"not an image")
    (tmp_path / "3.png").write_bytes(paint(tmp_path / "3.png").read_bytes()[:60])
    paint(tmp_path / "4.png")
    left_out: list[str] = []
    frames = frames_of(source_of(tmp_path), left_out)
    assert [(frame.name, frame.index) for frame in frames] == [("1", 0), ("4", 3)]
    assert len(left_out) == 2
    assert "2.png cannot be read: not an image" in left_out[0]
    assert "3.png cannot be read" in left_out[1]


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    """A single unreadable image, and several unreadable ones, end in a sentence."""
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"1\.png cannot be read"):
        frames_of(source_of(tmp_path / "1.png"))
    (tmp_path / "2.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"none of the 2 images .*1\.png cannot be read: not an"):
        frames_of(source_of(tmp_path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("empty", "there is no image in"), ("*.png", "no image matches"), ("gone.png", "there is no")],
)
def test_a_source_without_frames_is_an_error(tmp_path: Path, text: str, sentence: str) -> None:
    """An empty folder, a glob without a match and a missing path end in a sentence each."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=sentence):
        source_of(tmp_path / text)


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path) -> None:
    """Files that are no images, and systems' own, are in a sentence each, for globs as well."""
    for name in ("a/1.png", "a/@eaDir/1.png", "a/.hidden/1.png"):
        paint(tmp_path / name)
    (tmp_path / "a" / "2.xcf").write_bytes(b"x")
    for text in (tmp_path, tmp_path / "a" / "*", tmp_path / "**"):
        said: list[str] = []
        source = resolve([str(text)], Sampling(), Path("nowhere"), said.append)
        assert names(source) == ["1"]
        assert said[0].startswith("left out 1 file of a format that Pillow does not read: ")
        assert said[0].endswith("2.xcf")
        assert "@eaDir" in said[1]
        assert len(said) == 2
    assert names(source_of(tmp_path / "a" / ".hidden" / "*.png")) == ["1"]  # named by its owner


def test_an_empty_folder_says_what_was_there(tmp_path: Path) -> None:
    """An error about a folder or glob without an image names what was left out."""
    (tmp_path / "1.xcf").write_bytes(b"x")
    for text in (tmp_path, tmp_path / "*", tmp_path / "**"):
        with pytest.raises(SourceError, match=r"1 left out: .*1\.xcf"):
            source_of(text)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A pipe with an image's name is skipped in a folder, and refused where it is named itself."""
    paint(tmp_path / "a" / "1.png")
    os.mkfifo(tmp_path / "a" / "2.png")
    left_out: list[str] = []
    assert len(frames_of(source_of(tmp_path / "a"), left_out)) == 1
    assert left_out == [f"{tmp_path}/a/2.png cannot be read: a named pipe"]
    with pytest.raises(SourceError, match=r"2\.png cannot be read: a named pipe"):
        frames_of(source_of(tmp_path / "a" / "2.png"))


def test_stars_do_not_follow_links_in_circles(tmp_path: Path) -> None:
    """A link to a folder above it is not followed, with ``**`` either."""
    paint(tmp_path / "a" / "b" / "1.png")
    for name in ("x", "y"):
        (tmp_path / "a" / "b" / name).symlink_to(tmp_path)
    assert names(source_of(tmp_path / "**" / "*.png")) == ["1"]
    assert names(source_of(tmp_path / "**" / "b")) == ["1"]
    assert names(source_of(tmp_path / "a" / "**" / "**" / "1.png")) == ["1"]


def test_stopping_ends_a_folder_early(tmp_path: Path) -> None:
    """Once stopped, a source of many images gives no further ones."""
    source = ImageFiles("two", [paint(tmp_path / "1.png"), paint(tmp_path / "2.png")])
    stop = threading.Event()
    frames = source.frames(stop, lambda sentence: None)
    next(frames)
    stop.set()
    assert list(frames) == []


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint16)])
def test_other_pixels_than_8_bit_colour_are_refused(pixels: np.ndarray) -> None:
    """A device that gives grey or 16-bit pictures is refused with a sentence, not mislabelled."""
    with pytest.raises(SourceError, match="camera 3 gives pictures of uint"):
        Frame.from_bgr(pixels, "name", "camera 3", 0, None)


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"every": -1.0}, {"every": float("nan")}, {"countdown": float("inf")}]
)
def test_senseless_sampling_is_refused(wrong: Any) -> None:
    """Counts below 1 and times that are negative or infinite are wrong usage."""
    with pytest.raises(UsageError):
        Sampling(**wrong)


def test_batches_are_bounded_in_pixels_and_number() -> None:
    """A batch holds a few large frames, up to 64 small ones, or one live one."""

    def frames(number: int, side: int) -> Iterator[Frame]:
        for index in range(number):
            yield Frame(np.zeros((side, side, 3), np.uint8), "f", "s", index)

    assert [len(batch) for batch in batches(frames(130, 28), live=False)] == [64, 64, 2]
    assert [len(batch) for batch in batches(frames(5, 2000), live=False)] == [2, 2, 1]
    assert [len(batch) for batch in batches(frames(3, 28), live=True)] == [1, 1, 1]


def test_a_list_of_paths_comes_on_standard_input(tmp_path: Path) -> None:
    """``-`` stands for the lines of standard input, with any bytes; empty lines are skipped."""
    lines = io.BytesIO(b"a.png\r\n\n  b c.png \n\xff.png")
    found = read_list(["x.png", "-"], lines)
    assert found[:3] == ["x.png", "a.png", "  b c.png "]
    assert os.fsencode(found[3]) == b"\xff.png"
    assert read_list(["x.png"], lines) == ["x.png"]
    assert read_list(["x.png"], None) == ["x.png"]
    for nothing in (io.BytesIO(b"\n"), None):
        with pytest.raises(SourceError, match="standard input is empty"):
            read_list(["-"], nothing)


def test_a_list_may_come_from_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notepad's and PowerShell's byte order marks are no part of the first path; ~ is the home."""
    monkeypatch.setenv("HOME", "/home/me")
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        lines = io.BytesIO("Käse.png\r\n~/x.png\r\n".encode(encoding))
        assert read_list(["-"], lines) == ["Käse.png", "/home/me/x.png"]
    with pytest.raises(SourceError, match="standard input is no list of paths"):
        read_list(["-"], io.BytesIO(b"\xff\xfea"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://me:secret@cam/1", "rtsp://cam/1"),
        ("http://me:s/e?c#r@et@cam:80/1?user=me&pwd=secret#x", "http://cam:80/1?..."),
        (
            "rtsp://cam/user=me&password=secret&channel=1.sdp",
            "rtsp://cam/user=...&password=...&channel=1.sdp",
        ),
        ("me:secret@cam/1", "cam/1"),
        ("rtsp://cam:554/1", "rtsp://cam:554/1"),
        ("http://me:s3cret@127.0.0.1/stream?next=http://x/", "http://127.0.0.1/stream?..."),
        ("rtsp://me:se://cret@cam/1", "rtsp://cam/1"),
        ("http://cam/a?token=secret&u=rtsp://b/c", "http://cam/a?..."),
        (
            "http://cam/live_password=secret;psw=secret/admin_pwd=secret",
            "http://cam/live_password=...;psw=.../admin_pwd=...",
        ),
        ("rtsp://cam/Passwort=secret&sid=secret", "rtsp://cam/Passwort=...&sid=..."),
        ("cam/stream?token=secret", "cam/stream?token=..."),
        ("holiday@home.png", "holiday@home.png"),
        ("C:/pictures/a.png", "C:/pictures/a.png"),
    ],
)
def test_an_address_is_shown_without_its_secrets(text: str, shown: str) -> None:
    """Login, password and query of an address are removed; other texts stay."""
    assert without_secrets(text) == shown


def test_an_address_without_its_scheme_shows_no_password() -> None:
    """An address that is taken for a file or a glob is reported without its secret."""
    for text in ("me:secret@cam/1", "me:s[e]cret@cam/1", "cam/stream?token=secret"):
        with pytest.raises(SourceError) as complaint:
            source_of(text)
        assert "cret" not in str(complaint.value)


def test_a_ribbon_cables_address() -> None:
    """The pipeline has the values of csi://, then those of the options, then the defaults."""
    asked = CaptureRequest(size=(640, 480), fps=60.0)
    address = CsiAddress.parse("csi://1?w=1920&flip=2", asked)
    assert address == CsiAddress(sensor=1, width=1920, height=480, fps=60, flip=2)
    assert CsiAddress.parse("csi://0", CaptureRequest()) == CsiAddress(0, 1280, 720, 30, 0)
    pipeline = address.pipeline()
    for part in ("sensor-id=1 ", "width=1920, height=480", "framerate=60/1", "flip-method=2 "):
        assert part in pipeline
    assert pipeline.endswith("appsink drop=true max-buffers=1 sync=false")


@pytest.mark.parametrize(
    "text",
    [
        "csi://0?w=0",
        "csi://0?flip=8",
        "csi://0?x=1",
        "csi://a",
        "csi://0/1",
        "csi://0?w=1 ! evil",
        "csi://[",
    ],
)
def test_a_senseless_ribbon_cables_address_is_refused(text: str) -> None:
    """Unknown parts, and values that are not numbers or too large, are wrong usage."""
    with pytest.raises(UsageError):
        CsiAddress.parse(text, CaptureRequest())


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["ftp://me:secret@cam/1"], "streams are rtsp://.*, not ftp://cam/1$"),
        (["a.png", "rtsp://me:secret@cam/1"], "^rtsp://cam/1 cannot be combined with"),
        (["csi://admin:secret@cam"], "^csi://cam is not understood"),
    ],
)
def test_what_cannot_be_a_source_is_wrong_usage(texts: list[str], sentence: str) -> None:
    """Other protocols, and a stream among several sources, are refused with a sentence."""
    with pytest.raises(UsageError, match=sentence):
        source_of(*texts)


@pytest.mark.parametrize("size", ["640", "0x480", "00x480", "640x", "axb", "640x480x3"])
def test_a_senseless_size_is_wrong_usage(size: str) -> None:
    """A size is two numbers above 0 with an x between them."""
    assert parse_size("1280x720") == (1280, 720)
    with pytest.raises(UsageError, match="--size must be WIDTHxHEIGHT"):
        parse_size(size)


@pytest.mark.parametrize("wrong", [{"fps": 0.0}, {"fps": 1e9}, {"pixel_format": "MJPEG"}])
def test_senseless_requests_are_refused(wrong: Any) -> None:
    """Impossible frame rates, and formats that are not four characters, are wrong usage."""
    with pytest.raises(UsageError):
        CaptureRequest(**wrong)


def test_only_a_camera_is_asked(tmp_path: Path) -> None:
    """Options that a file or stream cannot follow are refused, not ignored."""
    image, size = str(paint(tmp_path / "a.png")), CaptureRequest(size=(640, 480))
    backend, pixels = CaptureRequest(backend="any"), CaptureRequest(pixel_format="MJPG")
    for texts, request, sentence in [
        ([image], size, "are for cameras only"),
        ([image, image], size, "are for cameras only"),
        ([image, image], backend, "are for cameras only"),
        (["http://localhost/"], size, "are for cameras only"),
        (["http://localhost/"], backend, "are for cameras only"),
        (["rtsp://localhost/"], size, "are for cameras only"),
        (["csi://0"], backend, "has its own --backend"),
        (["csi://0"], pixels, "has its own --backend"),
    ]:
        with pytest.raises(UsageError, match=sentence):
            resolve(texts, Sampling(), Path("x"), print, request)


# Videos and cameras, where there is OpenCV.

FPS = 10


@pytest.fixture(scope="module")
def cv2() -> Any:
    return pytest.importorskip("cv2", reason="no OpenCV: videos and cameras cannot be read")


@pytest.fixture(scope="module")
def video(cv2: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a video of 50 red frames, 10 per second."""
    path = tmp_path_factory.mktemp("video") / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (64, 48))
    for _ in range(50):
        writer.write(np.full((48, 64, 3), RED[::-1], np.uint8))
    writer.release()
    return path


def test_a_video_is_sampled_by_time(video: Path) -> None:
    """Sampling takes one frame per interval, from the first; a count is a limit."""
    frames = frames_of(source_of(video, every=2.0))
    assert [frame.index for frame in frames] == [0, 20, 40]
    assert [frame.time for frame in frames] == [0.0, 2.0, 4.0]
    assert [frame.name for frame in frames] == ["red-000000", "red-000020", "red-000040"]
    limited = frames_of(source_of(video, count=2, every=0.3))
    assert [frame.index for frame in limited] == [0, 3]


def test_all_frames_of_a_video(video: Path) -> None:
    """With --all-frames, and with an interval of 0, every frame comes once, in order."""
    for source in (source_of(video, all_frames=True), source_of(video, every=0.0)):
        assert [frame.index for frame in frames_of(source)] == list(range(50))


PHONE = Path(__file__).with_name("variable_rate.mp4")
"""30 frames: 15 a tenth of a second apart, then 15 a second apart; 16.5 s."""


def test_a_videos_frames_have_the_files_own_times(cv2: Any) -> None:
    """Phones film at a variable rate, so a frame's time is not its number by the mean rate."""
    times = {frame.index: frame.time for frame in frames_of(source_of(PHONE, all_frames=True))}
    assert [times[index] for index in (0, 14, 15, 16, 29)] == pytest.approx(
        [0, 1.4, 1.5, 2.5, 15.5]
    )
    frames = frames_of(source_of(PHONE, every=2.0))
    assert [frame.index for frame in frames] == [0, 16, 18, 20, 22, 24, 26, 28]


def test_a_gap_in_a_video_is_not_made_up_for(cv2: Any) -> None:
    """Where frames come more rarely than they are due, each is taken once."""
    frames = frames_of(source_of(PHONE, every=0.5))
    assert [frame.index for frame in frames][:6] == [0, 5, 10, 15, 16, 17]


class Timeless:
    """A capture of a file without times, or with damaged ones."""

    def __init__(self, milliseconds: list[float]) -> None:
        self._milliseconds = milliseconds
        self._at = -1

    def grab(self) -> bool:
        """Go to the next frame; return whether there is one."""
        self._at += 1
        return self._at < len(self._milliseconds)

    def get(self, what: int) -> float:
        """Return the rate, 10 per second, or the time of the present frame."""
        import cv2

        return {cv2.CAP_PROP_FPS: 10.0, cv2.CAP_PROP_FRAME_COUNT: -1.0}.get(
            what, self._milliseconds[min(self._at, len(self._milliseconds) - 1)]
        )


@pytest.mark.parametrize(
    ("milliseconds", "seconds"),
    [
        ([0, 0, 0, 0], [0, 0.1, 0.2, 0.3]),
        ([math.nan, math.nan], [0, 0.1]),
        ([100, 200, 300], [0, 0.1, 0.2]),  # OpenCV before 4.5 gives the end of each frame
        ([0, 100, 50, 300], [0, 0.1, 0.2, 0.3]),
    ],
)
def test_times_that_cannot_be_right_are_replaced(
    cv2: Any, milliseconds: list[float], seconds: list[float]
) -> None:
    """A position never goes back: the rate that the file claims gives the next one."""
    from hyperhive.inference.sources.video import _Timeline

    positions = [position for _, position in _Timeline(Timeless(milliseconds)).frames()]
    assert positions == pytest.approx(seconds)


@pytest.mark.parametrize("damage", ["cut", "hole"])
def test_a_damaged_video_says_how_much_is_missing(video: Path, tmp_path: Path, damage: str) -> None:
    """What can be read is given, and then a sentence ends the series."""
    content = bytearray(video.read_bytes())
    half, quarter = len(content) // 2, len(content) // 4
    if damage == "cut":
        del content[half:]
    else:
        content[half : half + quarter] = bytes(quarter)
    damaged = tmp_path / "damaged.avi"
    damaged.write_bytes(content)
    frames = []
    with pytest.raises(SourceError, match=r"is damaged: only \d+ % of its frames could be read"):
        frames.extend(source_of(damaged, all_frames=True).frames(threading.Event(), print))
    assert 10 < len(frames) < 45


def test_a_videos_colours_are_rgb(video: Path) -> None:
    """Red stays red: OpenCV gives BGR, a frame is RGB."""
    frame = frames_of(source_of(video))[0]
    assert frame.image.shape == (48, 64, 3)
    assert np.abs(frame.image.reshape(-1, 3).mean(axis=0) - RED).max() < 10


@pytest.mark.parametrize("content", [b"", b"no video", b"RIFF\x00\x00\x00\x00AVI LIST"])
def test_an_unreadable_video_is_an_error(cv2: Any, tmp_path: Path, content: bytes) -> None:
    """A file that is neither image nor video, or a damaged video, ends in a sentence."""
    path = tmp_path / "clip.avi"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="neither an image nor a video"):
        frames_of(source_of(path))


def number_of(frame: Frame) -> int:
    return int(frame.image[0, 0, 0]) + 256 * int(frame.image[0, 0, 1])


@pytest.fixture
def camera(cv2: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a camera from a device."""
    monkeypatch.setattr("hyperhive.inference.sources.resolve._PATIENCE", Patience(1.0, 1.0, 2.0))

    def make(device: Device, sentences: list[str] | None = None, **options: Any) -> Any:
        monkeypatch.setattr(cv2, "VideoCapture", Plug(device, Device(there=False)))
        sampling = Sampling(**{"count": 3, "every": 0.1, "countdown": 0.0, **options})
        say = (lambda sentence: None) if sentences is None else sentences.append
        return resolve(["0"], sampling, Path("nowhere"), say)

    return make


def test_a_camera_gives_a_series_of_its_newest_pictures(camera: Any) -> None:
    """Each snapshot is the newest picture, on time, even if the driver had a backlog."""
    device = Device(backlog=100)
    snapshots = []
    started_at = time.time()
    for frame in camera(device).frames(threading.Event(), print):
        assert device.reads - number_of(frame) <= 2
        assert abs(time.time() - frame.time) < 0.5
        snapshots.append(frame)
    assert [frame.index for frame in snapshots] == [0, 1, 2]
    # A second to warm up, and two pauses of 0.1 s.
    assert snapshots[0].time - started_at >= 1.0
    assert np.diff([frame.time for frame in snapshots]).min() > 0.05
    assert len({frame.name for frame in snapshots}) == 3
    assert device.released


def test_a_camera_counts_down(camera: Any) -> None:
    """Before the first snapshot, sentences give the picture size and the remaining seconds."""
    sentences: list[str] = []
    started_at = time.monotonic()
    assert len(frames_of(camera(Device(), sentences, count=1, countdown=2.0))) == 1
    assert sentences == ["camera 0 gives 8x6 pixels", "2 ...", "1 ..."]
    assert time.monotonic() - started_at >= 2.0


def test_a_camera_that_is_not_there_is_an_error(cv2: Any) -> None:
    """An index without a camera ends in a sentence that says what else to try."""
    with pytest.raises(SourceError, match=r"camera 99 cannot be opened.*--source"):
        frames_of(source_of("99"))
    with pytest.raises(SourceError, match="camera 99 cannot be opened"):
        frames_of(source_of("/dev/video99"))


def test_a_camera_is_released_when_its_user_leaves(camera: Any) -> None:
    """The camera is released if frames are abandoned, and if it is stopped in the countdown."""
    device = Device()
    frames = camera(device).frames(threading.Event(), print)
    next(frames)
    assert not device.released
    frames.close()
    assert device.released

    device, stop = Device(), threading.Event()
    threading.Timer(0.3, stop.set).start()
    started_at = time.monotonic()
    assert list(camera(device, countdown=60.0).frames(stop, print)) == []
    assert time.monotonic() - started_at < 60
    assert device.released


def test_a_camera_is_asked_and_says_what_it_gives(
    cv2: Any, camera: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size, rate and pixel format are requested; sentences say what the camera gives instead."""
    request = CaptureRequest(size=(640, 480), fps=15.0, pixel_format="MJPG")

    monkeypatch.setattr("hyperhive.inference.sources.camera._WARM_UP_S", 0.1)

    def told(device: Device) -> list[str]:
        sentences: list[str] = []
        monkeypatch.setattr(cv2, "VideoCapture", Plug(device))
        sampling = Sampling(count=1, countdown=0.0)
        assert len(frames_of(resolve(["0"], sampling, Path("x"), sentences.append, request))) == 1
        return sentences

    asked = Device()
    assert told(asked) == [
        "camera 0 gives 8x6 pixels instead of the requested 640x480",
    ]
    assert asked.properties[cv2.CAP_PROP_FRAME_WIDTH] == 640
    assert asked.properties[cv2.CAP_PROP_FRAME_HEIGHT] == 480
    assert asked.properties[cv2.CAP_PROP_FPS] == 15
    assert told(Device(fixed=True)) == [
        "camera 0 gives YUYV instead of the requested MJPG",
        "camera 0 gives 30 frames per second instead of the requested 15",
        "camera 0 gives 8x6 pixels instead of the requested 640x480",
    ]


def test_only_backends_that_there_are_can_be_asked_for(cv2: Any, camera: Any) -> None:
    """A backend is chosen by its name; one that this OpenCV does not have is wrong usage."""
    with pytest.raises(UsageError, match=r"no backend 'telepathy': it has any, .*ffmpeg"):
        resolve(["0"], Sampling(), Path("x"), print, CaptureRequest("telepathy"))
    device = Device()
    camera(device)
    source = resolve(
        ["0"], Sampling(count=1, countdown=0.0), Path("x"), lambda _: None, CaptureRequest("FFmpeg")
    )
    assert len(frames_of(source)) == 1
    assert device.opened_as == (0, cv2.CAP_FFMPEG)


def test_a_streams_backlog_is_skipped(cv2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that came while a stream was opened are skipped, for as long as opening took."""
    from hyperhive.inference.sources import opencv_capture as captures

    device = Device(backlog=10**6)
    plug = Plug(device)

    def slow(*arguments: Any) -> Device:
        time.sleep(0.1)
        return plug(*arguments)

    monkeypatch.setattr(cv2, "VideoCapture", slow)
    captures.open_stream("rtsp://cam/1", "cam", cv2.CAP_FFMPEG)
    assert device.reads > 1


def test_opencvs_own_complaint_is_not_shown(cv2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV's own text may hold the address, and with it a password."""
    from hyperhive.inference.sources import opencv_capture as captures

    def fail(*_: Any) -> None:
        raise cv2.error("rtsp://me:secret@cam/1")

    monkeypatch.setattr(cv2, "VideoCapture", fail)
    with pytest.raises(SourceError, match=r"^cam cannot be opened: check that") as complaint:
        captures.open_stream("rtsp://me:secret@cam/1", "cam", cv2.CAP_FFMPEG)
    assert complaint.value.__suppress_context__
