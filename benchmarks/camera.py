"""How many pictures a model still names rightly once a camera has seen them.

    python benchmarks/camera.py [--http] [--model models/mine --model models/other]

Test images are enlarged, held into the guide of a 640x480 frame before varied backgrounds, and
distorted as cameras and rooms do (``_scene.py``): each distortion alone at three strengths, and all
of them together at the strength of an ordinary room. The frames become a video file (motion JPEG)
that predict-cam's own source reads and labels; with ``--http`` two of the series are shown by a
server on this machine too. Counted is the likeliest class, whatever else is called unknown.

Prints tables in Markdown, those of docs/camera.md. All series of a table show the same images.
Without --model it first trains the two that are compared there, ``_models.py``.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Sequence

# torch before cv2: on a Jetson there is too little static TLS left for it afterwards.

# isort: split
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import _mjpeg, _models
from benchmarks._backgrounds import HEIGHT, WIDTH
from benchmarks._common import simpsons_option
from benchmarks._scene import KINDS, ROOM, Scene
from hyperhive.inference.labelling import Result, label
from hyperhive.inference.models.file import Chosen, from_file
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.settings import Sampling
from hyperhive.inference.sources.resolve import resolve
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import Request, load

_RATE = 25.0


@dataclass(frozen=True)
class Score:
    """Of ``frames`` frames ``right`` had their own class as the likeliest.

    ``unknown`` were called that, whatever was likeliest.
    """

    frames: int
    right: int
    unknown: int

    @property
    def accuracy(self) -> float:
        """The share of frames that were named rightly."""
        return self.right / self.frames

    @classmethod
    def of(cls, answers: Iterable[tuple[Prediction, str]]) -> Score:
        """Count predictions, each with the class that its frame shows."""
        counted = [(each.top[0][0] == truth, not each.known) for each, truth in answers]
        right, unknown = zip(*counted)
        return cls(len(counted), sum(right), sum(unknown))


class Pictures:
    """Test images of which some become frames.

    Args:
        dataset: whose test split it is.
        models: what to label the frames with.
        seed: of the scenes.
    """

    def __init__(self, dataset: Dataset, models: Sequence[Chosen], seed: int) -> None:
        self._dataset = dataset
        self._models = models
        self._seed = seed

    def some(self, count: int) -> np.ndarray:
        """Return the indices of that many images, evenly over the split, thus over the classes."""
        total = len(self._dataset.test_images)
        by_class = np.argsort(self._dataset.test_labels, kind="stable")
        return by_class[np.linspace(0, total, min(count, total), endpoint=False).astype(int)]

    def plain(self, chosen: np.ndarray) -> list[Score]:
        """Return each model's score on the images themselves."""
        images = self._dataset.test_images[chosen]
        colour = np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images
        truths = self._truths(chosen)
        return [
            Score.of(zip(model.predictor.predict(list(colour)), truths)) for model in self._models
        ]

    def by_video(self, scene: Scene, chosen: np.ndarray) -> list[Score]:
        """Return each model's score on a video of these images, each shown for a frame."""
        truths = self._truths(chosen)
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "scene.avi"
            self._film(scene, chosen, video)
            return [
                Score.of((each.prediction, truths[each.frame.index]) for each in results)
                for results in self._labelled(str(video), Sampling(all_frames=True))
            ]

    def by_http(self, scene: Scene, chosen: np.ndarray) -> list[Score]:
        """Return each model's score on snapshots of a server that shows these images in turn."""
        truths = self._truths(chosen)
        frames = [_mjpeg.encode(self._frame(scene, index), n) for n, index in enumerate(chosen)]
        with _mjpeg.serve(frames) as address:
            return [
                Score.of(
                    (each.prediction, truths[_mjpeg.number(each.frame.image)]) for each in results
                )
                for results in self._labelled(address, Sampling(len(chosen), 0.0, 0.0))
            ]

    def _labelled(self, source: str, sampling: Sampling) -> Iterable[Iterable[Result]]:
        stop = threading.Event()
        for model in self._models:
            frames = resolve([source], sampling, Path("predictions"), lambda said: None)
            yield label(frames, model.predictor, stop, _fail)

    def _film(self, scene: Scene, chosen: np.ndarray, path: Path) -> None:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), _RATE, (WIDTH, HEIGHT))
        if not writer.isOpened():
            raise SystemExit("this OpenCV cannot write a motion JPEG video")
        for index in chosen:
            writer.write(self._frame(scene, index))
        writer.release()

    def _frame(self, scene: Scene, index: int) -> np.ndarray:
        return scene.frame(self._dataset.test_images[index], int(index))

    def _truths(self, chosen: np.ndarray) -> list[str]:
        return [self._dataset.classes[label] for label in self._dataset.test_labels[chosen]]


