"""Fault 22: what is planted is never executed, and refused in words; the work goes on.

Pickles, weights and data sets that lie about themselves, in every place we read from: the store,
the disk, a trial's own document.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import signal
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any, Callable, Iterator

import bson
import numpy as np
import pytest
import safetensors.numpy
import torch
from PIL import Image
from support.bomb import Bomb
from support.digit_trials import is_one_line, post, the_trial
from support.fleet import Fleet, draft
from support.home import Home, Program, until
from support.lenets import load_model, save_model
from support.thread_workers import working

from hyperhive import cli
from hyperhive.common.errors import CheckpointError, DatasetError
from hyperhive.model.card import Card
from hyperhive.model.checkpoint import pack_weights, unpack_weights
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import digits
from hyperhive.model.model_files import CARD_FILE, WEIGHTS_FILE
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.store.errors import CorruptBlob
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.running.entry import Entry

CPU = torch.device("cpu")
BIAS = "classifier.5.bias"


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Path]:
    """Give the file that no bomb may make; at the end, prove that a bomb makes it."""
    path = tmp_path / "planted"
    yield path
    assert not path.exists(), "planted code was run"
    pickle.loads(pickle.dumps(Bomb(path)))
    assert path.exists(), "the bomb is a dud: this test proves nothing"


def pickles(planted: Path) -> list[bytes]:
    """Return the bomb as pickle writes it, and as torch.save does."""
    saved = io.BytesIO()
    torch.save({"weights": Bomb(planted)}, saved)
    return [pickle.dumps(Bomb(planted)), saved.getvalue()]


def weights(change: Callable[[dict[str, np.ndarray]], Any] = lambda arrays: None) -> bytes:
    """Return the weights of a model of three classes in colour, changed or not."""
    torch.manual_seed(1)
    arrays = {name: tensor.numpy() for name, tensor in LeNet5(3, 3).state_dict().items()}
    change(arrays)
    return bytes(safetensors.numpy.save(arrays))


def card_of(packed: bytes) -> Card:
    """Return a card in which everything fits such a model, the hash too."""
    sha256 = hashlib.sha256(packed).hexdigest()
    return Card(["bart", "lisa", "maggie"], 3, [0.5] * 3, [0.2] * 3, sha256, {}, {})


def bomb_of_zeros(members: dict[str, tuple[int, ...]]) -> bytes:
    """Return a compressed .npz whose arrays are zeros of these shapes."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, shape in members.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as member:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for _ in range(int(np.prod(shape)) >> 20):
                    member.write(bytes(1 << 20))
    return written.getvalue()


# -- weights ----------------------------------------------------------------------------------

