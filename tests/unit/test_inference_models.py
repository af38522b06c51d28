"""The engines of ``predict-cam``, and where a study's model comes from."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from PIL import Image
from support.home import until
from support.lenets import drawn

from hyperhive.common.errors import CheckpointError, NoModel, UsageError
from hyperhive.inference.cli import app
from hyperhive.inference.models.cache import ModelCache
from hyperhive.inference.models.file import from_file, locate, predictor_of
from hyperhive.inference.models.study import from_study
from hyperhive.inference.models.watcher import Watcher
from hyperhive.model.calibration import PLAIN, Calibration
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.model.engines import export
from hyperhive.store.errors import LoginRefused, NotFound, StoreUnavailable
from hyperhive.store.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]
# Read here: the tests' home hides the user's own settings from what they run.
DEVICE_PYTHON = os.environ.get("HYPERHIVE_DEVICE_PYTHON")
PATIENCE_S = float(os.environ.get("HYPERHIVE_DEVICE_PATIENCE", "120"))  # an emulator is slow
AWAY = "mongodb://user:secret@127.0.0.1:1/hyperhive"


def made(seed: int = 0, **changes: Any) -> tuple[bytes, Card]:
    """Return weights drawn at random, and their card."""
    return drawn(seed=seed, **{"study": "s", "trial": seed, **changes})


def arguments_of(model: tuple[bytes, Card]) -> tuple[bytes, str, Card, str, str]:
    """Return what ``predictor_of`` takes for a model."""
    packed, card = model
    return packed, SAFETENSORS, card, "cpu", "test"


def pictures(n: int = 50) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (n, 40, 40, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a model in all its forms."""
    pytest.importorskip("onnx")
    pytest.importorskip("cv2")
    directory = tmp_path_factory.mktemp("forms")
    packed, card = made()
    for suffix in (".safetensors", ".onnx", ".pt"):
        seen = np.random.RandomState(1).randint(0, 256, (20, 28, 28, 3)).astype(np.uint8)
        export.export(directory / ("model" + suffix), packed, card, seen)
    return directory


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(pictures(5)):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Path:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (40, 40))
    for image in pictures(5):
        writer.write(image)
    writer.release()
    return path