def _fail(sentence: str) -> None:
    raise SystemExit(sentence)


def main() -> None:
    """Measure and print."""
    parser = simpsons_option("accuracy on what a camera makes of test images")
    parser.add_argument("--dataset", default="simpsons", help="another one that hyperhive knows")
    parser.add_argument("--model", type=Path, action="append", help="may be given several times")
    parser.add_argument("--images", type=int, default=500, help="in the series of one distortion")
    parser.add_argument("--all", type=int, default=2000, help="in the others")
    parser.add_argument("--http", action="store_true", help="show two series over HTTP too")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = options.data if options.dataset.startswith("simpsons") else None
    dataset = load(Request(options.dataset, data), lambda done, total: None).dataset
    with tempfile.TemporaryDirectory() as folder:
        paths = options.model or [
            _models.make(dataset, config, Path(folder) / name)
            for name, config in _models.CONFIGS.items()
        ]
        models = [from_file(path) for path in paths]
    pictures = Pictures(dataset, models, options.seed)
    names = [path.name for path in paths]
    _whole(pictures, names, options.all, options.seed)
    if options.http:
        _over_http(pictures, names, options.images, options.seed)
    _by_kind(pictures, names, options.images, options.seed)


def _whole(pictures: Pictures, names: list[str], count: int, seed: int) -> None:
    """Print the test split beside what a camera makes of it, undistorted and in a room."""
    chosen = pictures.some(count)
    scenes = {
        "undistorted": Scene(seed, {}),
        "**ordinary room**, all at once": Scene(seed, ROOM),
        "the same, each at its bound": Scene(seed, ROOM, at_bound=True),
    }
    _row(f"{len(chosen):,} test images", _paired(names, ["unknown"] * len(names)))
    _row("---", ["---:"] * (2 * len(names)))
    plain = pictures.plain(chosen)
    _row("as they are, no camera", _paired(_shares(plain), _unknown(plain)))
    for title, scene in scenes.items():
        scores = pictures.by_video(scene, chosen)
        _row(title, _paired(_shares(scores), _unknown(scores)))
    print()


def _over_http(pictures: Pictures, names: list[str], count: int, seed: int) -> None:
    """Print what becomes of the same frames as a video and as snapshots of a server."""
    chosen = pictures.some(count)
    _row(f"{len(chosen):,} test images", names)
    _row("---", ["---:"] * len(names))
    for title, strengths in (("undistorted", {}), ("**ordinary room**", ROOM)):
        scene = Scene(seed, strengths)
        _row(title + ", video", _shares(pictures.by_video(scene, chosen)))
        _row(title + ", MJPEG over HTTP", _shares(pictures.by_http(scene, chosen)))
    print()


def _by_kind(pictures: Pictures, names: list[str], count: int, seed: int) -> None:
    """Print what each distortion does alone at its three strengths."""
    chosen = pictures.some(count)
    _row(f"{len(chosen):,} test images", ["mild, **room**, strong", *names])
    _row("---", ["---", *["---:"] * len(names)])
    _row("undistorted", ["", *_shares(pictures.by_video(Scene(seed, {}), chosen))])
    for name, kind in KINDS.items():
        scenes = [Scene(seed, {name: strength}) for strength in kind.strengths]
        by_strength = [_shares(pictures.by_video(scene, chosen)) for scene in scenes]
        mild, room, strong = (str(strength) for strength in kind.strengths)
        shown = kind.unit.format(f"{mild}, **{room}**, {strong}")
        _row(kind.title, [shown, *("{} · **{}** · {}".format(*each) for each in zip(*by_strength))])


def _shares(scores: Sequence[Score]) -> list[str]:
    return [f"{100 * score.accuracy:.1f}" for score in scores]


def _unknown(scores: Sequence[Score]) -> list[str]:
    return [f"{100 * score.unknown / score.frames:.1f}" for score in scores]


def _paired(one: Sequence[str], other: Sequence[str]) -> list[str]:
    return [cell for pair in zip(one, other) for cell in pair]


def _row(head: str, cells: Sequence[str]) -> None:
    print("| {} | {} |".format(head, " | ".join(cells)), flush=True)


if __name__ == "__main__":
    main()