MISFITS: dict[str, tuple[bytes, str]] = {
    "extra tensor": (weights(lambda t: t.update(extra=np.zeros(1, np.float32))), "extra"),
    "missing tensor": (weights(lambda t: t.pop(BIAS)), BIAS + " is missing"),
    "renamed tensor": (weights(lambda t: t.update({"x": t.pop(BIAS)})), BIAS),
    "wrong shape": (weights(lambda t: t.update({BIAS: t[BIAS][:2]})), BIAS),
    "wrong rank": (weights(lambda t: t.update({BIAS: t[BIAS][None]})), BIAS),
    "wrong type": (weights(lambda t: t.update({BIAS: t[BIAS].astype(np.float64)})), BIAS),
    "half precision": (weights(lambda t: t.update({BIAS: t[BIAS].astype(np.float16)})), BIAS),
    "no tensors": (safetensors.numpy.save({}), "missing"),
    "another network": (pack_weights(LeNet5(1, 3)), "features"),
    "more classes": (pack_weights(LeNet5(3, 10)), "classifier"),
    "nothing": (b"", "safetensors"),
    "text": (b"these are no weights", "safetensors"),
    "truncated": (weights()[:-1], "safetensors"),
    "only a header": (weights()[:2000], "safetensors"),
    "something after": (weights() + b"x", "safetensors"),
    "an endless header": (struct.pack("<Q", 1 << 62) + b"{}", "safetensors"),
    "a header beyond the file": (struct.pack("<Q", 1 << 20) + weights()[8:], "safetensors"),
    "a huge header": (struct.pack("<Q", 60 << 20) + b" " * (60 << 20), "safetensors"),
    "a header of another format": (struct.pack("<Q", 2) + b"[]", "safetensors"),
    "overlapping tensors": (
        weights().replace(b'"data_offsets":[0,', b'"data_offsets":[9,', 1),
        "safetensors",
    ),
    "a type numpy lacks": (weights().replace(b'"dtype":"F32"', b'"dtype":"X32"', 1), "safetensors"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_22_weights_that_are_not_the_networks_are_refused(misfit: str) -> None:
    """Weights whose hash is right, and that fit the network in no other way, are refused."""
    packed, complaint = MISFITS[misfit]
    with pytest.raises(CheckpointError, match=complaint):
        unpack_weights(packed, card_of(packed), CPU)


def test_22_oversized_weights_are_refused_unread(tmp_path: Path) -> None:
    """A file of more than 64 MiB is refused by its size, on disk and in memory."""
    save_model(tmp_path, weights(), card_of(weights()))
    with (tmp_path / WEIGHTS_FILE).open("ab") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(CheckpointError, match="too large"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match="too large for a model"):
        unpack_weights(bytes((64 << 20) + 1), card_of(b""), CPU)


def test_22_a_pickle_in_place_of_a_model_is_never_run(tmp_path: Path, planted: Path) -> None:
    """What torch.load would execute is refused as weights, whatever its hash, and as a card."""
    for bomb in pickles(planted):
        for card in (card_of(bomb), card_of(weights())):
            save_model(tmp_path, bomb, card)
            with pytest.raises(CheckpointError):
                load_model(tmp_path)
        (tmp_path / CARD_FILE).write_bytes(bomb)
        with pytest.raises(CheckpointError):
            load_model(tmp_path)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """Return the path of an image to classify."""
    Image.new("RGB", (28, 28)).save(tmp_path / "picture.png")
    return str(tmp_path / "picture.png")


def refused(home: Home, *arguments: str, **variables: str) -> str:
    """Return the one sentence with which predict-cam refuses a model."""
    done = home.call(*arguments, program=cli.predict_cam, **variables)
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    return done.stderr


def test_22_predict_cam_refuses_files_that_are_no_model(
    home: Home, planted: Path, picture: str
) -> None:
    """A pickle, a truncated file and a false header give one sentence each, and no output."""
    files = {
        "pickle": pickles(planted)[0],
        "half": weights()[:9999],
        "header": MISFITS["an endless header"][0],
    }
    for name, packed in files.items():
        save_model(home.work / name, packed, card_of(packed))
        said = refused(home, picture, "--model", name)
        assert "the weights are not a safetensors file" in said
        assert name in said
    assert not (home.work / "predictions").exists()


def test_22_predict_cam_refuses_what_is_planted_in_the_store(
    home: Home, store: Store, mongo_uri: str, planted: Path, picture: str
) -> None:
    """A study's weights and their reference are not trusted either."""
    (bomb, _) = pickles(planted)
    planted_weights = store.blobs.put(bomb, "weights").as_document()
    results = {
        "weights": {"card": card_of(bomb).to_json(), "weights": planted_weights},
        "card": {"card": bomb, "weights": planted_weights},
        "reference": {"card": card_of(bomb).to_json(), "weights": bomb},
    }
    said = {}
    for name, result in results.items():
        store.studies.open(name, {})
        store.studies.conclude(name, result)
        said[name] = refused(home, picture, "--study", name, HYPERHIVE_MONGO=mongo_uri)
    assert "study 'weights': the weights are not a safetensors file" in said["weights"]
    assert "study 'card': the model's card has missing or unknown fields" in said["card"]
    assert "a file reference in the store is incomplete" in said["reference"]


# -- data sets --------------------------------------------------------------------------------


def packed_with(**planted: Any) -> bytes:
    """Return the packed digits, some of the arrays others."""
    fields = {name: value for name, value in vars(digits()).items() if value is not None}
    arrays = {name: np.array(value) for name, value in fields.items()}
    written = io.BytesIO()
    np.savez(written, **{**arrays, **planted})
    return written.getvalue()


@pytest.mark.parametrize(
    "place", ["name", "classes", "train_images", "test_labels", "train_series", "extra"]
)
def test_22_a_pickle_in_a_packed_data_set_is_never_run(planted: Path, place: str) -> None:
    """An object array in place of an array is refused, and its code does not run."""
    data = packed_with(**{place: np.array([Bomb(planted)], dtype=object)})
    if place == "extra":
        Dataset.unpack(data, digits().content_hash)
    else:
        with pytest.raises(DatasetError):
            Dataset.unpack(data, digits().content_hash)


def test_22_a_pickle_in_place_of_a_packed_data_set_is_never_run(planted: Path) -> None:
    """A bare pickle is refused, and its code does not run."""
    for bomb in pickles(planted):
        with pytest.raises(DatasetError):
            Dataset.unpack(bomb, "0" * 64)


def promises(shape: tuple[int, ...]) -> bytes:
    """Return a packed data set whose images are promised in a shape, and are not there."""
    written = io.BytesIO()
    header = io.BytesIO()
    told = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, told)
    whole = zipfile.ZipFile(io.BytesIO(packed_with()))
    with whole, zipfile.ZipFile(written, "w") as archive:
        for name in whole.namelist():
            content = header.getvalue() if name == "train_images.npy" else whole.read(name)
            archive.writestr(name, content)
    return written.getvalue()


@pytest.mark.parametrize("place", ["name", "train_images"])
def test_22_a_data_set_that_would_fill_the_memory_is_refused(place: str) -> None:
    """Half a gigabyte of zeros in two megabytes is refused before it is unpacked."""
    packed = bomb_of_zeros({place: (1 << 9, 1 << 20)})
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match="must be uncompressed"):
            Dataset.unpack(packed, "0" * 64)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("images", [1 << 20, 1 << 40])
