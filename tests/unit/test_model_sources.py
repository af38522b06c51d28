"""Data sets by name: Fashion-MNIST, the CMU faces, and torchvision's other sets."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.errors import DatasetError, UsageError
from hyperhive.common.extras import advice
from hyperhive.model.data.loaded import LoadedDataset
from hyperhive.model.data.loading import DatasetRequest, load
from hyperhive.model.data.sources.known import TASKS

PEOPLE = ("an2i", "at33", "boland", "bpm", "ch4f")
POSES = ("left", "right", "straight", "up")


def read(name: str, data: Path | None, **how: Any) -> LoadedDataset:
    return load(DatasetRequest(name, data, **how), lambda done, total: None)


@pytest.fixture
def sets() -> Any:
    """Give ``torchvision.datasets``, which is not on every device."""
    return pytest.importorskip("torchvision.datasets")


def idx(array: np.ndarray) -> bytes:
    """Return an array as a file of the MNIST family: magic number, lengths, bytes."""
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim)
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, pack: Any = bytes, suffix: str = "") -> None:
    """Write ten classes: 20 training images and 10 test images."""
    random = np.random.RandomState(0)
    folder.mkdir(parents=True)
    for name, count in (("train", 20), ("t10k", 10)):
        images = random.randint(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{name}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
        (folder / f"{name}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))


# -- Fashion-MNIST ----------------------------------------------------------------------------


@pytest.mark.parametrize(("pack", "suffix"), [(bytes, ""), (gzip.compress, ".gz")])
def test_fashion_mnist_is_what_torchvision_reads(
    tmp_path: Path, sets: Any, pack: Any, suffix: str
) -> None:
    """Files as they are published, or unpacked, give torchvision's images, labels and classes."""
    write_idx(tmp_path / "mine" / "inside", pack, suffix)
    write_idx(tmp_path / "FashionMNIST" / "raw")
    dataset = read("fashion-mnist", tmp_path / "mine").dataset
    expected = sets.FashionMNIST(str(tmp_path), train=True)
    assert np.array_equal(dataset.train_images[..., 0], expected.data.numpy())
    assert np.array_equal(dataset.train_labels, expected.targets.numpy())
    assert len(dataset.test_labels) == 10
    assert dataset.classes == tuple(expected.classes)
    assert dataset.may_mirror
    assert dataset.name == "fashion-mnist"


def test_missing_and_damaged_files_are_named(tmp_path: Path, sets: Any) -> None:
    """What is not there, or is no such file, is told in a sentence."""
    with pytest.raises(DatasetError, match=r"no file train-images-idx3-ubyte or .*\.gz: give the"):
        read("fashion-mnist", tmp_path)
    write_idx(tmp_path / "raw")
    (tmp_path / "raw" / "t10k-images-idx3-ubyte").write_bytes(b"rubbish" * 9)
    with pytest.raises(DatasetError, match=r"^torchvision cannot read FashionMNIST \("):
        read("fashion-mnist", tmp_path)


def test_labels_of_other_images_are_refused(tmp_path: Path, sets: Any) -> None:
    """Of a file with more labels than images, torchvision would take the first ones."""
    write_idx(tmp_path / "raw")
    (tmp_path / "raw" / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(30, np.uint8)))
    with pytest.raises(DatasetError, match="FashionMNIST has 20 images and 30 labels: get new"):
        read("fashion-mnist", tmp_path)


def test_folders_with_the_names_of_the_files_are_looked_into(tmp_path: Path, sets: Any) -> None:
    """Some who pass the files on put each into a folder of the same name."""
    write_idx(tmp_path / "raw")
    for file in list((tmp_path / "raw").iterdir()):
        (tmp_path / file.name).mkdir()
        file.rename(tmp_path / file.name / file.name)
    assert len(read("fashion-mnist", tmp_path).dataset.train_labels) == 20


