"""Live mode: labels that do not flicker, snapshots when asked, nothing that grows."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.errors import OutputError, UsageError
from hyperhive.inference.acting.actions import Actions
from hyperhive.inference.acting.changes import LastingChanges
from hyperhive.inference.drawing.overlay import with_inset
from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import Result
from hyperhive.inference.outputs.folder import OutputFolder
from hyperhive.inference.outputs.reasons import Reasons
from hyperhive.inference.outputs.report import Changes, Pace, Report
from hyperhive.inference.outputs.video_writer import VideoWriter
from hyperhive.inference.predictor import Assessment, Closer, Prediction
from hyperhive.inference.session import Session, Snapshots
from hyperhive.inference.settings import PredictSettings, Sampling
from hyperhive.inference.smoothing import Smoother
from hyperhive.inference.timings import CAPTURE, INFER, Timings
from hyperhive.inference.views.display import Display
from hyperhive.model.calibration import Doubt

SURE = Prediction((("bart", 0.75), ("lisa", 0.25)))
UNSURE = Prediction((("lisa", 0.5), ("bart", 0.25)))


def result(index: int = 0, time: float | None = None, prediction: Prediction = SURE) -> Result:
    image = np.full((48, 64, 3), (index % 256, 100, 50), np.uint8)
    return Result(Frame(image, f"frame-{index:03d}", "camera", index, time), prediction)


# Smoothing.


def settled(fps: float, seconds: float, constant: float) -> float:
    """Return the share of a change of label that is seen after this time."""
    smoother = Smoother(constant)
    smoother.smooth(np.float32([1, 0]), 0.0)
    for frame in range(1, round(seconds * fps) + 1):
        average = smoother.smooth(np.float32([0, 1]), frame / fps)
    return float(average[1])


@pytest.mark.parametrize("fps", [5.0, 30.0, 60.0])
def test_smoothing_is_as_fast_at_any_frame_rate(fps: float) -> None:
    """63 % of a change is seen after one time constant, 95 % after three, at 5 to 60 fps."""
    assert settled(fps, 0.4, 0.4) == pytest.approx(1 - np.exp(-1), abs=1e-5)
    assert settled(fps, 1.2, 0.4) == pytest.approx(1 - np.exp(-3), abs=1e-5)


def test_smoothing_forgets_over_a_gap() -> None:
    """After a long gap, an earlier time or other classes, the past has no weight."""
    new = np.float32([0, 1])

    def after(first: np.ndarray, seconds: float, constant: float = 0.3) -> np.ndarray:
        smoother = Smoother(constant)
        smoother.smooth(first, 100.0)
        return smoother.smooth(new, 100.0 + seconds)

    old = np.float32([1, 0])
    assert after(old, 5.0) == pytest.approx(new, abs=1e-6)
    assert (after(old, -1.0) == new).all()
    assert (after(np.float32([1, 0, 0]), 0.01) == new).all()
    assert (after(old, 0.001, constant=0.0) == new).all()
    assert after(old, 0.0) == pytest.approx(old)


@pytest.mark.parametrize("seconds", [-0.1, 61.0, float("nan")])
def test_senseless_smoothing_is_refused(seconds: float) -> None:
    """A time constant below 0, above a minute, or NaN is wrong usage."""
    with pytest.raises(UsageError, match="--smoothing must be from 0 to 60 seconds"):
        PredictSettings((), Path("out"), sampling=Sampling(live=True), smoothing=seconds)


# What is written, printed, counted.


def test_snapshots_are_taken_when_asked_and_when_due() -> None:
    """Space takes one; --every takes one per interval, none extra after a gap; 0 takes all."""
    started_at = time.monotonic()
    on_request = Snapshots(None)
    assert [on_request.takes(asked, started_at) for asked in (False, True, False)] == [
        False,
        True,
        False,
    ]
    timed = Snapshots(10.0)
    moments = [0.0, 9.0, 10.5, 20.0, 21.0, 100.0, 101.0]
    taken = [timed.takes(False, started_at + moment) for moment in moments]
    assert taken == [False, False, True, False, True, True, False]
    every = Snapshots(0.0)
    assert [every.takes(False, time.monotonic()) for _ in range(3)] == [True] * 3


def test_only_changes_of_the_label_are_said() -> None:
    """A steady label is printed once, a flickering one at most once per second."""
    changes = Changes()
    lines = [
        changes.line(result(prediction=prediction), moment)
        for prediction, moment in [(SURE, 0.0), (SURE, 5.0), (UNSURE, 5.1), (SURE, 5.2)]
    ]
    assert [line is not None for line in lines] == [True, False, True, False]
    assert changes.line(result(prediction=SURE), 6.2) is not None
    assert (lines[0] or "").endswith(" bart 75 %")
    lost = changes.line(result(prediction=Prediction(SURE.top, Doubt("margin", 0.1, 0.2))), 9.0)
    assert (lost or "").endswith(" unknown")


def test_reasons_are_said_once_and_advice_needs_most_of_the_tries() -> None:
    """A stranger that looks like a member when enlarged gives no advice; it is tried once a second.

    The moments are those at which an unknown picture comes; the answers are those of its
    enlargement.
    """
    enlarged = [None, None, Closer(1.6, SURE), Closer(1.3, SURE), Closer(2.0, UNSURE)]
    tried: list[int] = []

    def closer(image: np.ndarray) -> Closer | None:
        tried.append(len(tried))
        return enlarged[len(tried) - 1]

    reasons = Reasons(closer, interval=1.0)
    far = result(prediction=Prediction(SURE.top, Doubt("membership", 0.01, 0.05)))
    close = result(prediction=Prediction(SURE.top, Doubt("margin", 0.01, 0.05)))
    said = [list(reasons.sentences(far, moment)) for moment in (5.0, 5.9, 6.0, 7.0, 8.0, 9.0)]
    assert said[0] == [
        "unknown: unlike the training pictures (membership 0.01 < 0.05); --min-membership 0 turns "
        "this check off"
    ]
    assert said[1:5] == [[], [], [], []]
    assert said[5] == ["fill the square: 2.0 times as large, frame-000 would be lisa (50 %)"]
    assert len(list(reasons.sentences(close, 9.5))) == 1
    assert list(reasons.sentences(far, 20.0)) == list(reasons.sentences(close, 20.0)) == []
    assert list(reasons.sentences(result(), 21.0)) == []
    assert len(tried) == 5


def test_skipped_frames_are_counted() -> None:
    """Skipped frames are counted by the gaps in the frame numbers."""
    pace = Pace()
    for index in (4, 5, 8, 9):
        pace.add(result(index))
    assert pace.frames == 4
    assert pace.skipped == 2
    assert pace.line().startswith("4 frames labelled, ")


def test_timings_are_percentiles_and_do_not_grow() -> None:
    """The rows are the 50th and 95th percentile in milliseconds of the last 10,000 frames."""
    timings = Timings()
    for _ in range(50):
        timings.add(CAPTURE, 99.0)
    for number in range(10_000):
        timings.add(CAPTURE, number / 1e6)
    with timings.measure(INFER, frames=10):
        time.sleep(0.02)
    (capture, median, most), (infer, share, _) = timings.rows()
    assert (capture, infer) == ("capture", "infer")
    assert (median, most) == (pytest.approx(5.0, abs=0.01), pytest.approx(9.5, abs=0.01))
    assert 2.0 <= share < 20.0


# The window's keys, in a session whose window presses them.


class ScriptedWindow:
    """A stand-in for a window: presses a key at each picture, and keeps the pictures."""

    def __init__(self, keys: list[str | None]) -> None:
        self._keys = keys
        self.shown: list[Image.Image] = []

    def show(self, picture: Image.Image) -> str | None:
        """See ``Window.show``."""
        self.shown.append(picture)
        return self._keys.pop(0)


class Frames:
    """A live source of 100 frames, 30 per second."""

    title, live = "camera", True

    def frames(self, stop: threading.Event, left_out: Any) -> Iterator[Frame]:
        """See ``Source.frames``."""
        for index in range(100):
            yield result(index, index / 30).frame


class Model:
    """A stand-in for a predictor that always gives the same answer."""

    class card:  # noqa: N801  Predictor's name
        """Two classes."""

        classes = ("bart", "lisa")

    def __init__(self) -> None:
        self.timings = Timings()

    def assess(self, images: list[np.ndarray]) -> Assessment:
        """See ``Predictor.assess``."""
        probabilities = np.float32([[0.75, 0.25]] * len(images))
        return Assessment(probabilities, np.ones(len(images), np.float32), self._decide)

    def _decide(self, probabilities: np.ndarray, membership: float) -> Prediction:
        assert membership == 1
        return Prediction((("bart", float(probabilities[0])), ("lisa", float(probabilities[1]))))

    def input_of(self, image: np.ndarray) -> np.ndarray:
        """See ``Predictor.input_of``."""
        return np.full((28, 28, 3), 255, np.uint8)


def test_the_keys_of_the_window(tmp_path: Path) -> None:
    """Space writes the present frame, m shows or hides the model's input, q ends."""
    from rich.console import Console

    window: Any = ScriptedWindow([None, " ", "m", None, "m", None, "q"])
    model: Any = Model()
    report = Report(Console(quiet=True), live=True, closer=lambda image: None)
    outputs = OutputFolder(tmp_path / "out", "title", live=True)
    display = Display(window, None, model.input_of)
    actions = Actions(LastingChanges(0.0), [])
    session = Session(
        Frames(), model, Snapshots(None), Smoother(0.3), outputs, display, report, actions
    )
    with outputs:
        assert not session.run(threading.Event(), print)
    assert len(window.shown) == report.tally.frames == 7
    written = sorted(path.name for path in (tmp_path / "out" / "annotated").iterdir())
    assert written == ["frame-001.jpg"]
    corner = [picture.getpixel((50, 50)) == (255, 255, 255) for picture in window.shown]
    assert corner == [False, False, False, True, True, False, False]


