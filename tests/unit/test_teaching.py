"""Learning in the background: what is waited for, what a version is, and whether it is enough."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from pathlib import Path
from typing import Any, Iterator
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from support.home import REPOSITORY, until

from hyperhive.coordinator.folder_learning.curve import (
    LearningCurve,
    keep_curve,
    kept_curve,
    measure,
)
from hyperhive.coordinator.folder_learning.pictures import Pictures
from hyperhive.coordinator.folder_learning.versions import START, number_of, version_name
from hyperhive.coordinator.planning.plan import require_name
from hyperhive.inference.teaching.learning import Learning, LearningSettings
from hyperhive.inference.teaching.states import (
    DONE,
    LEARNING,
    WAITING,
    Problem,
    Progress,
    line_of,
    message_of,
)
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.series import picture_name
from hyperhive.model.training import TrainingStopped

LONG_S = 500.0


def take(root: Path, name: str, series: int = 5, each: int = 4) -> None:
    """Write series of a square of the class's own colour, at another place in each series."""
    random = np.random.RandomState(len(name))
    colour = random.randint(0, 256, 3)
    (root / name).mkdir(parents=True, exist_ok=True)
    for which in range(series):
        top, left = random.randint(2, 12, 2)
        for number in range(each):
            picture = random.randint(100, 140, (28, 28, 3)).astype(np.uint8)
            picture[top : top + 14, left : left + 14] = colour
            path = root / name / picture_name(f"20260101-0000{which:02d}-{len(name):04x}", number)
            Image.fromarray(picture).save(path)


