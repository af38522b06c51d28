"""Frames come from images, videos and cameras as they are, and a source that fails says so."""

import threading
import time
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np
import pytest
from PIL import Image

from inference.errors import SourceError
from inference.frames import Frame, Sampling, batches
from inference.image_files import ImageFiles
from inference.sources import choose
from model.errors import UsageError

RED, BLUE = (250, 10, 20), (20, 10, 250)


def paint(path: Path, colour: Tuple[int, int, int] = RED, size: Tuple[int, int] = (32, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def source_of(*texts: object, output: str = "nowhere", **sampling: Any) -> Any:
    given = [str(text) for text in texts]
    return choose(given, Sampling(**sampling), Path(output), lambda sentence: None)


def frames_of(source: Any, left_out: Optional[List[str]] = None) -> List[Frame]:
    sentences: List[str] = [] if left_out is None else left_out
    return list(source.frames(threading.Event(), sentences.append))


def names(source: Any) -> List[str]:
    return [frame.name for frame in frames_of(source)]


def test_a_folder_is_searched_to_the_bottom_in_order(tmp_path: Path) -> None:
    """Every image below a folder is a frame, sorted; hidden ones and other files are not."""
    for name in ("b/2.png", "a/9.JPG", "1.bmp", ".hidden.png", ".cache/x.png"):
        paint(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    frames = frames_of(source_of(tmp_path))
    assert [frame.name for frame in frames] == ["1", "a/9", "b/2"]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert {frame.time for frame in frames} == {None}
    assert Path(frames[2].source) == tmp_path / "b" / "2.png"


def test_our_own_outputs_are_not_labelled_again(tmp_path: Path) -> None:
    """What lies in the output folder is no frame, though it lies in the folder that is searched."""
    paint(tmp_path / "in.png")
    paint(tmp_path / "predictions" / "annotated" / "in.png")
    output = str(tmp_path / "predictions")
    assert names(source_of(tmp_path, output=output)) == ["in"]
    assert names(source_of(tmp_path / "**" / "*.png", output=output)) == ["in"]


def test_globs_find_files_folders_and_what_is_below(tmp_path: Path) -> None:
    """A glob gives the images it matches, those of folders it matches, and ``**`` goes down."""
    for name in ("test/bart/1.png", "test/lisa/2.png", "3.png"):
        paint(tmp_path / name)
    assert names(source_of(tmp_path / "*.png")) == ["3"]
    assert names(source_of(tmp_path / "test" / "*")) == ["bart/1", "lisa/2"]
    assert names(source_of(tmp_path / "**" / "*.png")) == ["3", "test/bart/1", "test/lisa/2"]


def test_many_texts_are_one_source(tmp_path: Path) -> None:
    """Files and folders given together are labelled together, none twice: shells expand globs."""
    first = paint(tmp_path / "x" / "1.png")
    second = paint(tmp_path / "y" / "2.png")
    assert names(source_of(second, first, tmp_path / "y")) == ["y/2", "x/1"]


def test_a_name_with_glob_characters_is_itself(tmp_path: Path) -> None:
    """A file that exists is taken by its name, whatever a glob would make of it."""
    paint(tmp_path / "a.png")
    assert names(source_of(paint(tmp_path / "[a].png", BLUE))) == ["[a]"]


def test_unreadable_images_are_named_and_left_out(tmp_path: Path) -> None:
    """Among others an unreadable image costs a sentence; the rest keep their numbers."""
    paint(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"not an image")
    (tmp_path / "3.png").write_bytes(paint(tmp_path / "3.png").read_bytes()[:60])
    paint(tmp_path / "4.png")
    left_out: List[str] = []
    frames = frames_of(source_of(tmp_path), left_out)
    assert [(frame.name, frame.index) for frame in frames] == [("1", 0), ("4", 3)]
    assert len(left_out) == 2
    assert "2.png cannot be read: not an image" in left_out[0]
    assert "3.png cannot be read" in left_out[1]


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    """A single unreadable image, and several of which none can be read, end in a sentence."""
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"1\.png cannot be read"):
        frames_of(source_of(tmp_path / "1.png"))
    (tmp_path / "2.png").write_bytes(b"")
    with pytest.raises(SourceError, match="none of the 2 images"):
        frames_of(source_of(tmp_path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("empty", "there is no image in"), ("*.png", "no image matches"), ("gone.png", "there is no")],
)
def test_a_source_without_frames_is_an_error(tmp_path: Path, text: str, sentence: str) -> None:
    """An empty folder, a glob without a match, and a path to nothing end in a sentence each."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=sentence):
        source_of(tmp_path / text)


def test_a_streams_password_is_not_repeated() -> None:
    """The sentence about a stream does not show its URL, in which a password may stand."""
    with pytest.raises(UsageError) as caught:
        source_of("rtsp://admin:s3cr3t@10.0.0.2/live")
    assert "s3cr3t" not in str(caught.value)


def test_stopping_ends_a_folder_early(tmp_path: Path) -> None:
    """Once stopped, a source of many images gives no more of them."""
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
    """Counts below 1 and times that are negative or endless are wrong usage."""
    with pytest.raises(UsageError):
        Sampling(**wrong)


def test_batches_are_bounded_in_pixels_and_number() -> None:
    """Large frames wait for few others, small ones for 64 at most, live ones for none."""

    def frames(number: int, side: int) -> Iterator[Frame]:
        for index in range(number):
            yield Frame(np.zeros((side, side, 3), np.uint8), "f", "s", index)

    assert [len(batch) for batch in batches(frames(130, 28), live=False)] == [64, 64, 2]
    assert [len(batch) for batch in batches(frames(5, 2000), live=False)] == [2, 2, 1]
    assert [len(batch) for batch in batches(frames(3, 28), live=True)] == [1, 1, 1]


# Videos and cameras, where there is OpenCV.

FPS = 10


@pytest.fixture(scope="module")
def cv2() -> Any:
    return pytest.importorskip("cv2", reason="no OpenCV: videos and cameras cannot be read")


@pytest.fixture(scope="module")
def video(cv2: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a video of 50 red frames, 10 a second."""
    path = tmp_path_factory.mktemp("video") / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (64, 48))
    for _ in range(50):
        writer.write(np.full((48, 64, 3), RED[::-1], np.uint8))
    writer.release()
    return path


def test_a_video_is_sampled_by_time(video: Path) -> None:
    """One frame every so many seconds, from the first; a count is a limit."""
    frames = frames_of(source_of(video, every=2.0))
    assert [frame.index for frame in frames] == [0, 20, 40]
    assert [frame.time for frame in frames] == [0.0, 2.0, 4.0]
    assert [frame.name for frame in frames] == ["red-000000", "red-000020", "red-000040"]
    limited = frames_of(source_of(video, count=2, every=0.3))
    assert [frame.index for frame in limited] == [0, 3]


def test_all_frames_of_a_video(video: Path) -> None:
    """With --all-frames, and with no time between them, every frame comes once, in order."""
    for source in (source_of(video, all_frames=True), source_of(video, every=0.0)):
        assert [frame.index for frame in frames_of(source)] == list(range(50))


def test_a_videos_colours_are_rgb(video: Path) -> None:
    """Red is red: OpenCV gives blue first, a frame has red first."""
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


class Device:
    """A camera's driver: a picture every 10 ms, numbered in its first pixel, as scripted.

    Args:
        empty: how many reads give nothing at first.
        dies_after: reads until it gives nothing for ever.
        backlog: pictures that it had buffered when it was opened.
    """

    def __init__(self, empty: int = 0, dies_after: int = 10**6, backlog: int = 0) -> None:
        self.empty, self.dies_after, self.backlog = empty, dies_after, backlog
        self.reads, self.released = 0, False

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        """Say that it is there."""
        return True

    def read(self) -> Tuple[bool, Optional[np.ndarray]]:
        """Give the next picture, or nothing."""
        self.reads += 1
        if self.reads > self.backlog:
            time.sleep(0.01)
        if self.reads <= self.empty or self.reads > self.dies_after:
            return False, None
        return True, np.full((6, 8, 3), (0, self.reads // 256, self.reads % 256), np.uint8)

    def release(self) -> None:
        """Set the device free."""
        self.released = True


def number_of(frame: Frame) -> int:
    return int(frame.image[0, 0, 0]) + 256 * int(frame.image[0, 0, 1])


@pytest.fixture
def camera(cv2: Any) -> Any:
    """Give a function that makes a camera of a device."""
    from inference.camera import Camera

    def make(device: Device, said: Optional[List[str]] = None, **options: Any) -> Any:
        sampling = Sampling(**{"count": 3, "every": 0.1, "countdown": 0.0, **options})
        say = (lambda sentence: None) if said is None else said.append
        return Camera(0, sampling, say, open_capture=lambda index: device, patience=2.0)

    return make


def test_a_camera_gives_a_series_of_its_newest_pictures(camera: Any) -> None:
    """Each snapshot is the newest picture there is, in time, though the driver had a backlog."""
    device = Device(backlog=100)
    snapshots = []
    begun = time.time()
    for frame in camera(device).frames(threading.Event(), print):
        assert device.reads - number_of(frame) <= 2
        assert abs(time.time() - frame.time) < 0.5
        snapshots.append(frame)
    assert [frame.index for frame in snapshots] == [0, 1, 2]
    # A second to warm up, and two pauses of 0.1 s.
    assert snapshots[0].time - begun >= 1.0
    assert np.diff([frame.time for frame in snapshots]).min() > 0.05
    assert len({frame.name for frame in snapshots}) == 3
    assert device.released


def test_a_camera_counts_down(camera: Any) -> None:
    """Before the first snapshot the camera says its size and the seconds that are left."""
    said: List[str] = []
    begun = time.monotonic()
    assert len(frames_of(camera(Device(), said, count=1, countdown=2.0))) == 1
    assert said == ["camera 0 gives 8x6 pixels", "2 ...", "1 ..."]
    assert time.monotonic() - begun >= 2.0


def test_a_camera_may_need_time(camera: Any) -> None:
    """Empty reads at the start are waited out."""
    assert len(frames_of(camera(Device(empty=20)))) == 3


def test_a_camera_that_goes_away_is_an_error(camera: Any) -> None:
    """After the last picture comes a sentence, never a picture twice, and the device is free."""
    device = Device(dies_after=150)
    frames = camera(device, count=1000, every=0.0).frames(threading.Event(), print)
    taken: List[int] = []
    with pytest.raises(SourceError, match="camera 0 gave no picture for"):
        taken.extend(map(number_of, frames))
    assert device.released
    assert taken == sorted(set(taken))
    assert len(taken) > 1
    assert taken[-1] == 150


def test_a_camera_that_is_not_there_is_an_error(cv2: Any) -> None:
    """An index without a camera ends in a sentence that says what else to try."""
    with pytest.raises(SourceError, match=r"camera 99 cannot be opened.*--source"):
        frames_of(source_of("99"))
    with pytest.raises(SourceError, match="camera 99 cannot be opened"):
        frames_of(source_of("/dev/video99"))


def test_a_camera_is_released_when_its_user_leaves(camera: Any) -> None:
    """Whoever stops taking frames, or is stopped while it counts down, leaves the camera free."""
    device = Device()
    frames = camera(device).frames(threading.Event(), print)
    next(frames)
    assert not device.released
    frames.close()
    assert device.released

    device, stop = Device(), threading.Event()
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    assert list(camera(device, countdown=60.0).frames(stop, print)) == []
    assert time.monotonic() - begun < 5
    assert device.released
