"""``hyperhive.search`` of an objective by its name, above all of LeNet-5 on images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.fleet import PLUGIN
from support.thread_workers import deliver, working

import hyperhive
from hyperhive.common.errors import CheckpointError, HyperhiveError
from hyperhive.coordinator.api.naming import fresh_name
from hyperhive.coordinator.api.plans import plan_of
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.spaces.named import ROBUST
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.store.errors import NotFound
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of two classes, dark and bright, with 30 images each."""
    folder = tmp_path / "my pictures"
    random = np.random.default_rng(0)
    for name, level in (("dark", 0), ("bright", 155)):
        (folder / name).mkdir(parents=True)
        for number in range(30):
            pixels = random.integers(level, level + 100, (28, 28, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def train(store: Store, trial: Trial) -> None:
    """Deliver as a worker does: weights that nothing was trained for, and an epoch's numbers."""
    epoch = {"number": 1, "train_loss": 0.5, "validation_accuracy": 0.75, "seconds": 0.1}
    weights = pack_weights(LeNet5(3, 2))
    deliver(store, trial, weights, diverged=False, history=[epoch])


def test_a_search_on_images_ends_with_a_model(
    store: Store,
    mongo_uri: str,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The study has its images, and the model is a file that classifies them."""
    monkeypatch.chdir(tmp_path)
    space = {"learning_rate": {"distribution": "uniform", "low": 0.02, "high": 0.05}}
    space = {**space, "epochs": 1, "momentum": 0.9, "batch_size": 8}
    how: Any = {"data": pictures, "store": mongo_uri, "workers": 0, "validation": 0.25}
    with working(mongo_uri, train), hyperhive.search("lenet5", space, 2, **how) as study:
        assert "data set my pictures: 2 classes, 60 images in colour" in capsys.readouterr().out
        assert study.name.startswith("my-pictures-2")
        best = study.best
        assert best is not None
        assert best.config["batch_size"] == 8
        assert best.config["validation_fraction"] == 0.25
        assert set(best.metrics) == {"loss", "train_loss", "validation_accuracy"}
        assert "history" not in repr(best)
        assert study.dataset is not None
        images, written = list(study.dataset.test_images), Path("models", study.name)
        assert (written / "report.png").exists()
        assert study.save_model("copy") == Path("copy")
        model, copy = (hyperhive.load_model(each).predict(images) for each in (written, "copy"))
        assert model == copy
        assert {each.top[0][0] for each in model} <= set(study.dataset.classes)


def test_an_objective_of_a_package_is_searched_by_its_name(
    store: Store, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers of this machine have it, as it is installed here."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    space = {"hidden": {"choices": [16, 64]}}
    with hyperhive.search("mine", space, 2, store=mongo_uri, workers=1) as study:
        assert [trial.state for trial in study.trials] == ["done", "done"]
        assert {name for trial in study.trials for name in trial.config} == {"hidden"}


def test_a_study_without_images_has_no_model(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """Each says so in its own way."""
    space = {"x": {"distribution": "uniform", "low": 0, "high": 1}}
    with hyperhive.open_study("s", space, store=mongo_uri) as study:
        assert study.dataset is None
        with pytest.raises(NotFound, match="no model"):
            study.save_model(tmp_path)
    with pytest.raises(CheckpointError, match="there is no "):
        hyperhive.load_model(tmp_path)


def test_what_a_study_of_images_can_be_told() -> None:
    """A data set by its name, or a path; LeNet-5's spaces by theirs. A seed also splits."""
    digits = plan_of("s", "lenet5", None, data="digits", seed=3)
    assert digits == Plan("s", DatasetRequest("digits", seed=3), trials=50, seed=3)
    robust = plan_of("s", "lenet5", "robust", data=Path("digits"))
    assert robust.data == DatasetRequest("folder", Path("digits"))
    assert (robust.space, robust.augment) == (ROBUST, "camera")
    home = plan_of("s", "lenet5", None, data="~/pets.zip").data
    assert home is not None
    assert home.data == Path.home() / "pets.zip"
    assert fresh_name("lenet5", "a/pets.zip").startswith("pets-2")
    assert fresh_name("lenet5", "digits").startswith("digits-2")


def test_what_is_missing_is_named(store: Store, mongo_uri: str) -> None:
    """And no study is made."""
    refused: Any = hyperhive.search
    for train, how, words in [
        ("lenet5", {}, 'which images? Objective lenet5 needs data="digits"'),
        ("lenet-5", {}, "this machine has no objective lenet-5: it has lenet5"),
        ("lenet5", {"data": "no-such-folder"}, "no-such-folder"),
        (lambda config: 0, {}, "objective python:train needs a search space"),
    ]:
        with pytest.raises(HyperhiveError, match=words.replace("?", r"\?")):
            refused(train, store=mongo_uri, **how)
    assert store.studies.all() == []