def test_without_torchvision_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The missing package is named with what brings it."""
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ModuleNotFoundError) as missing:
        read("torchvision:KMNIST", tmp_path)
    assert advice(missing.value) == "this needs torchvision: pip install 'hyperhive[torch]'"


# -- torchvision's others ---------------------------------------------------------------------


def cifar_batch(count: int, seed: int) -> bytes:
    pixels = np.random.RandomState(seed).randint(0, 256, (count, 3072)).astype(np.uint8)
    return pickle.dumps({"data": pixels, "labels": [n % 3 for n in range(count)]})


@pytest.fixture
def cifar(tmp_path: Path, sets: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a CIFAR-10 of three classes, with the hashes that torchvision asks for."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    files = {"data_batch_1": cifar_batch(9, 0), "test_batch": cifar_batch(6, 1)}
    files["batches.meta"] = pickle.dumps({"label_names": ["plane", "car", "bird"]})
    for name, content in files.items():
        (folder / name).write_bytes(content)
    hashes = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    of = sets.CIFAR10
    monkeypatch.setattr(of, "train_list", [["data_batch_1", hashes["data_batch_1"]]])
    monkeypatch.setattr(of, "test_list", [["test_batch", hashes["test_batch"]]])
    meta = {**of.meta, "md5": hashes["batches.meta"]}
    monkeypatch.setattr(of, "meta", meta)
    return tmp_path


def test_a_set_of_torchvision_is_named_by_its_class(cifar: Path, sets: Any) -> None:
    """Its items are the images, with train=False as the test split; --gray makes them grey."""
    loaded = read("torchvision:CIFAR10", cifar)
    dataset, expected = loaded.dataset, sets.CIFAR10(str(cifar), train=False)
    resized = [image.resize((28, 28), Image.Resampling.LANCZOS) for image, _ in expected]
    difference = np.abs(np.stack(resized).astype(int) - dataset.test_images)
    assert difference.max() <= 1
    assert dataset.test_labels.tolist() == expected.targets
    assert dataset.classes == ("plane", "car", "bird")
    assert (len(dataset.train_labels), dataset.channels, loaded.sizes) == (9, 3, {(32, 32): 15})
    assert read("torchvision:CIFAR10", cifar, gray=True).dataset.channels == 1
    assert read("torchvision:CIFAR10", cifar, image_size=32).dataset.image_size == 32


def test_a_set_without_test_labels_is_tested_on_its_validation_split(
    tmp_path: Path, sets: Any
) -> None:
    """Imagenette has train and val; of a class's names the first is taken."""
    if not hasattr(sets, "Imagenette"):
        pytest.skip("this torchvision has no Imagenette")
    for folder in sets.Imagenette._WNID_TO_CLASS:
        for split in ("train", "val"):
            path = tmp_path / "imagenette2" / split / folder / "0.JPEG"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (40, 30)).save(path, "JPEG")
    loaded = read("torchvision:Imagenette", tmp_path)
    assert loaded.details == (
        "splits: torchvision's split='train' is the train split, split='val' is the test split",
    )
    assert loaded.dataset.classes[0] == "tench"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torchvision", "needs the name of a class"),
        ("torchvision:Nonsense", "no data set Nonsense"),
        ("torchvision:EMNIST", "EMNIST cannot be named alone, it needs split"),
        ("torchvision:FakeData", "FakeData cannot be named alone"),
        ("torchvision:VisionDataset", "no data set VisionDataset"),
        ("torchvision:Pairs", "does not give images with the number of their class"),
        ("cmu-faces", "choose one of cmu-faces:person, cmu-faces:sunglasses"),
        ("sha256:12", "the 64 digits"),
    ],
)
def test_what_is_no_labelled_set_of_images_is_refused(
    tmp_path: Path, sets: Any, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    """A set that does not exist, cannot be named alone or has no labels is a usage error."""

    class Pairs(sets.VisionDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            return Image.new("L", (28, 28)), Image.new("L", (28, 28))

    monkeypatch.setattr(sets, "Pairs", Pairs, raising=False)
    monkeypatch.setattr(sets, "__all__", (*sets.__all__, "Pairs"))
    with pytest.raises(UsageError) as refused:
        read(name, tmp_path)
    assert said in str(refused.value)


# -- the faces --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the pictures of five people, 32x30 as the real ones, one of which is damaged."""
    folder = tmp_path_factory.mktemp("faces")
    random = np.random.RandomState(0)
    for person in PEOPLE:
        for pose in POSES:
            for look in ("angry_open", "sad_open", "angry_sunglasses", "sad_sunglasses"):
                pixels = random.randint(0, 128, (30, 32)).astype(np.uint8)
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "PPM")
                path = folder / person / f"{person}_{pose}_{look}_4.pgm"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(buffer.getvalue())
    (folder / "an2i" / "an2i_up_sad_open_4.pgm").write_bytes(b"P5 damaged")
    (folder / "an2i" / "an2i_up_angry_open_4.bad").write_bytes(b"no picture")
    return folder


def looks(loaded: LoadedDataset, part: slice, fields: tuple[int, ...]) -> set[tuple[str, ...]]:
    """Return what the names of some pictures say: person, pose, expression, eyes."""
    said = [Path(path).stem.split("_") for path in loaded.paths[part]]
    return {tuple(each[field] for field in fields) for each in said}


def check_apart(loaded: LoadedDataset, fields: tuple[int, ...]) -> None:
    own = len(loaded.dataset.train_labels) - loaded.dataset.validation
    test = len(loaded.dataset.train_labels)
    parts = [slice(0, own), slice(own, test), slice(test, None)]
    train, validation, tested = (looks(loaded, part, fields) for part in parts)
    assert len(train) + len(validation) + len(tested) == len(train | validation | tested)


@pytest.mark.parametrize("task", TASKS)
def test_near_identical_faces_are_in_one_split(faces: Path, task: str) -> None:
    """A person's pose with or without sunglasses is in one split; else all of a person are."""
    loaded = read(f"cmu-faces:{task}", faces)
    check_apart(loaded, (0, 1, 3) if task == "person" else (0,))
    assert loaded.dataset.channels == 1
    assert loaded.dataset.may_mirror == (task != "pose")
    assert loaded.sizes == {(32, 30): 79}
    assert len(loaded.notices) == 1
    assert "an2i_up_sad_open_4.pgm" in loaded.notices[0]
    with pytest.raises(DatasetError, match="an2i_up_sad_open_4"):
        read(f"cmu-faces:{task}", faces, strict=True)


def test_the_real_faces_are_split_by_people_and_by_looks(faces_zip: Path) -> None:
    """All 624 pictures are read; each split of each task has each class."""
    person = read("cmu-faces:person", faces_zip)
    check_apart(person, (0, 1, 3))
    assert (len(person.dataset.classes), len(person.paths)) == (20, 624)
    sunglasses = read("cmu-faces:sunglasses", faces_zip)
    check_apart(sunglasses, (0,))
    counts = {split: count.tolist() for split, count in sunglasses.dataset.counts().items()}
    assert counts == {"train": [190, 188], "validation": [61, 60], "test": [62, 63]}


def test_too_few_people_cannot_be_split(faces: Path) -> None:
    """The sentence says what the files must be named like."""
    with pytest.raises(DatasetError, match=r"1 people, and 5 or more are needed.*_4\.pgm"):
        read("cmu-faces:pose", faces / "an2i")