def test_the_inset_is_what_the_model_sees() -> None:
    """Each of the 28x28 pixels is a square of its colour in the corner of the picture."""
    seen = np.random.RandomState(0).randint(0, 256, (28, 28, 1)).astype(np.uint8)
    shown = np.asarray(with_inset(Image.new("RGB", (640, 500)), seen))
    assert (shown[2 : 2 + 28 * 5, 2 : 2 + 28 * 5] == seen.repeat(5, 0).repeat(5, 1)).all()


# The video.


@pytest.fixture(scope="module")
def cv2() -> Any:
    return pytest.importorskip("cv2", reason="no OpenCV: there are no videos")


def shot(level: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.new("RGB", size, (level, level, level))


def filmed(path: Path, live: bool, *pictures: tuple[Image.Image, float | None]) -> VideoWriter:
    """Return the video of these pictures, each at its time."""
    film = VideoWriter(path, live)
    for picture, moment in pictures:
        film.add(picture, moment)
    film.close()
    return film


def played(cv2: Any, film: VideoWriter) -> tuple[float, list[int]]:
    """Return a video's frames per second, and the brightness of each frame."""
    capture = cv2.VideoCapture(str(film.path))
    levels = []
    while True:
        readable, image = capture.read()
        if not readable:
            return float(capture.get(cv2.CAP_PROP_FPS)), levels
        levels.append(round(float(image[20:28, 28:36].mean()) / 50) * 50)


def test_a_video_plays_as_its_frames_came(cv2: Any, tmp_path: Path) -> None:
    """Frames at an even rate are written once each; a gap is a still picture of 5 s at most."""
    times = ((shot(level), 1_000_000.0 + at / 10) for at, level in enumerate((0, 100, 200)))
    film = filmed(tmp_path / "steady", False, *times)
    rate, levels = played(cv2, film)
    assert rate == pytest.approx(10.0)
    assert levels == [0, 100, 200]

    moments = ((0, 0.0), (100, 0.08), (200, 0.4), (100, 3600.0))
    film = filmed(tmp_path / "live", True, *((shot(level), at) for level, at in moments))
    rate, levels = played(cv2, film)
    assert rate == pytest.approx(25.0)
    assert [levels.count(level) for level in (0, 100, 200)] == [2, 8 + 1, 5 * 25]


def test_a_slow_beginning_does_not_slow_a_video(cv2: Any, tmp_path: Path) -> None:
    """Pictures that come at a higher rate later are all in the video, at their times."""
    moments = ((0, 0.0), (100, 1.0), (200, 1.1), (100, 1.2))
    film = filmed(tmp_path / "phone", False, *((shot(level), at) for level, at in moments))
    rate, levels = played(cv2, film)
    assert rate == pytest.approx(10.0)
    assert levels == [0] * 10 + [100, 200, 100]


def test_a_video_of_images_shows_each_for_a_second(cv2: Any, tmp_path: Path) -> None:
    """Images have no time: each stands for a second, whole, at the size of the first one."""
    pictures = (shot(100, (65, 47)), shot(200, (640, 480)), shot(50, (10, 400)))
    film = filmed(tmp_path / "images", False, *((each, None) for each in pictures))
    rate, levels = played(cv2, film)
    assert rate == pytest.approx(1.0)
    assert levels == [100, 200, 0]  # the last is a thin line
    assert played(cv2, filmed(tmp_path / "single", False, (shot(100), None)))[1] == [100]


def test_where_no_video_can_be_written(cv2: Any, tmp_path: Path) -> None:
    """If no codec opens, a sentence says which option to omit, and no empty file is listed."""
    film = VideoWriter(tmp_path / "gone" / "annotated_video", live=False)
    film.add(shot(0), None)
    with pytest.raises(OutputError, match=r"cannot write a video to .*omit --save-video"):
        film.add(shot(0), None)
    assert film.path is None


# A video as if it were filmed now.


def test_a_video_is_live_at_its_own_pace(cv2: Any, tmp_path: Path) -> None:
    """A video takes as long as it plays; a slow consumer gets the newest frame, not the next."""
    from hyperhive.inference.sources.video import Video

    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20, (64, 48))
    for _ in range(20):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    source = Video(path, Sampling(live=True))
    assert source.live
    started_at = time.monotonic()
    frames = []
    for frame in source.frames(threading.Event(), print):
        frames.append(frame)
        if frame.index < 10:
            time.sleep(0.2)
    indexes = [frame.index for frame in frames]
    assert time.monotonic() - started_at > 0.9
    assert indexes[0] == 0
    assert np.diff(indexes)[0] >= 4
    assert len(indexes) < 17
    assert [frame.time for frame in frames] == pytest.approx([index / 20 for index in indexes])
