"""Where data sets come from: Simpsons-MNIST, scikit-learn's digits, any folder of class folders."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from hyperhive.common.errors import DatasetError, UsageError
from hyperhive.model.data.dataset import Dataset, stratified_split
from hyperhive.model.data.download import Progress, simpsons_archive
from hyperhive.model.data.image_tree import Files
from hyperhive.model.data.images import SUFFIXES, decode, fit

NAMES = ("simpsons", "simpsons-gray", "digits", "folder")
TEST_FRACTION = 0.2
_TRAIN, _TEST = "train", "test"
_TOP = PurePosixPath(".")
_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Request:
    """Which data set is asked for, and how to read it.

    Args:
        name: one of ``NAMES``.
        data: a folder or zip to read; None where the data set can be had otherwise.
        gray: read a folder's images as grey.
        strict: refuse images that cannot be read, or differ in size, in place of naming them.
        seed: of the test split, for data that come without one.
    """

    name: str
    data: Path | None = None
    gray: bool = False
    strict: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Loaded:
    """A data set, and sentences about it that its owner should read."""

    dataset: Dataset
    notices: tuple[str, ...] = ()


def load(request: Request, progress: Progress) -> Loaded:
    """Read a data set; raises ``DatasetError``, or ``UsageError`` for a request without sense.

    Simpsons-MNIST without ``data`` is downloaded once and kept in the user's cache directory;
    ``progress(done, total)`` is called with bytes meanwhile.
    """
    if request.name not in NAMES:
        raise UsageError(
            "no data set is called {!r}: choose one of {}".format(request.name, ", ".join(NAMES))
        )
    if request.name == "digits":
        if request.data is not None:
            raise UsageError("the digits come with scikit-learn: leave --data away")
        return Loaded(digits())
    if request.name == "folder":
        if request.data is None:
            raise UsageError("--dataset folder needs --data PATH: a folder of class folders")
        with Files(request.data) as files:
            return _FolderReader(files, request.data.resolve().stem, request).read(_TOP)
    with Files(request.data or simpsons_archive(progress)) as files:
        return _FolderReader(files, request.name, request).read(_simpsons_root(files, request.name))


def looks_like_simpsons(data: Path) -> bool:
    """Return whether a folder or zip is laid out as the public repository of Simpsons-MNIST."""
    with Files(data) as files:
        return _find_simpsons_root(files, "simpsons") is not None


def digits() -> Dataset:
    """Return scikit-learn's bundled digits (1,797 grey images, 8x8), enlarged, split 80:20."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # 16 grey levels, 0 to 16, to a byte.
    pixels = np.clip(np.round(bunch.images * (255 / 16)), 0, 255).astype(np.uint8)
    images = np.stack([fit(np.repeat(image[..., None], 3, axis=2), 1) for image in pixels])
    labels = bunch.target.astype(np.int64)
    train, test = stratified_split(labels, TEST_FRACTION, seed=0)
    classes = tuple(str(digit) for digit in range(10))
    return Dataset("digits", classes, images[train], labels[train], images[test], labels[test])


def _simpsons_root(files: Files, name: str) -> PurePosixPath:
    root = _find_simpsons_root(files, name)
    if root is None:
        raise DatasetError(
            f"{files.root} is not laid out as the repository alvarobartt/simpsons-mnist "
            "(dataset/rgb/train/"
            "CLASS/*.jpg): for other images say --dataset folder"
        )
    return root


def _find_simpsons_root(files: Files, name: str) -> PurePosixPath | None:
    form = "grayscale" if name == "simpsons-gray" else "rgb"
    for folder in sorted(files.folders, key=lambda path: len(path.parts)):
        matches = folder.name == form and folder.parent.name in ("dataset", "")
        if matches and {_TRAIN, _TEST} <= set(files.subfolders(folder)):
            return folder
    return None


