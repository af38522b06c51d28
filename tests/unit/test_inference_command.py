"""``predict-cam`` classifies images and videos as its model does, and fails in one sentence."""

from __future__ import annotations

import collections
import csv
import dataclasses
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from PIL import Image
from support.home import call
from support.lenets import load_model, save_model, trained

from hyperhive import cli
from hyperhive.common.errors import CheckpointError, DeviceError, NoModel, SourceError, UsageError
from hyperhive.coordinator.evaluation import calibrate, judge
from hyperhive.inference.cli import app
from hyperhive.inference.models.file import from_file
from hyperhive.inference.predictor import Predictor
from hyperhive.model import checkpoint, model_files
from hyperhive.model.calibration import Calibration
from hyperhive.model.card import Card
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import digits
from hyperhive.model.engines import export
from hyperhive.model.metrics import evaluate
from hyperhive.model.normalise import to_tensor
from hyperhive.model.training import TrainingData
from hyperhive.store.errors import NotFound
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store

CPU = torch.device("cpu")
REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from hyperhive import cli; cli.predict_cam()"]


@pytest.fixture(scope="session")
def numerals() -> Dataset:
    return digits()


@pytest.fixture(scope="session")
def model(numerals: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a model of the digits for a few seconds; return its directory."""
    data = TrainingData(numerals, CPU)
    config = TrainConfig(numerals.content_hash, learning_rate=0.05, epochs=6, momentum=0.9)
    directory = tmp_path_factory.mktemp("work") / "models" / "digits"
    save_model(directory, *trained(data, config))
    return directory


@pytest.fixture
def own_model(model: Path, tmp_path: Path) -> Path:
    """Return a copy of the model that a test may damage."""
    return Path(shutil.copytree(model, tmp_path / "models" / "own"))


@pytest.fixture(scope="session")
def predictor(model: Path) -> Predictor:
    return from_file(model).predictor


@pytest.fixture(scope="session")
def pictures(numerals: Dataset) -> list[tuple[str, np.ndarray]]:
    """Return the class and the RGB pixels of each of 120 test images."""
    chosen = zip(numerals.test_labels[::3], numerals.test_images[::3])
    return [(numerals.classes[label], image.repeat(3, axis=2)) for label, image in chosen]


@pytest.fixture(scope="session")
def folder(
    pictures: list[tuple[str, np.ndarray]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Write the pictures as PNG files in class folders; return their root."""
    root = tmp_path_factory.mktemp("pictures")
    for number, (name, image) in enumerate(pictures):
        (root / name).mkdir(exist_ok=True)
        Image.fromarray(image).save(root / name / f"{number:03d}.png")
    return root


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a folder for outputs, and without a display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def predict(*arguments: object) -> None:
    """Run the command in this process; its expected errors are raised."""
    app([str(argument) for argument in arguments], standalone_mode=False)


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start the command in its own process, as a person does."""
    return subprocess.Popen(
        COMMAND + [str(argument) for argument in arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines_of(output: Path) -> list[dict[str, Any]]:
    text = (output / "predictions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def enlarged(image: np.ndarray, method: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((280, 280), method))


def test_predictions_are_those_of_the_evaluation(
    model: Path, predictor: Predictor, numerals: Dataset
) -> None:
    """On the test images, the predictor gives the probabilities of the evaluation."""
    images = numerals.test_images[:50]
    network, card = load_model(model)
    labels = torch.from_numpy(numerals.test_labels[:50])
    normalise = checkpoint.normaliser(card, CPU)
    expected = evaluate(network, to_tensor(images, CPU), labels, normalise).probabilities
    answers = predictor.assess([image.repeat(3, axis=2) for image in images])
    assert np.abs(answers.probabilities - expected).max() < 1e-5
    for row, prediction in zip(expected, predictor.predict([*images.repeat(3, axis=3)])):
        best = [card.classes[i] for i in np.argsort(-row)[:3]]
        assert [name for name, _ in prediction.top] == best
        assert (prediction.label, prediction.probability) == prediction.top[0]


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".onnx"])
def test_mirror_images_are_seen_as_in_the_evaluation(
    own_model: Path, numerals: Dataset, suffix: str
) -> None:
    """With such a card every form answers as the test and the calibration did."""
    pytest.importorskip("onnx", reason="no onnx: nothing is exported")
    packed, card = model_files.read(own_model / model_files.WEIGHTS_FILE)
    both = dataclasses.replace(card, views="mirrored")
    export.export(own_model / ("two" + suffix), packed, both, numerals.test_images)
    predictor = from_file(own_model / ("two" + suffix)).predictor
    answers = predictor.assess([image.repeat(3, axis=2) for image in numerals.test_images])
    expected, one = (judge(packed, each, numerals) for each in (both, card))
    assert np.abs(answers.probabilities - expected.probabilities).max() < 1e-5
    assert np.abs(one.probabilities - expected.probabilities).max() > 0.5  # a mirrored 3 is no 3
    calibrations = [calibrate(packed, each, numerals) for each in (both, card)]
    assert calibrations[0].correct != calibrations[1].correct


@pytest.mark.parametrize("method", ["NEAREST", "BILINEAR", "BICUBIC"])
def test_a_large_frame_gets_the_label_of_the_small_one(
    predictor: Predictor, pictures: list[tuple[str, np.ndarray]], method: str
) -> None:
    """Nearly every picture keeps its label when it is enlarged and placed in a wide frame."""
    small = predictor.predict([image for _, image in pictures])
    frames = []
    for _, image in pictures:
        frame = np.random.RandomState(0).randint(0, 256, (280, 400, 3)).astype(np.uint8)
        frame[:, 60:340] = enlarged(image, Image.Resampling[method])
        frames.append(frame)
    same = [a.label == b.label for a, b in zip(small, predictor.predict(frames))]
    assert np.mean(same) >= 0.97


def test_a_folder_is_labelled(
    model: Path,
    folder: Path,
    predictor: Predictor,
    pictures: list[tuple[str, np.ndarray]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every image of class folders is classified, annotated and written; a summary counts them."""
    predict(folder, "--model", model)
    printed = capsys.readouterr().out
    lines = lines_of(Path("predictions"))
    direct = predictor.predict([image for _, image in pictures])
    in_order = sorted(range(len(pictures)), key=lambda i: (pictures[i][0], i))
    assert [line["label"] for line in lines] == [direct[i].label for i in in_order]
    assert [line["frame"] for line in lines] == list(range(len(pictures)))
    for line, number in zip(lines, in_order):
        assert Path(line["source"]) == folder / pictures[number][0] / f"{number:03d}.png"
        keys = "frame source time label known probability reason top3 box"
        assert list(line) == keys.split()
        assert line["time"] is None
        assert line["probability"] == pytest.approx(direct[number].probability, abs=1e-4)
        assert line["top3"][0] == {"label": line["label"], "probability": line["probability"]}
        assert len(line["top3"]) == 3
    right = sum(direct[i].label == pictures[i][0] for i in in_order)
    assert right > 100
    assert f"{right} of 120 agree with the name of their folder" in printed
    for label, count in collections.Counter(line["label"] for line in lines).items():
        assert any(row.split()[:2] == [label, str(count)] for row in printed.splitlines())
    assert len(list(Path("predictions/annotated").glob("?/*.jpg"))) == 120
    with Image.open("predictions/contact_sheet.png") as sheet:
        assert sheet.size[0] > 1000
        assert sheet.size[1] > 1000


def test_a_table_holds_what_a_spreadsheet_will_not_run(
    own_model: Path, folder: Path, tmp_path: Path
) -> None:
    """predictions.csv holds what the JSON holds, and no text in it begins like a formula."""
    card_file = own_model / "model.json"
    card = json.loads(card_file.read_text())
    card["classes"] = [sign + "HYPERLINK" + str(i) for i, sign in enumerate("=+-@\t\r=+-@")]
    card_file.write_text(json.dumps(card))
    (tmp_path / '=cmd, "in"').mkdir()
    image = min((folder / "3").iterdir())
    shutil.copy(image, tmp_path / '=cmd, "in"' / "a.png")
    predict('=cmd, "in"/a.png', "--model", own_model, "-q")
    with Path("predictions/predictions.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    (line,) = lines_of(Path("predictions"))
    assert list(row)[:6] == ["frame", "source", "time", "label", "known", "probability"]
    assert row["source"] == "'" + line["source"] == '\'=cmd, "in"/a.png'
    for rank, one in enumerate(line["top3"], 1):
        assert row[f"label{rank}"] == "'" + one["label"]
        assert float(row[f"probability{rank}"]) == one["probability"]
    assert (row["time"], row["frame"]) == ("", "0")


def test_a_video_is_live_and_only_snapshots_are_written(
    model: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--live --every writes a frame per interval; --count ends it; the times are printed."""
    started_at = time.monotonic()
    predict(
        "--live", video, "--model", model, "--every", "0.4", "--count", "12", "--serve", "0",
        "--save-video",
    )  # fmt: skip
    took = time.monotonic() - started_at
    printed = capsys.readouterr().out
    assert "watch at http://127.0.0.1:" in printed
    assert "12 frames labelled, " in printed
    for part in ("capture", "preprocess", "infer"):
        assert re.search(part + r" +\d+\.\d\d +\d+\.\d\d", printed)
    lines = lines_of(Path("predictions"))
    assert 1 <= len(lines) <= took / 0.4
    assert len(list(Path("predictions/annotated").iterdir())) == len(lines)
    assert Path("predictions/annotated_video.mp4").stat().st_size > 1000


def test_a_glob_and_a_single_image_are_labelled(model: Path, folder: Path) -> None:
    """A glob gives what it matches, a single image is one frame; --output names the folder."""
    predict("--source", folder / "3" / "*.png", "--model", model, "-q")
    assert len(lines_of(Path("predictions"))) == len(list((folder / "3").iterdir()))
    image = min((folder / "3").iterdir())
    predict(image, "--model", model / "model.safetensors", "--output", "a/b", "-q")
    assert [line["source"] for line in lines_of(Path("a/b"))] == [str(image)]
    assert Path(f"a/b/annotated/{image.stem}.jpg").exists()


def test_outputs_are_not_labelled_again(model: Path, folder: Path, tmp_path: Path) -> None:
    """A second run over a folder that holds the first run's outputs finds the same images."""
    shutil.copytree(folder / "3", tmp_path / "in")
    for _ in range(2):
        predict(".", "--model", model, "-q")
        assert len(lines_of(Path("predictions"))) == len(list((folder / "3").iterdir()))


@pytest.fixture
def video(pictures: list[tuple[str, np.ndarray]], tmp_path: Path) -> Path:
    """Return a video of 10 frames per second with one picture per frame, within wide margins."""
    cv2 = pytest.importorskip("cv2", reason="no OpenCV: videos cannot be read")
    path = tmp_path / "digits.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (400, 280))
    for _, image in pictures:
        frame = np.full((280, 400, 3), 128, np.uint8)
        frame[:, 60:340] = enlarged(image, Image.Resampling.BICUBIC)
        writer.write(frame)
    writer.release()
    return path


@pytest.mark.long
def test_every_frame_of_a_video_is_labelled(
    model: Path, video: Path, predictor: Predictor, pictures: list[tuple[str, np.ndarray]]
) -> None:
    """With --all-frames a video's accuracy is that of its pictures, within 2 points."""
    predict(video, "--model", model, "--all-frames", "-q")
    lines = lines_of(Path("predictions"))
    direct = predictor.predict([image for _, image in pictures])
    truth = [name for name, _ in pictures]
    accuracy = np.mean([line["label"] == name for line, name in zip(lines, truth)])
    expected = np.mean([prediction.label == name for prediction, name in zip(direct, truth)])
    assert len(lines) == len(pictures)
    assert abs(accuracy - expected) <= 0.02
    assert [line["time"] for line in lines] == pytest.approx([i / 10 for i in range(120)])
    assert [line["frame"] for line in lines] == list(range(120))


def test_a_video_is_sampled(model: Path, video: Path) -> None:
    """Without --all-frames one frame every 2 seconds is classified, or one per --every."""
    predict(video, "--model", model, "-q")
    assert [line["frame"] for line in lines_of(Path("predictions"))] == [0, 20, 40, 60, 80, 100]
    predict(video, "--model", model, "-q", "--every", "5", "--count", "2")
    assert [line["frame"] for line in lines_of(Path("predictions"))] == [0, 50]


def test_an_unreadable_image_among_others(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is reported and left out, the others are classified and written, and the run fails."""
    shutil.copytree(folder / "3", tmp_path / "in")
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(SourceError, match=r"1 of \d+ images could not be read"):
        predict("in", "--model", model, "-q")
    assert "in/broken.png cannot be read" in capsys.readouterr().err
    assert len(lines_of(Path("predictions"))) == len(list((folder / "3").iterdir()))
    assert Path("predictions/contact_sheet.png").exists()


def test_classes_may_have_any_name(
    own_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Class names in any script, with brackets and emoji codes, are drawn, printed and written."""
    card_file = own_model / "model.json"
    card = json.loads(card_file.read_text())
    card["classes"] = [f"霸王龙_[red]{i}[/red] :boom: Ω" for i in range(10)]
    card_file.write_text(json.dumps(card))
    predict(folder / "3", "--model", own_model)
    assert lines_of(Path("predictions"))[0]["label"] in card["classes"]
    assert "霸王龙 [red]3[/red] :boom: Ω" in capsys.readouterr().out


# Which model, and whether it can be trusted.


def spoil_hash(directory: Path) -> None:
    weights = bytearray((directory / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (directory / "model.safetensors").write_bytes(weights)


def truncate(directory: Path) -> None:
    weights = (directory / "model.safetensors").read_bytes()[:-1000]
    save(directory, weights)


def save(directory: Path, weights: bytes, **changes: Any) -> None:
    """Write weights with a card that has their hash, so that only their content is wrong."""
    card = Card.from_json(json.loads((directory / "model.json").read_text()))
    sha256 = hashlib.sha256(weights).hexdigest()
    save_model(directory, weights, dataclasses.replace(card, weights_sha256=sha256, **changes))


def lose_card(directory: Path) -> None:
    (directory / "model.json").unlink()


def lose_class(directory: Path) -> None:
    save(
        directory,
        (directory / "model.safetensors").read_bytes(),
        classes=[str(digit) for digit in range(9)],
    )


def diverge(directory: Path) -> None:
    arrays = safetensors.numpy.load_file(directory / "model.safetensors")
    save(
        directory, safetensors.numpy.save({name: array * np.nan for name, array in arrays.items()})
    )


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoil_hash, "the weights are not those of the card"),
        (truncate, "the weights are not a safetensors file"),
        (lose_card, r"there is no .*model\.json"),
        (lose_class, "the weights do not fit their card"),
        (diverge, "not finite numbers"),
        (shutil.rmtree, "there is no .*own"),
    ],
)
def test_a_model_that_cannot_be_trusted_is_refused(
    own_model: Path, folder: Path, spoil: Any, sentence: str
) -> None:
    """Wrong hash, damage, no card, other shapes and NaN give one sentence each, and no output."""
    spoil(own_model)
    with pytest.raises(CheckpointError, match=sentence):
        predict(folder / "3", "--model", own_model)
    assert not Path("predictions").exists()


def test_the_newest_model_is_taken(
    own_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --model and --study the newest model in models/ is used, and named."""
    older = own_model.parent / "older"
    shutil.copytree(own_model, older)
    os.utime(older / "model.json", (1, 1))
    predict(folder / "3")
    assert "with models/own\n" in capsys.readouterr().out


def test_without_a_model_it_says_how_to_get_one(folder: Path) -> None:
    """Without any model, the sentence names the ways to get one."""
    with pytest.raises(NoModel, match=r"hyperhive demo.*--model FILE or --study NAME"):
        predict(folder)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (["--model", "m", "--study", "s"], UsageError, "give one"),
        (["--device", "tpu"], UsageError, "unknown device 'tpu'"),
        (["--every", "-1"], UsageError, "--every must be"),
        (["--live", "--all-frames"], UsageError, "--live skips frames that it cannot keep up with"),
        (["--live"], UsageError, "--live needs a camera, a stream or a video"),
        (["--live", "--smoothing", "-1"], UsageError, "--smoothing must be from 0 to 60 seconds"),
        (["--smoothing", "1"], UsageError, "--smoothing needs --live"),
    ],
)
@pytest.mark.usefixtures("own_model")
def test_wrong_usage_is_one_sentence(
    folder: Path, arguments: list[str], error: Any, sentence: str
) -> None:
    """Exclusive options, unknown names and values out of range are refused with a sentence."""
    with pytest.raises(error, match=sentence):
        predict(folder, *arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there(folder: Path, model: Path) -> None:
    """CUDA is refused on a machine without it; ``auto`` uses what is available."""
    with pytest.raises(DeviceError, match="no CUDA"):
        predict(folder / "3", "--model", model, "--device", "cuda")
    predict(folder / "3", "--model", model, "--device", "auto", "-q")
    assert Path("predictions/contact_sheet.png").exists()


def conclude(store: Store, name: str, model: Path, **changes: Any) -> None:
    """Store a study that ended with this model."""
    weights = store.blobs.put((model / "model.safetensors").read_bytes(), "weights")
    card = json.loads((model / "model.json").read_text())
    result = {"card": {**card, **changes}, "weights": weights.as_document(), "trials": 3}
    store.studies.open(name, {})
    store.studies.conclude(name, result)


def test_a_studys_model_comes_from_the_store(
    store: Store, mongo_uri: str, model: Path, folder: Path
) -> None:
    """--study gives the same results as the files of the same model."""
    conclude(store, "numerals", model)
    predict(folder, "--model", model, "-q", "--output", "files")
    predict(folder, "--study", "numerals", "--mongo", mongo_uri, "-q")
    assert lines_of(Path("predictions")) == lines_of(Path("files"))


def test_a_study_without_a_model_is_an_error(
    store: Store, mongo_uri: str, model: Path, folder: Path
) -> None:
    """A study that is missing, unfinished, without a model or damaged gives one sentence each."""

    def refused(name: str, error: Any, sentence: str) -> None:
        with pytest.raises(error, match=sentence):
            predict(folder, "--study", name, "--mongo", mongo_uri)

    refused("nothing", NotFound, "there is no study 'nothing' on .*: it has none")
    store.studies.open("begun", {})
    refused("nothing", NotFound, "its studies are begun")
    refused("begun", NotFound, "study 'begun' has no model yet")
    store.studies.open("empty", {})
    store.studies.conclude("empty", {"card": None, "weights": None})
    refused("empty", NotFound, "study 'empty' ended without a model")
    conclude(store, "other", model, classes=["a", "b"])
    refused("other", CheckpointError, "study 'other': the weights do not fit their card")


def test_without_mongo_the_machines_own_server_is_asked(model: Path, folder: Path) -> None:
    """--study without --mongo uses the embedded server's store."""
    with embedded_server() as uri, Store(uri) as store:
        conclude(store, "mine", model)
        assert store.studies.get("mine") is not None
        predict(folder / "3", "--study", "mine", "-q")
    assert Path("predictions/contact_sheet.png").exists()


# As a process: exit codes, signals, displays.


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["99"], 1), (["nowhere"], 1), (["--every", "-1"], 2), (["--every", "soon"], 2)],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    model: Path, arguments: list[str], code: int
) -> None:
    """Errors go to stderr without a traceback: 1 if the run failed, 2 for wrong usage."""
    arguments = ["--model", str(model), "-q", *arguments]
    done = call(cli.predict_cam, *arguments, cwd=Path.cwd(), **os.environ)
    assert done.returncode == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if "soon" not in arguments:  # that sentence is typer's
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


@pytest.fixture
def many(folder: Path, tmp_path: Path) -> Path:
    """Return a folder of 1,200 images, enough to be interrupted."""
    for copy in range(10):
        shutil.copytree(folder, tmp_path / "many" / str(copy), copy_function=os.link)
    return tmp_path / "many"


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_an_interrupted_series_is_kept(model: Path, many: Path) -> None:
    """Ctrl-C ends it early and in good order: the results so far are complete."""
    process = start(many, "--model", model)
    written = Path("predictions/predictions.jsonl")
    deadline = time.monotonic() + 120
    while not (written.exists() and written.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT
    assert error == ""
    assert "written: {}".format(Path("predictions/contact_sheet.png")) in out
    assert 0 < len(lines_of(Path("predictions"))) < 1200
    with Image.open("predictions/contact_sheet.png") as sheet:
        sheet.load()


@pytest.mark.long
def test_it_is_headless_where_there_is_no_display(model: Path, folder: Path) -> None:
    """Without a display, and with one that does not answer, --show costs one sentence only."""
    pytest.importorskip("cv2", reason="no OpenCV: there are no windows at all")
    arguments = [str(folder / "3"), "--model", str(model), "-q", "--show"]
    process = start(*arguments, "--output", "elsewhere", DISPLAY=":4711")
    done = call(cli.predict_cam, *arguments, cwd=Path.cwd(), **os.environ)
    _, error = process.communicate(timeout=120)
    assert (done.returncode, process.returncode) == (0, 0)
    for said in (done.stderr, error):
        assert said.startswith("no window, --show is ignored: ")
        assert said.count("\n") == 1


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def test_help_needs_nothing_heavy() -> None:
    """``--help`` imports neither PyTorch, OpenCV, NumPy, PyMongo, httpx nor Starlette."""
    heavy = "{'torch', 'cv2', 'numpy', 'pymongo', 'httpx', 'starlette'} & set(sys.modules)"
    assert run_python(f"import sys, hyperhive.inference.cli; print(sorted({heavy}))") == "[]\n"


@pytest.mark.long
def test_images_need_neither_opencv_nor_httpx_nor_starlette(model: Path, folder: Path) -> None:
    """Without, images are classified; a camera, an address and a page are told in a sentence."""
    code = (
        "import sys; sys.modules.update(cv2=None, httpx=None, starlette=None)\n"
        "from hyperhive import cli\n"
        "from hyperhive.inference.cli import app\n"
        f"app([{str(folder / '3')!r}, '--model', {str(model)!r}, '-q'], standalone_mode=False)\n"
        f"for asked in (['0'], ['http://x/'], [{str(folder / '3')!r}, '--serve', '0']):\n"
        f"  sys.argv = ['predict-cam', *asked, '--model', {str(model)!r}]\n"
        "  try: cli.predict_cam()\n"
        "  except SystemExit as stop: print('exit code', stop.code, file=sys.stderr)\n"
    )
    camera, address, page = run_python(code).split("exit code 1\n")[:3]
    assert camera.startswith("error: videos and cameras need OpenCV")
    assert address.startswith("error: http:// needs httpx (")
    assert address.endswith("): pip install httpx\n")
    assert "\nerror: --serve needs Starlette and uvicorn (" in page
    assert Path("predictions/contact_sheet.png").exists()


# What the model does not know.


@pytest.fixture(scope="session")
def calibrated(model: Path, numerals: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the model with the calibration that a study would give it."""
    packed, card = model_files.read(model / "model.safetensors")
    config = TrainConfig(numerals.content_hash, learning_rate=0.05, epochs=6, momentum=0.9)
    card = dataclasses.replace(card, config=config.to_json())
    card = dataclasses.replace(card, calibration=calibrate(packed, card, numerals))
    return save_model(tmp_path_factory.mktemp("calibrated"), packed, card)


@pytest.fixture
def mixed(folder: Path, tmp_path: Path) -> Path:
    """Return a folder with digits, and with pictures of no class in ``wall`` and ``noise``."""
    shutil.copytree(folder / "3", tmp_path / "in" / "3")
    random = np.random.RandomState(0)
    for name, least, most in (("wall", 120, 126), ("noise", 0, 256)):
        (tmp_path / "in" / name).mkdir()
        frame = random.randint(least, most, (480, 640, 3)).astype(np.uint8)
        if name == "noise":
            frame = enlarged(frame[:28, :28], Image.Resampling.NEAREST)
        Image.fromarray(frame).save(tmp_path / "in" / name / "1.png")
    return tmp_path / "in"


def labels_in(output: str) -> dict[str, list[str]]:
    """Return the labels given to the pictures of each folder."""
    found = collections.defaultdict(list)
    for line in lines_of(Path(output)):
        assert line["known"] is (line["label"] != "unknown")
        assert len(line["top3"]) == 3
        found[Path(line["source"]).parent.name].append(line["label"])
    return found


def test_a_picture_of_no_class_is_unknown(
    calibrated: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the card's thresholds a wall and noise are unknown, and digits keep their labels."""
    predict(mixed, "--model", calibrated)
    found = labels_in("predictions")
    assert found["wall"] == found["noise"] == ["unknown"]
    assert found["3"].count("3") >= 0.8 * len(found["3"])
    printed = capsys.readouterr().out
    assert "wall/1: unknown (" in printed
    assert any(row.split()[:2] == ["unknown", "2"] for row in printed.splitlines())
    assert "no thresholds" not in printed


def test_it_says_why_pictures_are_unknown(
    calibrated: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each reason is printed once, with its flag; both tables have it, and the JSON keeps it."""
    predict(mixed, "--model", calibrated)
    printed = capsys.readouterr().out
    said = r"unknown: unlike the training pictures \(membership 0.0\d < 0.05\); --min-membership 0 "
    assert len(re.findall(said, printed)) == printed.count("unknown: ") == 1
    assert "fill the square" not in printed
    lines = lines_of(Path("predictions"))
    for line in lines:
        assert (line["reason"] is None) is line["known"]
    (wall,) = (line for line in lines if "wall" in line["source"])
    assert wall["reason"].startswith("unlike the training pictures (membership 0.00 < 0.05)")
    with Path("predictions/predictions.csv").open(encoding="utf-8", newline="") as file:
        assert [row["reason"] or None for row in csv.DictReader(file)] == [
            line["reason"] for line in lines
        ]
    predict(mixed / "3", "--model", calibrated, "--min-confidence", "1", "--output", "unsure")
    printed = capsys.readouterr().out
    assert printed.count("unknown: not sure enough (confidence ") == 1
    assert "--min-confidence 0 turns this check off" in printed


def test_it_says_once_that_pictures_are_too_far_away(
    calibrated: Path,
    pictures: list[tuple[str, np.ndarray]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Digits that fill half of the square are unknown; enlarged they are not, and it says so."""
    (tmp_path / "far").mkdir()
    for number, (_, image) in enumerate(pictures[:20]):
        frame = np.full((480, 640, 3), 120, np.uint8)
        frame[110:370, 190:450] = np.asarray(Image.fromarray(image).resize((260, 260)))
        Image.fromarray(frame).save(tmp_path / "far" / f"{number:02d}.png")
    predict("far", "--model", calibrated)
    printed = capsys.readouterr().out
    assert printed.count("fill the square: 2.0 times as large, ") == 1
    assert printed.count("fill the square") == 1
    assert sum(line["known"] for line in lines_of(Path("predictions"))) < 10


def test_thresholds_can_be_replaced(calibrated: Path, mixed: Path) -> None:
    """``--no-unknown`` always answers, and options replace the card's thresholds."""
    predict(mixed, "--model", calibrated, "-q", "--no-unknown", "--output", "always")
    assert all(line["known"] for line in lines_of(Path("always")))
    predict(mixed, "--model", calibrated, "-q", "--min-margin", "1", "--output", "never")
    for line in lines_of(Path("never")):
        first, second, _ = (entry["probability"] for entry in line["top3"])
        assert first - second > 1 - 1e-6 or not line["known"]
    predict(
        mixed, "--model", calibrated, "-q", "--min-membership", "0", "--output", "looks",
        "--min-confidence", "0", "--min-margin", "0",
    )  # fmt: skip
    assert "unknown" not in labels_in("looks")["wall"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--min-confidence", "1.5"], "--min-confidence must be from 0 to 1, not 1.5"),
        (["--no-unknown", "--min-margin", "0.1"], "--no-unknown excludes"),
    ],
)
def test_thresholds_without_sense_are_refused(
    calibrated: Path, mixed: Path, arguments: list[str], sentence: str
) -> None:
    """They give one sentence, before anything is classified."""
    with pytest.raises(UsageError, match=sentence):
        predict(mixed, "--model", calibrated, *arguments)
    assert not Path("predictions").exists()


def test_a_card_without_thresholds_says_so(
    model: Path, own_model: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model without thresholds always answers, and the command says so unless it was asked to."""
    predict(mixed, "--model", model)
    assert "card has no thresholds, so it never answers unknown" in capsys.readouterr().out
    assert all(line["known"] for line in lines_of(Path("predictions")))
    predict(mixed, "--model", model, "--no-unknown")
    assert "no thresholds" not in capsys.readouterr().out
    predict(mixed, "--model", model, "--min-membership", "0")
    assert "no thresholds" in capsys.readouterr().out
    card_file = own_model / "model.json"
    card = json.loads(card_file.read_text())
    card_file.write_text(json.dumps({**card, "calibration": Calibration().to_json()}))
    predict(mixed, "--model", own_model)  # as of too few images
    assert "no thresholds, so it never answers unknown" in capsys.readouterr().out
    with pytest.raises(UsageError, match="--min-membership needs a model whose card describes"):
        predict(mixed, "--model", model, "--min-membership", "0.5")


def test_a_card_whose_only_threshold_is_turned_off_has_one(
    calibrated: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model of few pictures has a threshold for membership only: its card is not without one."""
    shutil.copytree(calibrated, tmp_path / "few")
    card = json.loads((tmp_path / "few" / "model.json").read_text())
    card["calibration"].update(min_confidence=0.0, min_margin=0.0)
    (tmp_path / "few" / "model.json").write_text(json.dumps(card))
    predict(mixed, "--model", tmp_path / "few", "--min-membership", "0")
    assert "no thresholds" not in capsys.readouterr().out


def test_a_damaged_calibration_is_refused(calibrated: Path, mixed: Path, tmp_path: Path) -> None:
    """A card with a damaged calibration gives one sentence, and nothing is classified."""
    shutil.copytree(calibrated, tmp_path / "damaged")
    card = json.loads((tmp_path / "damaged" / "model.json").read_text())
    card["calibration"]["members"]["mean"] = "none"
    (tmp_path / "damaged" / "model.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="calibration has missing"):
        predict(mixed, "--model", tmp_path / "damaged")
