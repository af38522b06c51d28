"""A model exported to ONNX or TorchScript says what the model says, or is not written."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np
import pytest
import torch
from support.lenets import drawn, load_model, save_model

from hyperhive import cli
from hyperhive.common.errors import CheckpointError, DeviceError, InputError, UsageError
from hyperhive.model import checkpoint, model_files
from hyperhive.model.card import Card
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.data.cache import DatasetCache
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.engines import export
from hyperhive.model.engines.choice import differing_labels, engine_of
from hyperhive.model.engines.deployed import DeployedModel
from hyperhive.model.engines.export import ExportFailed
from hyperhive.model.engines.torch_engine import TorchEngine, without_deprecations
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.model.normalise import to_tensor
from hyperhive.store.errors import NotFound
from hyperhive.store.store import Store

onnx = pytest.importorskip("onnx", reason="no onnx: nothing is exported")
pytest.importorskip("cv2", reason="no OpenCV: an exported model is not run")
CPU = torch.device("cpu")
SUFFIXES = (".onnx", ".pt", ".torchscript", ".safetensors")


def pictures(channels: int, n: int = 100) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (n, 28, 28, channels)).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_form_computes_the_same(channels: int, suffix: str, tmp_path: Path) -> None:
    """Read back, a form gives the model's own logits to 6 digits, singly and many.

    The reference is the model after the normalisation of its training, not ``DeployedModel``.
    """
    packed, card = drawn(channels)
    path = tmp_path / "a" / ("best" + suffix)
    some = pictures(channels)
    export.export(path, packed, card, some)
    read, card = model_files.read(path)
    engine = engine_of(read, suffix, card, "cpu")
    model = checkpoint.unpack_weights(packed, card, CPU)
    with torch.no_grad():
        expected = model(checkpoint.normaliser(card, CPU)(to_tensor(some, CPU))).numpy()
    for n in (100, 1, 7):
        found = engine.run(some[:n])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[:n], rtol=1e-5, atol=2e-6)


def moved(some: np.ndarray, by: int) -> np.ndarray:
    """Return pictures moved by one pixel, whose new edge repeats the old one."""
    padded = np.pad(some, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    return padded[:, 1 + by : 29 + by, 1 + by : 29 + by]


@pytest.mark.parametrize(
    ("views", "seen"),
    [
        ("mirrored", lambda some: [some]),
        ("shifted", lambda some: [moved(some, -1), moved(some, 1)]),
        ("both", lambda some: [moved(some, -1), moved(some, 1)]),
    ],
)
def test_the_views_are_the_cards_decision(
    views: str, seen: Callable[[np.ndarray], list[np.ndarray]], tmp_path: Path
) -> None:
    """Every engine averages the logits of all views; the exported file stays what it is."""
    packed, card = drawn()
    several = dataclasses.replace(card, views=views)
    some = pictures(3, 30)
    logits = engine_of(packed, ".safetensors", card, "cpu").run
    looked = seen(some) + ([] if views == "shifted" else [each[:, :, ::-1] for each in seen(some)])
    expected = np.mean([logits(each) for each in looked], axis=0)
    assert np.abs(expected - logits(some)).max() > 1e-3
    for suffix in SUFFIXES:
        export.export(tmp_path / ("a" + suffix), packed, several, some)
        read, own = model_files.read(tmp_path / ("a" + suffix))
        found = engine_of(read, suffix, own, "cpu").run(some)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)
    model = checkpoint.unpack_weights(packed, card, CPU)
    assert (tmp_path / "a.onnx").read_bytes() == export.to_onnx(model, card)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_parts_of_1998_are_exported(activation: str, tmp_path: Path) -> None:
    """The card tells which network its weights are of, and OpenCV computes all of its parts."""
    given = {"activation": activation, "pooling": "average"}
    packed, card = drawn(config=given)
    export.export(tmp_path / "a.onnx", packed, card, pictures(3))
    read, card = model_files.read(tmp_path / "a.onnx")
    found = engine_of(read, ".onnx", card, "cpu").run(pictures(3))
    expected = engine_of(packed, ".safetensors", card, "cpu").run(pictures(3))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)
    with pytest.raises(CheckpointError, match="do not fit their card"):
        checkpoint.unpack_weights(packed, dataclasses.replace(card, config={}), CPU)


def test_onnx_says_what_it_is(tmp_path: Path) -> None:
    """The file names its input and output, leaves their number free, and carries the classes."""
    packed, card = drawn()
    found = onnx.load_from_string(
        export.to_onnx(checkpoint.unpack_weights(packed, card, CPU), card)
    )
    properties = {each.key: each.value for each in found.metadata_props}
    assert json.loads(properties["classes"]) == card.classes
    assert properties["weights_sha256"] == card.weights_sha256
    assert [each.version for each in found.opset_import] == [export.OPSET]
    shapes = {
        each.name: [size.dim_param or size.dim_value for size in each.type.tensor_type.shape.dim]
        for each in [*found.graph.input, *found.graph.output]
    }
    assert shapes == {"pixels": ["n", 3, 28, 28], "logits": ["n", 10]}
    # Any other operation on the pixels OpenCV 4.1 and 4.5 compute wrongly, without a word.
    assert found.graph.node[0].op_type == "Conv"


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
def test_an_export_that_differs_is_not_written(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were only one label another, the export fails, names how many, and leaves no file."""
    packed, card = drawn()
    some = pictures(3)
    other = checkpoint.unpack_weights(packed, card, CPU)
    with torch.no_grad():  # exported, this is another model by a little
        other.classifier[-1].bias += torch.linspace(0, 0.02, 10)
    differing = differing_labels(
        TorchEngine(DeployedModel(other, card), CPU),
        engine_of(packed, ".safetensors", card, "cpu"),
        some,
    )
    assert 0 < differing < 100
    maker = export._MAKERS[suffix]
    monkeypatch.setitem(export._MAKERS, suffix, lambda model, card: maker(other, card))
    with pytest.raises(ExportFailed, match=f"for {differing} of 100 test images"):
        export.export(tmp_path / ("a" + suffix), packed, card, some)
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_that_shows_nothing_is_none(tmp_path: Path) -> None:
    """A model that answers no numbers, and no pictures to compare on, leave no file."""
    packed, card = drawn()
    with pytest.raises(ExportFailed, match="there are no test images"):
        export.export(tmp_path / "a.pt", packed, card, pictures(3, 0))
    diverged = checkpoint.unpack_weights(packed, card, CPU)
    with torch.no_grad():
        diverged.classifier[-1].bias[0] = float("nan")
    packed = pack_weights(diverged)
    card = dataclasses.replace(card, weights_sha256=hashlib.sha256(packed).hexdigest())
    with pytest.raises(CheckpointError, match="not finite numbers"):
        export.export(tmp_path / "a.pt", packed, card, pictures(3, 5))
    assert list(tmp_path.iterdir()) == []