class _FolderReader:
    """Reads class folders, and remembers what its owner should be told."""

    def __init__(self, files: Files, name: str, request: Request) -> None:
        self._files = files
        self._name = name
        self._request = request
        self._channels = 1 if request.gray or name == "simpsons-gray" else 3
        self._unreadable: list[str] = []
        self._sizes: dict[tuple[int, int], str] = {}

    def read(self, root: PurePosixPath) -> Loaded:
        """Read ``train/`` and ``test/`` below ``root``, or split one set of class folders."""
        root = self._descend(root)
        top = self._files.subfolders(root)
        if _TRAIN in top and _TEST in top:
            classes, train_images, train_labels = self._read_split(root / _TRAIN)
            test_classes, test_images, test_labels = self._read_split(root / _TEST)
            if classes != test_classes:
                differing = ", ".join(sorted(set(classes) ^ set(test_classes)))
                raise DatasetError(
                    f"{self._files.root}: train/ and test/ must have the same classes; only "
                    "one of them has "
                    f"{differing}"
                )
        else:
            classes, images, labels = self._read_split(root)
            train, test = stratified_split(labels, TEST_FRACTION, self._request.seed)
            train_images, train_labels = images[train], labels[train]
            test_images, test_labels = images[test], labels[test]
        dataset = Dataset(
            self._name, tuple(classes), train_images, train_labels, test_images, test_labels
        )
        return Loaded(dataset, self._notices())

    def _descend(self, root: PurePosixPath) -> PurePosixPath:
        """Step into a folder that is alone at its level: archives often wrap all in one."""
        while True:
            inside = self._files.subfolders(root)
            if len(inside) != 1 or not self._files.subfolders(root / inside[0]):
                return root
            root = root / inside[0]

    def _read_split(self, folder: PurePosixPath) -> tuple[list[str], np.ndarray, np.ndarray]:
        classes = self._files.subfolders(folder)
        if len(classes) < 2:
            raise DatasetError(
                f"{self._files.root}: found {len(classes)} class folders in {folder}, and "
                "two or more are needed, each with that "
                "class's images"
            )
        by_class = collections.defaultdict(list)
        for path in self._files:
            if path.suffix.lower() in SUFFIXES and folder in path.parents:
                inside = path.relative_to(folder)
                if len(inside.parts) > 1:
                    by_class[inside.parts[0]].append(path)
        images, labels = [], []
        for label, name in enumerate(classes):
            readable = [
                image for image in map(self._read_image, by_class[name]) if image is not None
            ]
            if len(readable) < 2:
                raise DatasetError(
                    f"{self._files.root}: class folder {folder / name} has {len(readable)} "
                    "readable images; it needs two at least, or must "
                    "go"
                )
            images.extend(readable)
            labels.extend([label] * len(readable))
        return classes, np.stack(images), np.array(labels, dtype=np.int64)

    def _read_image(self, path: PurePosixPath) -> np.ndarray | None:
        try:
            image = decode(self._files.read(path))
        except DatasetError as error:
            if self._request.strict:
                raise DatasetError(f"{self._files.root}: {path} cannot be read: {error}") from error
            self._unreadable.append(f"{path} ({error})")
            return None
        self._sizes.setdefault(image.shape[:2], str(path))
        if self._request.strict and len(self._sizes) > 1:
            raise DatasetError(f"{self._files.root}: {self._size_sentence()}")
        return fit(image, self._channels)

    def _notices(self) -> tuple[str, ...]:
        notices = []
        if self._unreadable:
            shown = self._unreadable[:_NAMED_AT_MOST]
            more = len(self._unreadable) - len(shown)
            notices.append(
                "left out {} unreadable images: {}{}".format(
                    len(self._unreadable),
                    ", ".join(shown),
                    f" and {more} more" if more else "",
                )
            )
        if len(self._sizes) > 1:
            notices.append(
                f"{self._size_sentence()}; the centred square of each is taken and resized"
            )
        return tuple(notices)

    def _size_sentence(self) -> str:
        (small, first), (large, second) = min(self._sizes.items()), max(self._sizes.items())
        return (
            f"images differ in size ({first} is {small[1]}x{small[0]}, "
            f"{second} is {large[1]}x{large[0]})"
        )