def test_22_a_data_set_that_promises_more_than_it_has_is_refused(images: int) -> None:
    """A header that speaks of gigabytes or petabytes that are not there does no harm."""
    with pytest.raises(DatasetError, match="cannot be read"):
        Dataset.unpack(promises((images, 28, 28, 1)), "0" * 64)


# -- the worker -------------------------------------------------------------------------------


def is_bad_payload(trial: Trial) -> bool:
    """Whether a trial ended at its first attempt because no worker could run it."""
    kind = (trial.error or {}).get("kind")
    return (trial.status, kind, trial.attempts) == (Status.ERROR, ErrorKind.BAD_PAYLOAD.value, 1)


def started(home: Home, uri: str) -> Program:
    return home.start("worker", "--slots", "1", HYPERHIVE_MONGO=uri)


def left_in_good_order(worker: Program) -> None:
    """Stop a worker; fail if it met anything that it did not expect."""
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert "Traceback" not in worker.said()
    assert "a new one starts" not in worker.said()


@pytest.mark.long
def test_22_a_worker_refuses_planted_trials_and_goes_on(
    home: Home, store: Store, mongo_uri: str, planted: Path
) -> None:
    """Pickles and bombs as data sets, in a configuration, in the cache: refused, the next is done.

    Trials that name code as hyperopt's own do, a pickled domain or a command, are left alone.
    """
    bomb, torch_file = pickles(planted)
    data_sets = {
        "object-arrays": packed_with(classes=np.array([Bomb(planted)], dtype=object)),
        "pickle": bomb,
        "torch": torch_file,
        "zeros": bomb_of_zeros({"train_images": (1 << 9, 1 << 20)}),
    }
    for tid, (name, packed) in enumerate(data_sets.items()):
        store.datasets.publish(name, packed, {})
        post(store, "s", tid, dataset=name)
    values = [bomb, {"$function": {"body": "0"}}, bson.Code("while (true) {}"), "__import__('os')"]
    for tid, value in enumerate(values, len(data_sets)):
        post(store, "s", tid, learning_rate=value)
    planted_trials = len(data_sets) + len(values)
    commands = [["domain_attachment", "FMinIter_Domain"], ["bandit_json evaluate", "os.system"]]
    commands += [["objective", "os.system"], ["objective", "hyperhive.worker.cli:worker"]]
    for tid, command in enumerate(commands):
        store.queue.post(Draft("foreign", tid, {"bandit": bomb}, {}, objective="lenet5"))
        change = {"misc.cmd": command, "attachments": {"FMinIter_Domain": bomb}}
        store.client.hyperhive.jobs.update_one({"exp_key": "foreign", "tid": tid}, {"$set": change})
    post(store, "s", planted_trials)
    cached = (
        Path(home.environment["XDG_CACHE_HOME"])
        / "hyperhive"
        / "datasets"
        / (digits().content_hash + ".npz")
    )
    cached.parent.mkdir(parents=True)
    cached.write_bytes(bomb)
    worker = started(home, mongo_uri)
    until(lambda: the_trial(store, "s", planted_trials).is_final, "the end of the honest trial")
    left_in_good_order(worker)
    assert the_trial(store, "s", planted_trials).status is Status.DONE
    for trial in store.trials.find("s", tids=range(planted_trials)):
        assert is_bad_payload(trial), trial.error
        assert trial.error is not None
        assert trial.error["message"]
    assert {trial.status for trial in store.trials.find("foreign")} == {Status.NEW}
    assert "is damaged and is fetched again" in worker.said()
    assert Dataset.unpack(cached.read_bytes(), digits().content_hash)