def test_forms_of_one_model_share_its_card(tmp_path: Path) -> None:
    """model.onnx and model.pt beside model.safetensors are one model: each stays readable."""
    packed, card = drawn()
    save_model(tmp_path, packed, card)
    for suffix in SUFFIXES:
        export.export(tmp_path / ("model" + suffix), packed, card, pictures(3))
    save_model(tmp_path, packed, card)
    for suffix in SUFFIXES:
        assert (
            model_files.read(tmp_path / ("model" + suffix))[1].weights_sha256 == card.weights_sha256
        )
    assert len(list(tmp_path.iterdir())) == 5


def test_no_other_models_card_is_taken_away(tmp_path: Path) -> None:
    """Beside another model's file, or over a JSON file that is no card, nothing is written."""
    packed, card = drawn()
    save_model(tmp_path, *drawn(seed=1))
    with pytest.raises(UsageError, match=r"model\.json is the card of .*model\.safetensors"):
        export.export(tmp_path / "model.onnx", packed, card, pictures(3))
    load_model(tmp_path)
    (tmp_path / "package.json").write_text('{"name": "mine"}')
    with pytest.raises(UsageError, match=r"package\.json is in the way"):
        export.export(tmp_path / "package.onnx", packed, card, pictures(3))
    assert (tmp_path / "package.json").read_text() == '{"name": "mine"}'
    assert not list(tmp_path.glob("*.onnx"))


