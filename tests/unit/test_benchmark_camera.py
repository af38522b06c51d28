"""The camera benchmark: its scenes distort as described and show the picture in the guide."""

from __future__ import annotations

import functools
import sys
import urllib.request
from pathlib import Path
from typing import Iterator

import numpy as np
import pytest
import torch

# isort: split
import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks import _light, _mjpeg, _models, _scene
from benchmarks._backgrounds import SIDE
from benchmarks._camera_scores import Pictures, Score
from benchmarks._scene import KINDS, ROOM, Scene
from hyperhive.inference.models.file import from_file
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.images import fit
from hyperhive.model.data.loading import digits
from hyperhive.model.model_files import WEIGHTS_FILE, write
from hyperhive.model.training import TrainingData

pytestmark = pytest.mark.long

HELD = {name: ROOM[name] for name in ("scale", "shift", "rotation", "perspective")}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Train on one thread, as workers do: two threads on a busy core wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def picture(seed: int = 0) -> np.ndarray:
    """Return a smooth picture, which survives enlarging and reducing."""
    random = np.random.RandomState(seed)
    small = random.randint(40, 216, (5, 5, 3)).astype(np.uint8)
    return cv2.resize(small, (28, 28), interpolation=cv2.INTER_CUBIC)


def seen(frame: np.ndarray) -> np.ndarray:
    return fit(np.ascontiguousarray(frame[..., ::-1]), 3).astype(float)


def error(strengths: dict[str, float], at_bound: bool = False) -> float:
    """Return the mean difference between the model's input and the picture."""
    scene = Scene(0, strengths, at_bound)
    shown = [picture(number) for number in range(3)]
    return float(np.mean([np.abs(seen(scene.frame(p, n)) - p) for n, p in enumerate(shown)]))


def test_an_undistorted_scene_shows_the_picture() -> None:
    """The picture fills the guide, and the model's input is the picture, in the right colours."""
    scene = Scene(0, {})
    frame = scene.frame(picture(), 0)
    assert (frame.shape, frame.dtype) == ((480, 640, 3), np.uint8)
    assert error({}) < 2
    beside = [scene.frame(picture(), number)[:, :80] for number in range(6)]
    assert np.std([margin.mean() for margin in beside]) > 5


def test_grey_pictures_are_shown_too() -> None:
    """The model's input is the grey picture that is shown."""
    grey = picture()[..., :1]
    assert np.abs(seen(Scene(0, {}).frame(grey, 0)) - grey).mean() < 2


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_distortion_grows_with_its_strength(name: str) -> None:
    """Each distortion changes the model's input more at a higher strength, within limits."""
    if name in (
        "noise",
        "jpeg",
    ):  # averaged away in the model's input, so only the frame shows them
        plain = Scene(0, {}).frame(picture(), 0).astype(float)
        errors = [
            np.abs(Scene(0, {name: strength}, True).frame(picture(), 0) - plain).mean()
            for strength in KINDS[name].strengths
        ]
        assert errors[2] > errors[0]
        assert error({name: KINDS[name].strengths[2]}, at_bound=True) < 4
        return
    errors = [error({name: strength}, at_bound=True) for strength in KINDS[name].strengths]
    assert error({}) < errors[0] < errors[1] < errors[2] < 60


def test_the_same_seed_shows_the_same_frames() -> None:
    """A frame depends only on the seed and its number, to the last bit."""
    first, again = Scene(3, ROOM), Scene(3, ROOM)
    frames = [first.frame(picture(), number) for number in range(3)]
    for number in (2, 0, 1):
        assert np.array_equal(again.frame(picture(), number), frames[number])
    assert not np.array_equal(frames[0], frames[1])
    assert not np.array_equal(Scene(4, ROOM).frame(picture(), 0), frames[0])


def test_an_unknown_distortion_is_refused() -> None:
    """An unknown distortion raises, and is not ignored."""
    with pytest.raises(ValueError, match="blurr"):
        Scene(0, {"blurr": 1.0})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [(80, 0), (560, 0), (560, 480), (80, 480)]),
        ({"scale": -50.0}, [(200, 120), (440, 120), (440, 360), (200, 360)]),
        ({"shift": 10.0}, [(128, 0), (608, 0), (608, 480), (128, 480)]),
        ({"rotation": 90.0}, [(560, 0), (560, 480), (80, 480), (80, 0)]),
    ],
)
def test_a_picture_is_where_its_values_put_it(
    values: dict[str, float], expected: list[tuple[int, int]]
) -> None:
    """Without values the guide is filled; scale, shift and rotation have their stated size."""
    assert np.allclose(_scene.corners(values, 0.0), expected)


def test_a_tilted_picture_has_a_near_and_a_far_side() -> None:
    """Tilted about a horizontal axis, one edge is longer than the guide and one shorter."""
    corners = _scene.corners({"perspective": 20.0}, 0.0)
    top, bottom = corners[1] - corners[0], corners[2] - corners[3]
    assert np.allclose([top[1], bottom[1]], 0)
    assert min(top[0], bottom[0]) < 0.95 * SIDE < 1.05 * SIDE < max(top[0], bottom[0])