def test_22_a_worker_refuses_what_is_planted_in_its_outbox(
    fleet: Fleet, store: Store, planted: Path
) -> None:
    """A pickle, and entries of other types, stay where they are; what is honest is delivered."""
    bomb, _ = pickles(planted)
    store.queue.post(draft("s", 0))
    trial = store.queue.claim("dead", new_token(), ["quick"])
    assert trial is not None
    store.queue.post(draft("s", 1))
    outbox, here = fleet.outbox, store.identity()
    with Outbox("dead", outbox) as dead:
        dead.add(
            Entry(trial.id, str(trial.token), {"status": "ok", "loss": 0.5}, weights(), here), ""
        )
    honest = {"trial_id": trial.id, "token": trial.token, "result": {}, "weights": None}
    honest["store"] = here
    hostile = [
        bomb,
        bson.encode({**honest, "trial_id": {"$ne": None}}),
        bson.encode({**honest, "token": {"$ne": None}}),
        bson.encode({**honest, "result": bson.Code("0")}),
        bson.encode({**honest, "weights": "text"}),
        bson.encode({**honest, "surprise": 1}),
    ]
    for number, content in enumerate(hostile):
        (outbox / "dead" / f"0-{number}.bson").write_bytes(content)
    (outbox / "dead" / "0.2.batch").write_bytes(bson.encode(honest) + hostile[-1])
    worker = fleet.worker()
    until(lambda: the_trial(store, "s", 1).status is Status.DONE, "the next trial's end")
    left_in_good_order(worker)
    first = the_trial(store, "s")
    assert (first.status, first.attempts, first.late) == (Status.DONE, 1, 0)
    assert first.result == {"status": "ok", "loss": 0.5}
    assert worker.said().count("is damaged and stays where it is") == len(hostile) + 1
    assert len(fleet.undelivered()) == len(hostile) + 1


# -- the coordinator --------------------------------------------------------------------------


def test_22_a_coordinator_refuses_weights_that_a_worker_planted(
    home: Home, store: Store, mongo_uri: str, planted: Path
) -> None:
    """It ends with 1 and a sentence that names the worker, and keeps no model of it."""
    bomb, _ = pickles(planted)
    result = {
        "status": "ok",
        "loss": 0.01,
        "validation_accuracy": 0.99,
        "diverged": False,
        "history": [],
        "seconds": 1.0,
        "trained_on": {"device": "cpu"},
    }

    def deliver(through: Store, trial: Trial) -> None:
        ref = through.blobs.put(bomb, "weights").as_document()
        through.queue.finish(trial.id, str(trial.token), result, ref)

    command = ["coordinator", "--dataset", "digits", "--name", "s", "--trials", "2"]
    with working(mongo_uri, deliver):
        done = home.call(*command, HYPERHIVE_MONGO=mongo_uri)
    assert done.returncode == 1
    said = done.stderr
    assert "Traceback" not in said
    assert (
        "error: worker w0 delivered weights for s, the refit of trial 0 that cannot be used" in said
    )
    assert "--no-refit" in said
    assert not (home.work / "models" / "s" / "model.json").exists()
    study = store.studies.get("s")
    assert study is not None
    assert study.result is None


def test_22_a_worker_cannot_have_the_coordinator_delete_for_it(store: Store) -> None:
    """A finished trial whose weights are said to be another's file takes nothing along."""
    store.datasets.publish("set", b"data", {})
    file_id = store.client.hyperhive.fs.files.find_one()["_id"]
    under_way = store.blobs.put(b"another's upload", "weights")
    query = {"$type": "objectId", "$nin": [file_id]}
    claims = ({"file_id": file_id}, {"file_id": query}, {"file_id": None}, {})
    for tid, artifact in enumerate(claims):
        store.queue.post(Draft("s", tid, {}, {}, objective="lenet5"))
        trial = store.queue.claim("hostile", new_token(), ["lenet5"])
        assert trial is not None
        store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": 9.0}, artifact)
        store.drop_files(the_trial(store, "s", tid))
        assert the_trial(store, "s", tid).artifact is None
    assert store.datasets.fetch("set") == b"data"
    assert store.blobs.get(under_way) == b"another's upload"
    assert under_way.file_id in store.blobs.uploads_older_than(0)


@pytest.mark.parametrize(
    "reference",
    [{}, b"x", {"file_id": 1}, {"file_id": {"$ne": None}}, {"sha256": 7}, {"length": "9"}],
)
def test_22_a_reference_to_a_file_is_not_trusted(store: Store, reference: Any) -> None:
    """What is no reference is refused in words before the store is asked for it."""
    blob: Any = store.blobs.put(b"data", "name").as_document()
    if reference:
        blob = {**blob, **reference} if isinstance(reference, dict) else reference
    else:
        blob = {}
    document = {"_id": "set", "card": {}, "blob": blob}
    store.client.hyperhive.datasets.insert_one(document)
    with pytest.raises(CorruptBlob, match="a file reference in the store is"):
        store.datasets.fetch("set")