def run_python(code: str, python: str = sys.executable) -> str:
    """Run code in its own Python process; return what it prints."""
    done = subprocess.run(
        [python, "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def labels(output: Path) -> list[tuple[str, float]]:
    lines = [json.loads(line) for line in (output / "predictions.jsonl").read_text().splitlines()]
    return [(line["label"], pytest.approx(line["probability"], abs=1e-5)) for line in lines]


# -- engines -------------------------------------------------------------------------------------


def test_with_opencv_no_torch_is_needed(forms: Path, images: Path, video: Path) -> None:
    """Without PyTorch and safetensors, an image and a video get the labels that PyTorch gives them.

    This holds for the path of model.onnx, and for a directory that has other forms too.
    """
    code = (
        "import sys; sys.modules['torch'] = sys.modules['safetensors'] = None\n"
        "from hyperhive.inference.cli import app\n"
        "def label(*arguments): app([*arguments, '-q'], standalone_mode=False)\n"
        "label({images!r}, '--model', {model!r}, '--output', 'opencv-images')\n"
        "label({video!r}, '--all-frames', '--model', {directory!r}, '--output', 'opencv-video')\n"
    )
    model, directory = str(forms / "model.onnx"), str(forms)
    run_python(code.format(images=str(images), video=str(video), model=model, directory=directory))
    weights = ["--model", str(forms / "model.safetensors"), "-q", "--output"]
    app([str(images), *weights, "torch-images"], standalone_mode=False)
    app([str(video), "--all-frames", *weights, "torch-video"], standalone_mode=False)
    for source in ("images", "video"):
        found = labels(Path("opencv-" + source))
        assert len(found) == 5
        assert found == labels(Path("torch-" + source))


def test_the_command_needs_neither_torch_nor_the_coordinators_libraries(
    forms: Path, images: Path
) -> None:
    """``predict-cam --model x.onnx --source folder`` runs where only a device's libraries are.

    What it writes is what it writes with all of them.
    """
    model = str(forms / "model.onnx")
    blocked = ("hyperopt", "scipy", "torch", "torchvision", "networkx", "sklearn", "matplotlib")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "from hyperhive import cli\n"
        f"sys.argv[1:] = ['--model', {model!r}, '--source', {str(images)!r}]\n"
        "cli.predict_cam()\n"
    )
    printed = run_python(code)
    assert "written: predictions/contact_sheet.png" in printed
    app([str(images), "--model", model, "-q", "--output", "direct"], standalone_mode=False)
    assert labels(Path("predictions")) == labels(Path("direct"))


@pytest.mark.long
def test_torch_comes_before_opencv(forms: Path, video: Path) -> None:
    """If PyTorch computes, it is imported before OpenCV: on a Jetson the other order fails."""
    code = (
        "import sys; from hyperhive.inference.cli import app\n"
        "app([{!r}, '--model', {!r}, '-q'], standalone_mode=False)\n"
        "loaded = list(sys.modules); print(loaded.index('torch') < loaded.index('cv2'))\n"
    )
    assert run_python(code.format(str(video), str(forms))) == "True\n"


@pytest.mark.skipif(DEVICE_PYTHON is None, reason="HYPERHIVE_DEVICE_PYTHON names no interpreter")
def test_an_old_torch_runs_what_this_one_exported(forms: Path, images: Path) -> None:
    """An old device's PyTorch gives the labels that this PyTorch gives, from both its forms."""
    code = (
        "from hyperhive.inference.cli import app\n"
        "app([{!r}, '--model', {!r}, '--output', {!r}, '-q'], standalone_mode=False)\n"
    )
    app([str(images), "--model", str(forms), "-q", "--output", "here"], standalone_mode=False)
    for form in ("model.pt", "model.safetensors"):
        run_python(code.format(str(images), str(forms / form), form), str(DEVICE_PYTHON))
        assert labels(Path(form)) == labels(Path("here"))


def test_the_engine_goes_by_the_suffix(forms: Path, tmp_path: Path) -> None:
    """Each engine takes its own form from a directory; a file for the other engine is refused."""
    assert locate(forms) == locate(forms, "torch") == forms / "model.safetensors"
    assert locate(forms, "opencv") == locate(forms / "model.onnx") == forms / "model.onnx"
    assert locate(forms / "model.pt", "torch") == forms / "model.pt"
    with pytest.raises(UsageError, match=r"--engine opencv runs \.onnx files, not .*safetensors"):
        locate(forms / "model.safetensors", "opencv")
    with pytest.raises(UsageError, match=r"--engine torch runs \.safetensors files, not .*onnx"):
        locate(forms / "model.onnx", "torch")
    with pytest.raises(UsageError, match=r"model\.json is not a model: its name must end in"):
        locate(forms / "model.json")
    with pytest.raises(UsageError, match="unknown engine 'tensorrt'"):
        locate(forms, "tensorrt")
    with pytest.raises(UsageError, match="--engine opencv computes on the CPU"):
        from_file(forms / "model.onnx", "cuda")
    with pytest.raises(CheckpointError, match=r"there is no .*model\.onnx"):
        locate(forms.parent, "opencv")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.safetensors").touch()
    command = r"hyperhive best --model .*model\.safetensors --export .*m/model\.onnx"
    with pytest.raises(CheckpointError, match=r"there is no .*model\.onnx, .*" + command):
        locate(tmp_path / "m", "opencv")
    with pytest.raises(UsageError, match=command):
        locate(tmp_path / "m" / "model.safetensors", "opencv")
    with pytest.raises(NoModel):
        locate(None)


def test_a_study_cannot_be_computed_by_opencv() -> None:
    """The store has no ONNX; the sentence says how to export one."""
    with pytest.raises(UsageError, match="hyperhive best STUDY --export"):
        app(["x.png", "--study", "s", "--engine", "opencv"], standalone_mode=False)
    with pytest.raises(UsageError, match="--watch needs --study"):
        app(["x.png", "--watch"], standalone_mode=False)


# -- a study's model -----------------------------------------------------------------------------


class Sentences:
    """Collects sentences, from any thread."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, sentence: str) -> None:
        """Collect one."""
        self.lines.append(sentence)


def offer(store: Store, packed: bytes, card: Card, is_final: bool = False) -> None:
    """Make this the model of study s: the best so far, or the final one."""
    ref = store.blobs.put(packed, "weights").as_document()
    store.studies.open("s", {})
    put = store.studies.conclude if is_final else store.studies.offer
    put("s", {"card": card.to_json(), "weights": ref})


def hash_of(uri: str, warn: Sentences) -> str:
    """Return the hash of the model that predict-cam would use for study s."""
    with from_study("s", uri, "cpu", False, Sentences(), warn) as chosen:
        return chosen.predictor.card.weights_sha256


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hyperhive" / "models"


def test_a_running_studys_best_labels(store: Store, mongo_uri: str, cache: Path) -> None:
    """Before a study ends the model is the best trial's so far, afterwards the final one."""
    first, last = made(1, validation_accuracy=0.5), made(2, validation_accuracy=0.4)
    offer(store, *first)
    assert hash_of(mongo_uri, Sentences()) == first[1].weights_sha256
    offer(store, *last, is_final=True)
    assert hash_of(mongo_uri, Sentences()) == last[1].weights_sha256


def test_a_model_is_downloaded_once(store: Store, mongo_uri: str, cache: Path) -> None:
    """A copy on this device is not downloaded again, unless it is damaged or outdated."""
    packed, card = made(1)
    offer(store, packed, card)
    assert hash_of(mongo_uri, Sentences()) == card.weights_sha256
    store.database["fs.chunks"].delete_many({})  # what would be fetched is not there any more
    assert hash_of(mongo_uri, Sentences()) == card.weights_sha256
    offer(store, packed, card)
    (kept,) = cache.glob("*/model.safetensors")
    kept.write_bytes(b"damaged")
    assert hash_of(mongo_uri, Sentences()) == card.weights_sha256
    assert kept.read_bytes() == packed
    newer = made(2)
    offer(store, *newer)
    assert hash_of(mongo_uri, Sentences()) == newer[1].weights_sha256
    assert kept.read_bytes() == newer[0]


def test_the_card_is_the_stores(store: Store, mongo_uri: str, cache: Path) -> None:
    """A changed card, as from a study's final test, is taken without a download."""
    packed, card = made(1)
    offer(store, packed, card)
    hash_of(mongo_uri, Sentences())
    offer(store, packed, dataclasses.replace(card, test_accuracy=0.75), is_final=True)
    hash_of(mongo_uri, Sentences())
    (kept,) = cache.glob("*/model.json")
    assert json.loads(kept.read_text())["test_accuracy"] == 0.75


def test_without_its_store_a_study_labels_by_the_copy(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is unavailable the copy is used, and a warning names its date and hash.

    A study without a copy is refused.
    """
    monkeypatch.setattr("hyperhive.store.server.client.SERVER_SELECTION_TIMEOUT_S", 0.2)
    with pytest.raises(StoreUnavailable):
        hash_of(AWAY, Sentences())
    packed, card = made(1)
    ModelCache("s", "127.0.0.1:1/hyperhive", Sentences()).keep(packed, card)
    warned = Sentences()
    assert hash_of(AWAY, warned) == card.weights_sha256
    (sentence,) = warned.lines
    assert "this device's copy of the study's model, made on 20" in sentence
    assert card.weights_sha256[:12] in sentence
    assert "secret" not in sentence


def test_a_refusal_is_no_absence(store: Store, mongo_uri: str, cache: Path) -> None:
    """A refused login, and a deleted study, do not get the copy."""
    offer(store, *made(1))
    hash_of(mongo_uri, Sentences())
    hosts = mongo_uri.rpartition("@")[2]
    with pytest.raises(LoginRefused):
        hash_of("mongodb://nobody:wrong@" + hosts, Sentences())
    store.studies.delete("s")
    with pytest.raises(NotFound):
        hash_of(mongo_uri, Sentences())


def test_a_cache_that_cannot_be_written(store: Store, mongo_uri: str, cache: Path) -> None:
    """A cache that cannot be written costs the copy and one warning, not the labels."""
    offer(store, *made(1))
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    warned = Sentences()
    assert hash_of(mongo_uri, warned) == made(1)[1].weights_sha256
    assert warned.lines[0].startswith("the model cannot be kept in ")


# -- watching ------------------------------------------------------------------------------------


class Watched:
    """A predictor with a watcher that polls every few milliseconds."""

    def __init__(self, uri: str, packed: bytes, card: Card) -> None:
        self.announced, self.warned = Sentences(), Sentences()
        self.predictor = predictor_of(packed, SAFETENSORS, card, "cpu", "test")
        cache = ModelCache("s", "test", self.warned)
        self.watcher = Watcher(
            "s", uri, cache, self.predictor, "cpu", self.announced, self.warned, poll=0.01
        )

    def is_now(self, card: Card) -> Callable[[], bool]:
        """Return a function that tells whether the predictor has become this card's model."""
        return lambda: self.predictor.card.weights_sha256 == card.weights_sha256


def test_better_models_are_taken_while_it_labels(store: Store, mongo_uri: str, cache: Path) -> None:
    """A better trial's model takes over between two pictures; a worse one's does not.

    Every answer comes from one model only. The study's final model is taken whatever its validation
    accuracy is.
    """
    first = made(1, validation_accuracy=0.5)
    better = made(2, validation_accuracy=0.6)
    worse = made(3, validation_accuracy=0.55)
    final = made(4, validation_accuracy=0.6)
    some = list(pictures(4))
    direct = {
        card.trial: predictor_of(packed, SAFETENSORS, card, "cpu", "test").predict(some)
        for packed, card in (first, better, worse, final)
    }
    offer(store, *first)
    watched = Watched(mongo_uri, *first)
    answers = []

    def labels_until(holds: Callable[[], bool]) -> bool:
        answers.append(watched.predictor.predict(some))
        return holds()

    with watched.watcher:
        offer(store, *better)
        until(lambda: labels_until(watched.is_now(better[1])), "the better model")
        offer(store, *worse)
        watched.watcher._ask(store)  # whether its own thread has asked by now or not
        assert watched.is_now(better[1])()
        offer(store, *final, is_final=True)
        until(lambda: labels_until(watched.is_now(final[1])), "the final model")
        # The model takes over before the sentence about it is printed.
        until(lambda: len(watched.announced.lines) == 2, "the sentence about the final model")
    answers.append(watched.predictor.predict(some))
    assert all(answer in direct.values() for answer in answers)
    assert answers[-1] == direct[4]
    assert watched.announced.lines == [
        "trial 2 takes over: its validation accuracy is 60.0 % instead of 50.0 %",
        "trial 4 takes over: its validation accuracy is 60.0 % instead of 60.0 %",
    ]
    assert watched.warned.lines == []


def test_an_answer_is_wholly_of_one_model() -> None:
    """If the model changes during a computation, the old model's classes and thresholds decide."""
    sure = Calibration(min_confidence=0.99)
    before = predictor_of(*arguments_of(made(1, calibration=sure)))
    after = predictor_of(*arguments_of(made(2, classes=["other"] * 10, calibration=PLAIN)))
    some = list(pictures(4))
    expected = predictor_of(*arguments_of(made(1, calibration=sure))).predict(some)

    class Engine:
        """The first model's engine; the second model takes over while it computes."""

        name = "torch"

        def __init__(self, engine: Any) -> None:
            self._engine = engine

        def run(self, seen: np.ndarray) -> np.ndarray:
            """See ``Engine.run``."""
            before.become(after)
            logits: np.ndarray = self._engine.run(seen)
            return logits

    before._model = dataclasses.replace(before._model, engine=Engine(before._model.engine))
    assert before.predict(some) == expected
    assert {each.label for each in expected} == {"unknown"}
    assert before.predict(some) == after.predict(some)


def test_a_model_that_cannot_be_trusted_is_not_taken(
    store: Store, mongo_uri: str, cache: Path
) -> None:
    """Wrong or damaged weights, other classes and no card give one warning each.

    The next good model is taken.
    """
    first = made(1, validation_accuracy=0.5)
    better = made(3, validation_accuracy=0.7)
    offer(store, *first)
    watched = Watched(mongo_uri, *first)
    others = [f"other {number}" for number in range(10)]
    with watched.watcher:
        for spoilt, why in (
            (
                (first[0], made(2, validation_accuracy=0.6)[1]),
                "the weights are not those of the card",
            ),
            ((better[0], dataclasses.replace(better[1], classes=others)), "it has other classes"),
        ):
            watched.warned.lines.clear()
            offer(store, *spoilt)
            until(lambda: watched.warned.lines, "a complaint")
            assert why in watched.warned.lines[0]
        watched.warned.lines.clear()
        ref = store.blobs.put(b"", "weights").as_document()
        store.studies.offer("s", {"card": {"no": "card"}, "weights": ref})
        until(lambda: watched.warned.lines, "a complaint")
        assert "the model's card has missing or unknown fields" in watched.warned.lines[0]
        assert watched.is_now(first[1])()
        watched.warned.lines.clear()
        damaged = made(5, validation_accuracy=0.8)
        ref = store.blobs.put(damaged[0], "weights").as_document()
        chunks = {"files_id": ref["file_id"]}
        store.database["fs.chunks"].update_one(chunks, {"$set": {"data": b"damaged"}})
        store.studies.offer("s", {"card": damaged[1].to_json(), "weights": ref})
        until(lambda: watched.warned.lines, "a complaint")
        assert "a newer model was refused" in watched.warned.lines[0]
        final = made(4, validation_accuracy=0.7)
        offer(store, *final)
        until(watched.is_now(final[1]), "the next model")
    assert len(watched.warned.lines) == 1


def test_a_store_that_goes_away_ends_no_labelling(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store does not answer, labels come as before, and there is one warning."""
    monkeypatch.setattr("hyperhive.inference.models.watcher._TIMEOUT_S", 0.2)
    packed, card = made(1)
    watched = Watched(AWAY, packed, card)
    with watched.watcher:
        until(lambda: watched.warned.lines, "a word on the store")
        for _ in range(3):
            assert len(watched.predictor.predict(list(pictures(2)))) == 2
    assert len(watched.warned.lines) == 1
    assert watched.warned.lines[0].endswith("labelling goes on, and the store is asked again")


def test_a_study_that_is_deleted_is_watched_no_more(
    store: Store, mongo_uri: str, cache: Path
) -> None:
    """If the study is deleted, the watcher says so and ends; the present model stays."""
    watched = Watched(mongo_uri, *made(1))
    with watched.watcher:
        until(lambda: watched.warned.lines, "a word on the study")
    assert "there is no study 's'" in watched.warned.lines[0]
    assert watched.warned.lines[0].endswith("labelling goes on with the present model")