def test_an_older_export_gives_way(tmp_path: Path) -> None:
    """Exported to the same name again, another model replaces the one before, card and all."""
    for seed in (0, 1):
        packed, card = drawn(seed=seed)
        export.export(tmp_path / "best.pt", packed, card, pictures(3, 20))
        assert model_files.read(tmp_path / "best.pt")[1].weights_sha256 == card.weights_sha256


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a directory with a.onnx and a.pt of one model; exporting takes a second each."""
    directory = tmp_path_factory.mktemp("exported")
    packed, card = drawn()
    for suffix in (".onnx", ".pt"):
        export.export(directory / ("a" + suffix), packed, card, pictures(3, 20))
    return directory


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage")
    accept(path)


def accept(path: Path) -> None:
    """Have the card agree with the file: only what it holds is wrong."""
    file = model_files.card_file(path)
    card = model_files.read_card(file)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    exports = {path.suffix: sha256}
    file.write_text(json.dumps(dataclasses.replace(card, exports=exports).to_json()))


def fewer_classes(path: Path) -> None:
    _, card = drawn()
    path.write_bytes(export._MAKERS[path.suffix](LeNet5(3, 9), card))
    accept(path)


def stranger(path: Path) -> None:
    """Put another network there: for OpenCV without such an output, for PyTorch with two."""
    if path.suffix == ".onnx":
        other = onnx.load_from_string(path.read_bytes())
        other.graph.node[-1].output[0] = other.graph.output[0].name = "answer"
        path.write_bytes(other.SerializeToString())
    else:
        with without_deprecations():
            two = torch.jit.trace(lambda pixels: (pixels, pixels), torch.zeros(2, 3, 28, 28))
            torch.jit.save(two, str(path))
    accept(path)


def lose_hash(path: Path) -> None:
    file = model_files.card_file(path)
    file.write_text(
        json.dumps(dataclasses.replace(model_files.read_card(file), exports={}).to_json())
    )


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (cut, "the weights are not those of the card"),
        (lose_hash, "the card beside it belongs to another model"),
        (garbage, "cannot read it"),
        (fewer_classes, "it does not fit its card: it gives 9 logits"),
        (stranger, "cannot run it"),
        (Path.unlink, "there is no "),
    ],
)
def test_an_export_that_cannot_be_trusted_is_refused(
    suffix: str, spoil: Callable[[Path], Any], sentence: str, exported: Path, tmp_path: Path
) -> None:
    """Wrong hash, none, no model, another's shapes or outputs, gone: each is one sentence."""
    shutil.copytree(exported, tmp_path / "own")
    path = tmp_path / "own" / ("a" + suffix)
    spoil(path)
    with pytest.raises(CheckpointError, match=sentence):
        engine_of(*_read(path), "cpu")


def test_a_device_that_fails_is_no_bad_model() -> None:
    """What goes wrong while a model that was read computes, as memory, is not blamed on it."""

    class Full(torch.nn.Module):
        """Fails as a network does on a GPU whose memory others have taken."""

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            """Fail."""
            raise RuntimeError("CUDA out of memory")

    with pytest.raises(DeviceError, match=r"^cpu failed: CUDA out of memory; choose --device cpu"):
        TorchEngine(Full(), CPU).run(pictures(3, 1))


def _read(path: Path) -> tuple[bytes, str, Card]:
    packed, card = model_files.read(path)
    return packed, path.suffix, card


# -- the command ---------------------------------------------------------------------------------


def best(*arguments: object) -> str:
    """Run ``hyperhive best``; return what it prints. Its expected errors are raised."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        cli.load("best").main(list(map(str, arguments)), prog_name="best", standalone_mode=False)
    return output.getvalue()


WITHOUT = """
import sys
modules, *commands = sys.argv[1:]
for name in modules.split(): sys.modules[name] = None
from hyperhive.cli import main
for command in commands:
    sys.argv[:] = ["hyperhive", "best", *command.splitlines()]
    try: main()
    except SystemExit as ended:
        if ended.code: raise
"""
COORDINATORS = "hyperopt networkx scipy matplotlib sklearn"
"""Modules that a device need not have: a coordinator needs them."""


def best_without(modules: str, *commands: Sequence[object]) -> str:
    """Run ``hyperhive best`` in a process that cannot import some modules; return its output.

    Args:
        modules: their names, with spaces between them.
        commands: the arguments of each of its runs.
    """
    lines = ["\n".join(map(str, arguments)) for arguments in commands]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, modules, *lines],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def dataset() -> Dataset:
    labels = np.arange(100, dtype=np.int64) % 10
    classes = tuple(f"class {number}" for number in range(10))
    return Dataset("noise", classes, *[pictures(3), labels] * 2)


def saved(directory: Path, dataset: Dataset, **changes: Any) -> tuple[bytes, Card]:
    packed, card = drawn()
    described = {**dataset.card(), "content_hash": dataset.content_hash}
    card = dataclasses.replace(card, dataset=described, **changes)
    save_model(directory, packed, card)
    return packed, card


def test_a_models_file_is_described_and_exported(tmp_path: Path, dataset: Dataset) -> None:
    """With --model no store is needed: the images to compare come from this machine's cache."""
    config = {"dataset": dataset.content_hash, "learning_rate": 0.0123, "train_on_all": True}
    _, card = saved(tmp_path, dataset, trial=7, config=config, test_accuracy=0.721)
    output = best("--model", tmp_path)
    assert "trial 7, refitted on training and validation data" in output
    assert "learning rate 0.0123" in output
    assert "72.1 % of test images" in output
    assert card.weights_sha256 in output
    DatasetCache().get(dataset.content_hash, lambda name: dataset.pack())
    output = best("--model", tmp_path, "--export", tmp_path / "model.onnx")
    assert "same label on all 100 test images" in output
    assert model_files.read(tmp_path / "model.onnx")[1].trial == 7