def test_in_an_ordinary_room_the_picture_stays_in_the_guide() -> None:
    """With everything at its bound, the picture fills most of the guide and is mostly visible."""
    guide = np.float32([[80, 0], [560, 0], [560, 480], [80, 480]])
    for axis in np.linspace(0, 2 * np.pi, 16):
        for sign in (-1, 1):
            values = {name: sign * bound for name, bound in HELD.items()}
            corners = np.float32(_scene.corners(values, axis))
            shared, _ = cv2.intersectConvexConvex(corners, guide)
            assert shared > 0.7 * SIDE * SIDE
            assert shared > 0.7 * cv2.contourArea(corners)


def test_warm_light_is_the_daylight_of_that_temperature() -> None:
    """The gains are 1 at D65; 40 mired warmer, red rises and blue falls; cooler, the reverse."""
    assert np.allclose(_light.white(0.0), 1)
    blue, green, red = _light.white(40.0)
    assert (blue < 0.85, green, red > 1.1) == (True, 1.0, True)
    blue, green, red = _light.white(-40.0)
    assert (blue > 1.1, green, red < 0.95) == (True, 1.0, True)


def test_a_stop_doubles_the_light() -> None:
    """One stop takes sRGB's 100 to 138; zero stops change nothing."""
    grey = np.full((480, 640, 3), 100, np.uint8)
    assert abs(int(_light.lit(grey, {"exposure": 1.0}, 0.0)[0, 0, 0]) - 138) <= 1
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    shown = cv2.resize(every, (640, 480), interpolation=cv2.INTER_NEAREST)
    same = _light.lit(shown, {"exposure": 0.0}, 0.0)
    assert np.abs(same.astype(int) - shown).max() <= 1


def test_frames_of_the_server_bear_their_numbers() -> None:
    """The number drawn beside the guide is read back from the JPEG."""
    frame = Scene(0, {}).frame(picture(), 0)
    for number in (0, 1, 1234, 4095):
        data = np.frombuffer(_mjpeg.encode(frame, number), np.uint8)
        shown = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert _mjpeg.number(np.ascontiguousarray(shown[..., ::-1])) == number


def test_the_server_shows_its_frames_in_turn() -> None:
    """A client gets the frames from the first one on, each as a part with a JPEG, in a loop."""
    frames = [_mjpeg.encode(Scene(0, {}).frame(picture(), 0), number) for number in range(2)]
    with _mjpeg.serve(frames) as address, urllib.request.urlopen(address) as stream:
        kind = stream.headers["Content-Type"]
        assert kind.startswith("multipart/x-mixed-replace; boundary=")
        for number in (0, 1, 0):
            assert stream.readline().strip() == b"--" + kind.partition("=")[2].encode()
            assert stream.readline().strip() == b"Content-Type: image/jpeg"
            length = int(stream.readline().partition(b":")[2])
            assert stream.readline().strip() == b""
            assert stream.read(length) == frames[number]
            assert stream.readline().strip() == b""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Train two models of digits that differ only in augmentation."""
    made = {}
    data = TrainingData(digits(), torch.device("cpu"))
    for augment in ("none", "camera"):
        config = TrainConfig("", 0.05, 6, 0.9, train_on_all=True, augment=augment)
        made[augment] = tmp_path_factory.mktemp(augment)
        write(made[augment] / WEIGHTS_FILE, *_models.trained(data, config))
    return made


def test_a_video_is_scored_frame_by_frame(trained: dict[str, Path]) -> None:
    """In an undistorted video, each model is as often right as without a camera."""
    models = [from_file(path) for path in trained.values()]
    pictures = Pictures(digits(), models)
    chosen = pictures.some(40)
    classes = digits().test_labels[chosen]
    assert np.bincount(classes).min() >= 3
    plain, filmed = pictures.plain(chosen), pictures.by_video(Scene(0, {}), chosen)
    for without, within in zip(plain, filmed):
        assert (without.frames, within.frames) == (40, 40)
        assert abs(without.right - within.right) <= 2
        assert within.accuracy > 0.8


def test_snapshots_of_a_server_are_scored_by_what_they_show(
    trained: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each snapshot is compared with the digit that it shows."""
    monkeypatch.setattr(_mjpeg, "serve", functools.partial(_mjpeg.serve, fps=50.0))
    pictures = Pictures(digits(), [from_file(trained["camera"])])
    (score,) = pictures.by_http(Scene(0, {}), pictures.some(20))
    assert score.frames == 20
    assert score.right >= 16


def test_a_model_trained_for_cameras_is_better_at_cameras(trained: dict[str, Path]) -> None:
    """It classifies more digits correctly that are held as askew as in an ordinary room."""
    dataset = digits()
    scene = Scene(0, HELD, at_bound=True)
    some = range(0, len(dataset.test_images), 2)
    frames = [scene.frame(dataset.test_images[index], index) for index in some]
    shown = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    truths = [dataset.classes[label] for label in dataset.test_labels[:: some.step]]
    right = {}
    for augment, path in trained.items():
        predictor = from_file(path).predictor
        right[augment] = Score.of(zip(predictor.predict(shown), truths)).accuracy
    assert right["camera"] > 0.8
    assert right["camera"] > right["none"] + 0.02