@contextlib.contextmanager
def home(folder: Path) -> Iterator[None]:
    """Give the processes that are started meanwhile a home of their own."""
    places = {name: str(folder / name) for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")}
    with mock.patch.dict(os.environ, {**places, "PYTHONPATH": str(REPOSITORY)}):
        yield


def test_what_is_waited_for(tmp_path: Path) -> None:
    """Two classes with twenty pictures; a folder that is not there yet has none."""
    root = tmp_path / "things"
    assert not Pictures.of(root).are_enough
    assert Progress().sentence == "waiting for two classes"
    take(root, "cup", each=4)
    take(root, "ball", each=3)
    pictures = Pictures.of(root)
    assert (pictures.counts, pictures.ready) == ({"ball": 15, "cup": 20}, ["cup"])
    progress = Progress(counts=pictures.counts)
    assert progress.lacking == {"ball": 5}
    assert progress.sentence == "waiting for 5 more pictures of ball"
    take(root, "tower")
    pictures = Pictures.of(root)
    assert pictures.are_enough
    dataset = pictures.read("things", 0)
    assert dataset.classes == ("cup", "tower")
    assert dataset.train_series is not None


def test_messages_arrive_as_they_were() -> None:
    """A line for each, whatever is in it."""
    progress = Progress(LEARNING, {"cup": 20, "Bäll\n": 30}, 2, 6, (0.5, None, 0.75))
    for message in (progress, Problem("no\nserver")):
        line = line_of(message)
        assert line.count("\n") == 1
        assert message_of(line) == message
    assert progress.sentence == "version 2: trial 4 of 6, best accuracy 75.0 %"


def test_a_version_has_a_name_of_its_folder(tmp_path: Path) -> None:
    """Two folders of one name have different ones, and any name of a folder gives a study's."""
    names = [version_name(tmp_path / each / "my things!", 12) for each in "ab"]
    assert names[0] != names[1]
    assert names[0].startswith("teach-my-things-")
    for name in (*names, version_name(tmp_path / ("ü" * 100), 3), version_name(Path("x" * 90), 3)):
        require_name(name)
    assert number_of(names[0]) == 12


@pytest.mark.parametrize(
    ("curve", "ends"),
    [
        (LearningCurve(100, 81, 90, 12), "went from 81 % to 90 %: more will help"),
        (LearningCurve(100, 96, 96, 1), "went from 96 % to 96 %: it is enough"),
        (LearningCurve(12, 12, 12, 0), "100 %, but 12 validation pictures are too few to be sure"),
        (LearningCurve(12, 9, 11, 2), "92 %, but 12 validation pictures are too few to be sure"),
        (LearningCurve(12, 6, 11, 5), "went from 50 % to 92 %: more will help"),
    ],
)
def test_is_it_enough(curve: LearningCurve, ends: str) -> None:
    """A gain that may be chance is not called one, and few pictures do not tell that it is none."""
    assert curve.sentence.endswith(ends)


def test_the_curve_is_measured_on_the_same_pictures(tmp_path: Path) -> None:
    """Half is whole series of the training pictures; a training can be stopped.

    What is kept of other pictures, under the same name on another server, is not this curve.
    """
    for name in ("cup", "tower"):
        take(tmp_path, name)
    dataset = Pictures.of(tmp_path).read("things", 0)
    config = TrainConfig.from_json({**START, "dataset": "", "epochs": 4, "batch_size": 16})
    curve = measure(dataset, config.to_json(), lambda: False)
    assert curve.count == len(dataset.validation_split(0.2, 0)[1])
    assert 0 <= curve.half <= curve.count
    assert curve.lost >= 0
    version = tmp_path / "models" / "teach-1"
    assert kept_curve(version, dataset) is None
    keep_curve(curve, version, dataset)
    assert kept_curve(version, dataset) == curve
    assert kept_curve(version, dataclasses.replace(dataset, classes=("cup", "mug"))) is None
    with pytest.raises(TrainingStopped):
        measure(dataset, config.to_json(), lambda: True)


class Seen:
    """Learning of a folder, and what they have said."""

    def __init__(self, root: Path, models: Path, **settings: Any) -> None:
        self.said: list[str] = []
        given = LearningSettings(root, trials=2, models=models, **settings)
        self.learning = Learning(given, self.said.append, self.said.append)

    def learned(self, version: int) -> bool:
        """Return whether a version is learned, and its curve measured."""
        progress = self.learning.progress
        return (progress.phase, progress.version) == (DONE, version) and progress.enough is not None


@pytest.mark.long
@pytest.mark.timeout(3 * LONG_S)
def test_a_folder_is_learned_version_by_version(tmp_path: Path) -> None:
    """A third class makes the second version; what is learned is not learned again."""
    root = tmp_path / "things"
    take(root, "cup")
    with home(tmp_path):
        seen = Seen(root, tmp_path / "models")
        learning = seen.learning
        with learning:
            until(lambda: learning.progress.lacking == {} and learning.progress.counts, "counts")
            assert learning.progress.phase == WAITING
            take(root, "tower")
            until(lambda: seen.learned(1), f"the first version: {seen.said}", LONG_S)
            predictor = learning.predictor
            assert predictor is not None
            assert predictor.card.classes == ["cup", "tower"]
            take(root, "saucer")
            until(lambda: seen.learned(2), f"the second version: {seen.said}", LONG_S)
            assert learning.predictor is predictor
            assert predictor.card.classes == ["cup", "saucer", "tower"]
        with Seen(root, tmp_path / "models").learning as again:
            until(lambda: again.progress.enough is not None, "what was learned", LONG_S)
            assert again.predictor is not None
            assert again.predictor.card == predictor.card


def test_what_cannot_be_mended_is_told_once(tmp_path: Path) -> None:
    """An address that is none ends it with the sentence; it is not tried again."""
    seen = Seen(tmp_path / "things", tmp_path / "models", mongo="mongodb:/nowhere")
    with home(tmp_path), seen.learning as learning:
        until(lambda: learning.progress.problem, "the problem")
    assert learning.progress.sentence == learning.progress.problem
    assert "mongodb" in learning.progress.sentence
    assert seen.said == []
    assert json.loads(line_of(learning.progress))["phase"] == "failed"
