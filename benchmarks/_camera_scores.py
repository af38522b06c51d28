"""Scores of models on what a camera makes of test images, through predict-cam's own sources."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Sequence

# torch before cv2: on a Jetson there is too little static TLS left for it afterwards.
import torch  # noqa: F401

# isort: split
import cv2
import numpy as np

from benchmarks import _mjpeg
from benchmarks._backgrounds import HEIGHT, WIDTH
from benchmarks._scene import Scene
from hyperhive.inference.labelling import Result, label
from hyperhive.inference.models.file import Chosen
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.settings import Sampling
from hyperhive.inference.sources.resolve import resolve
from hyperhive.model.data.dataset import Dataset

_FPS = 25.0


@dataclass(frozen=True)
class Score:
    """How many of ``frames`` frames are classified correctly, and how many are ``unknown``.

    A frame is ``right`` if its own class is the likeliest, even where the answer is ``unknown``.
    """

    frames: int
    right: int
    unknown: int

    @property
    def accuracy(self) -> float:
        """The share of frames that are classified correctly."""
        return self.right / self.frames

    @classmethod
    def of(cls, answers: Iterable[tuple[Prediction, str]]) -> Score:
        """Count predictions, each with the class that its frame shows."""
        counted = [(each.top[0][0] == truth, not each.known) for each, truth in answers]
        right, unknown = zip(*counted)
        return cls(len(counted), sum(right), sum(unknown))


class Pictures:
    """Test images that are shown to models as they are, as a video, or by a server.

    Args:
        dataset: its test split is used.
        models: classify the images.
    """

    def __init__(self, dataset: Dataset, models: Sequence[Chosen]) -> None:
        self._dataset = dataset
        self._models = models

    def some(self, count: int) -> np.ndarray:
        """Return the indices of this many test images, evenly from all classes."""
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
        """Return each model's score on a video with one frame of each image."""
        truths = self._truths(chosen)
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "scene.avi"
            self._write_video(scene, chosen, video)
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
            frames = resolve([source], sampling, Path("predictions"), lambda sentence: None)
            yield label(frames, model.predictor, stop, _fail)

    def _write_video(self, scene: Scene, chosen: np.ndarray, path: Path) -> None:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), _FPS, (WIDTH, HEIGHT))
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