@pytest.mark.long
def test_best_needs_only_what_a_device_has(
    store: Store, mongo_uri: str, tmp_path: Path, dataset: Dataset
) -> None:
    """To describe a model it needs no PyTorch, to export one it needs no hyperopt and the like."""
    with pytest.raises(AssertionError):
        best_without("hyperhive.coordinator.stored_model", ["--model", tmp_path])
    packed, card = saved(tmp_path, dataset, trial=7, test_accuracy=0.721)
    ref = store.blobs.put(packed, "weights").as_document()
    store.studies.open("mine", {})
    store.studies.conclude("mine", {"card": card.to_json(), "weights": ref})
    described = best_without(
        COORDINATORS + " torch", ["--model", tmp_path], ["mine", "--mongo", mongo_uri]
    )
    assert re.search(r"^state +trial 7$", described, re.MULTILINE)
    assert len(re.findall(r"^test +72\.1 % of test images$", described, re.MULTILINE)) == 2
    assert f"SHA-256 {card.weights_sha256}" in described
    DatasetCache().get(dataset.content_hash, lambda name: dataset.pack())
    path = tmp_path / "model.pt"
    exported = best_without(COORDINATORS, ["--model", tmp_path, "--export", path])
    assert "same label on all 100 test images" in exported
    assert model_files.read(path)[1].trial == 7


def test_the_weights_are_written_without_their_data_set(tmp_path: Path, dataset: Dataset) -> None:
    """A copy in .safetensors is not compared, so it needs no images."""
    packed, _ = saved(tmp_path / "m", dataset)
    path = tmp_path / "copy.safetensors"
    output = best("--model", tmp_path / "m", "--export", path)
    assert output.splitlines()[-1] == f"written: {path} and its card, {path.with_suffix('.json')}"
    assert path.read_bytes() == packed


def test_a_studys_model_is_exported_from_the_store(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """Without a name it is the newest study that has a model; its images come from the store."""
    labels = np.arange(100, dtype=np.int64) % 10
    names = tuple(f"class {number}" for number in range(10))
    data = Dataset("other noise", names, *[pictures(3) // 2, labels] * 2)
    packed, card = saved(tmp_path / "m", data, trial=3, validation_accuracy=0.5)
    ref = store.blobs.put(packed, "weights").as_document()
    store.studies.open("mine", {})
    store.studies.offer("mine", {"card": card.to_json(), "weights": ref})
    store.studies.open("newer", {})
    output = best("--mongo", mongo_uri)
    assert "study mine on" in output
    assert "trial 3, the best so far: the study has not ended" in output
    path = tmp_path / "nano.pt"
    refused = pytest.raises(
        InputError, match=r"could not be checked.*data set .* is not in the store"
    )
    with refused:
        best("mine", "--mongo", mongo_uri, "--export", path)
    assert not path.exists()
    store.datasets.publish(data.content_hash, data.pack(), data.card())
    assert "same label on all 100" in best("mine", "--mongo", mongo_uri, "--export", path)
    assert model_files.read(path)[1].validation_accuracy == 0.5


def test_best_says_that_a_study_was_cancelled(store: Store, mongo_uri: str) -> None:
    """A cancelled study gets no model; if it has one, that stays the best so far."""
    packed, card = drawn()
    store.studies.open("gone", {})
    store.studies.cancel("gone")
    with pytest.raises(NotFound, match="study 'gone' was cancelled before it had a model"):
        best("gone", "--mongo", mongo_uri)
    ref = store.blobs.put(packed, "weights").as_document()
    store.studies.offer("gone", {"card": card.to_json(), "weights": ref})
    assert "the study was cancelled" in best("gone", "--mongo", mongo_uri)


def test_an_export_is_not_described_as_the_model(tmp_path: Path) -> None:
    """Its size and hash are not those of the weights: the refusal says where the weights are."""
    packed, card = drawn()
    export.export(tmp_path / "a.pt", packed, card, pictures(3, 2))
    with pytest.raises(UsageError, match=r"a\.pt is not a \.safetensors file: give"):
        best("--model", tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"there is no .*b\.onnx"):
        best("--model", tmp_path / "b.onnx")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--export", "model.pth"], r"must end in \.safetensors, \.onnx, \.pt, \.torchscript"),
        (["study", "--model", "m"], "give one"),
    ],
)
def test_wrong_usage_of_best(arguments: list, sentence: str) -> None:
    """Impossible options are refused before a server is started or asked."""
    with pytest.raises(UsageError, match=sentence):
        best(*arguments)
