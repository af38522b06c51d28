"""torchvision's data sets of labelled images, by the names of their classes."""

from __future__ import annotations

import contextlib
import gzip
import inspect
import io
import shutil
import tempfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, Iterator, Sequence

import numpy as np
from PIL import Image

from hyperhive.common import files, paths
from hyperhive.common.errors import DatasetError, UsageError
from hyperhive.model.data.cache import datasets_directory
from hyperhive.model.data.class_folders import CUT, TEST_FRACTION
from hyperhive.model.data.dataset import Dataset, require_room, stratified_split
from hyperhive.model.data.images import fit, pixels_of
from hyperhive.model.data.loaded import LoadedDataset
from hyperhive.model.data.sources.known import FASHION_MNIST

_HAS_SIDES = (
    *("GTSRB", "KMNIST", "MNIST", "Omniglot", "QMNIST", "RenderedSST2", "SEMEION", "SVHN"),
    "USPS",
)
"""Letters, numbers and traffic signs: a mirror image is another one, or none."""
_TESTED_ON_VAL = ("ImageNet", "Imagenette", "Places365")
"""They have no labelled test images; others compare their figures on the validation split."""
_GREY = frozenset(["1", "L", "LA", "I", "I;16"])
_FASHION_FILES = (
    *("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    *("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)


def read_fashion_mnist(data: Path | None, size: int, strict: bool, seed: int) -> LoadedDataset:
    """Return Fashion-MNIST (Xiao et al., arXiv:1708.07747): 60,000 and 10,000 grey 28x28 images.

    Raises as ``read_torchvision`` does.

    Args:
        data: a folder that has the four files, as they were published (``.gz``) or unpacked, at any
            depth; None to have torchvision download them.
        size: width and height that the images get, in pixels.
        strict: see ``read_torchvision``.
        seed: see ``read_torchvision``.
    """
    if data is None:
        return read_torchvision(FASHION_MNIST, "FashionMNIST", None, size, True, strict, seed)
    with tempfile.TemporaryDirectory() as root:
        _lay_out(data, Path(root) / "FashionMNIST" / "raw")
        return read_torchvision(FASHION_MNIST, "FashionMNIST", Path(root), size, True, strict, seed)


def read_torchvision(
    name: str, kind: str, root: Path | None, size: int, gray: bool, strict: bool, seed: int
) -> LoadedDataset:
    """Return one of torchvision's data sets whose items are an image and the number of its class.

    Images are read one by one, and only their squares at the network's size are kept. Raises
    ``UsageError`` for a set that is none of these, ``DatasetError`` if it cannot be downloaded or
    read, and ``ModuleNotFoundError`` if torchvision, or what it needs for this set, is missing.

    Args:
        name: of the data set.
        kind: the name of a class of ``torchvision.datasets``.
        root: the folder that torchvision calls so; None to download into the user's cache.
        size: width and height that the images get, in pixels.
        gray: read the images as grey.
        strict: raise ``DatasetError`` for images of different sizes.
        seed: decides the test split, if torchvision has none.
    """
    of, parameters = _class_of(kind)
    splits = _splits(kind, parameters)
    with _explained(kind, root):
        sets = [of(**_source(of, kind, parameters, root), **split) for split in splits]
    reader = _Reader(kind, root, size, gray, strict)
    parts = [reader.read(each) for each in sets]
    classes = _class_names(sets[0], max(int(labels.max()) for _, labels in parts) + 1)
    if len(parts) == 1:
        [(images, labels)] = parts
        kept, cut = stratified_split(labels, TEST_FRACTION, seed)
        parts = [(images[kept], labels[kept]), (images[cut], labels[cut])]
    (train, train_labels), (test, test_labels) = parts
    dataset = Dataset(
        *(name, classes, train, train_labels, test, test_labels),
        may_mirror=kind not in _HAS_SIDES,
    )
    return LoadedDataset(dataset, (_origin(splits),), reader.notices(), sizes=reader.sizes)


class _Reader:
    """Reads splits; ``sizes`` counts the images' widths and heights."""

    def __init__(self, kind: str, root: Path | None, size: int, gray: bool, strict: bool) -> None:
        self._kind = kind
        self._root = root
        self._size = size
        self._channels = 1 if gray else 0
        self._strict = strict
        self.sizes: Counter[tuple[int, int]] = Counter()

    def read(self, items: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return all images of a split ``[N, S, S, C]``, and their labels ``[N]``."""
        count = len(items)
        targets = getattr(items, "targets", None)
        if targets is not None and len(targets) != count:  # torchvision reads the first of them
            raise DatasetError(
                f"torchvision's {self._kind} has {count:,} images and {len(targets):,} labels: get "
                "new copies of its files"
            )
        self._channels = self._channels or (1 if self._item(items, 0)[0].mode in _GREY else 3)
        require_room(count, self._size, self._channels)
        images = np.empty((count, self._size, self._size, self._channels), np.uint8)
        labels = np.empty(count, np.int64)
        for index in range(count):
            image, labels[index] = self._item(items, index)
            self.sizes[image.size] += 1
            if self._strict and len(self.sizes) > 1:
                raise DatasetError(
                    f"torchvision's {self._kind}: images differ in size: omit --strict"
                )
            images[index] = fit(pixels_of(image), self._channels, self._size)
        return images, labels

    def notices(self) -> tuple[str, ...]:
        """Return a sentence if images were of different sizes."""
        if len(self.sizes) < 2:
            return ()
        (small, large) = min(self.sizes), max(self.sizes)
        return (
            f"images differ in size, from {small[0]}x{small[1]} to {large[0]}x{large[1]}; the "
            "centred square of each is taken and resized",
        )

    def _item(self, items: Any, index: int) -> tuple[Image.Image, int]:
        with _explained(self._kind, self._root):
            item = items[index]
        if isinstance(item, tuple) and len(item) == 2:
            image, label = item
            if isinstance(image, Image.Image) and isinstance(label, (int, np.integer)):
                return image, int(label)
        raise UsageError(
            f"torchvision's {self._kind} does not give images with the number of their class: "
            "choose another set"
        )


def _class_of(kind: str) -> tuple[Any, dict[str, inspect.Parameter]]:
    """Return a class of ``torchvision.datasets``, and the parameters of its constructor."""
    from torchvision import datasets

    of = getattr(datasets, kind, None) if kind in datasets.__all__ else None
    if not inspect.isclass(of) or of is datasets.VisionDataset:  # the base of the others
        raise UsageError(f"the installed torchvision has no data set {kind}: see its documentation")
    parameters = dict(inspect.signature(of).parameters)
    needs = [
        each.name
        for each in parameters.values()
        if each.default is each.empty and each.kind is not each.VAR_KEYWORD and each.name != "root"
    ]
    if needs or "root" not in parameters:
        raise UsageError(
            f"torchvision's {kind} cannot be named alone, it needs {' and '.join(needs) or 'more'}:"
            " choose another set"
        )
    return of, parameters


def _splits(kind: str, parameters: dict[str, inspect.Parameter]) -> list[dict[str, Any]]:
    """Return the arguments for training and test images; one that is empty if there is no test."""
    if "train" in parameters:
        return [{"train": True}, {"train": False}]
    if "split" in parameters:
        usual = str(parameters["split"].default)  # some have trainval, or train-standard
        test = "val" if kind in _TESTED_ON_VAL else "test"
        return [{"split": usual if usual.startswith("train") else "train"}, {"split": test}]
    return [{}]


def _origin(splits: Sequence[dict[str, Any]]) -> str:
    if len(splits) == 1:
        return f"splits: {CUT}, chosen by the seed"
    first, second = (f"{key}={value!r}" for split in splits for key, value in split.items())
    return f"splits: torchvision's {first} is the train split, {second} is the test split"


def _source(
    of: Any, kind: str, parameters: dict[str, inspect.Parameter], root: Path | None
) -> dict[str, Any]:
    """Return the arguments for where the files are, and whether they are to be downloaded."""
    takes_more = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    can_download = "download" in parameters or takes_more
    if root is not None:
        if not root.is_dir():
            raise DatasetError(f"there is no folder at {root}")
        return {"root": str(root), **({"download": False} if "download" in parameters else {})}
    if not can_download:
        raise UsageError(
            f"torchvision cannot download {kind}: give the folder that it calls root with --data"
        )
    folder = datasets_directory() / "torchvision"
    files.require_writable(folder, "downloaded data sets", paths.advice("cache"))
    folder.mkdir(parents=True, exist_ok=True)
    return {"root": str(folder), "download": True}


def _class_names(items: Any, count: int) -> tuple[str, ...]:
    """Return the names that torchvision has for the classes, or else their numbers."""
    names = getattr(items, "classes", None) or getattr(items, "categories", None)
    if not isinstance(names, (list, tuple)) or not names:
        return tuple(map(str, range(count)))
    # Some have several names for a class, the usual one first.
    return tuple(str(name[0] if isinstance(name, tuple) else name) for name in names)


@contextlib.contextmanager
def _explained(kind: str, root: Path | None) -> Iterator[None]:
    """Raise ``DatasetError`` for what torchvision raises, and print nothing that it prints."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except (ModuleNotFoundError, DatasetError, UsageError):
        raise
    # For damaged or missing files and for a failed download, it raises almost anything:
    # RuntimeError, URLError, AssertionError, EOFError, UnpicklingError, KeyError, ...
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        cure = "check that its files are undamaged, and are where torchvision looks for them"
        if root is None:
            cure = "check the network, or give its folder with --data PATH"
        raise DatasetError(f"torchvision cannot read {kind} ({reason}): {cure}") from error


def _lay_out(data: Path, raw: Path) -> None:
    """Put the files of Fashion-MNIST where torchvision looks for them, unpacked."""
    raw.mkdir(parents=True)
    for name in _FASHION_FILES:
        named = [*data.rglob(name), *data.rglob(name + ".gz")]
        found = sorted(path for path in named if path.is_file())  # a folder may be called so too
        if not found:
            raise DatasetError(
                f"{data} has no file {name} or {name}.gz: give the folder with the four files of "
                "Fashion-MNIST, or omit --data"
            )
        try:
            unpacked = gzip.open if found[0].suffix == ".gz" else open
            with unpacked(found[0], "rb") as source, (raw / name).open("wb") as target:
                shutil.copyfileobj(source, target)
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetError(f"{found[0]} cannot be read ({error}): get a new copy") from error
