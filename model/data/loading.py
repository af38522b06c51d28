"""Data sets by name: Simpsons-MNIST, scikit-learn's digits, or any folder of class folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Mapping

import numpy as np

from hyperhive.common.errors import DatasetError, UsageError
from hyperhive.common.text import printable
from hyperhive.model.data.class_folders import (
    CUT,
    SPLITS,
    TEST,
    TEST_FRACTION,
    TRAIN,
    VALIDATION,
    ClassFolders,
)
from hyperhive.model.data.dataset import Dataset, stratified_split
from hyperhive.model.data.download import Progress, simpsons_archive
from hyperhive.model.data.image_tree import ImageTree
from hyperhive.model.data.images import LARGEST_SIZE, SIZE, fit, is_image_size

NAMES = ("simpsons", "simpsons-gray", "digits", "folder")
"""``load`` reads each. The commands' ``--help`` and docs/studies.md list them too."""
_TOP = PurePosixPath(".")
_LISTED_AT_MOST = 12


@dataclass(frozen=True)
class DatasetRequest:
    """Which data set to load, and how to read it.

    Args:
        name: one of ``NAMES``.
        data: a folder or zip to read; None to download Simpsons-MNIST, or for the digits.
        gray: read the images of a folder as grey.
        strict: raise ``DatasetError`` for whatever is left out and for images of different sizes,
            instead of a notice.
        seed: decides the test split of a folder that has none.
        image_size: width and height that all images get, in pixels, 28 to 224.

    Raises ``UsageError`` for another size.
    """

    name: str
    data: Path | None = None
    gray: bool = False
    strict: bool = False
    seed: int = 0
    image_size: int = SIZE

    def __post_init__(self) -> None:
        if not is_image_size(self.image_size):
            raise UsageError(
                f"image_size must be a whole number from {SIZE} to {LARGEST_SIZE}, not "
                f"{self.image_size!r:.60}"
            )


@dataclass(frozen=True)
class LoadedDataset:
    """A data set, what it was made from, and sentences about it that its owner should read.

    Args:
        dataset: the data set.
        details: where the splits come from, and what was left out because nobody misses it.
        notices: sentences about what may be a mistake.
    """

    dataset: Dataset
    details: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def contents(self) -> list[str]:
        """Return lines that say what will be trained on: classes, and images in each split."""
        dataset = self.dataset
        classes, size = dataset.classes, dataset.image_size
        own = len(dataset.train_labels) - dataset.validation
        splits = {TRAIN: dataset.train_labels[:own], TEST: dataset.test_labels}
        if dataset.validation:
            splits[VALIDATION] = dataset.train_labels[own:]
        counts = {name: np.bincount(splits[name]) for name in SPLITS if name in splits}
        images = len(dataset.train_labels) + len(dataset.test_labels)
        rest = range(_LISTED_AT_MOST, len(classes))
        return [
            f"data set {dataset.name}: {len(classes):,} classes, {images:,} images in "
            + ("colour" if dataset.channels == 3 else "grey")
            + ("" if size == SIZE else f" of {size}x{size}"),
            *(
                f"  {name}: " + ", ".join(f"{c[label]:,} {split}" for split, c in counts.items())
                for label, name in enumerate(classes[:_LISTED_AT_MOST])
            ),
            *([f"  and {len(rest):,} more: " + _ranges(counts, rest)] if rest else []),
            *(f"  {detail}" for detail in self.details),
        ]


def load(request: DatasetRequest, progress: Progress) -> LoadedDataset:
    """Load a data set; raises ``DatasetError``, or ``UsageError`` for a contradictory request.

    Simpsons-MNIST without ``data`` is downloaded once and kept in the user's cache directory.

    Args:
        request: which data set.
        progress: called during the download.
    """
    if request.name not in NAMES:
        raise UsageError(f"unknown data set {request.name!r}: choose one of {', '.join(NAMES)}")
    if request.name == "digits":
        if request.data is not None:
            raise UsageError("the digits come with scikit-learn: omit --data")
        return LoadedDataset(digits(request.image_size), (f"splits: {CUT}",))
    if request.name == "folder":
        if request.data is None:
            raise UsageError("--dataset folder needs --data PATH: a folder of class folders")
        with ImageTree(request.data) as tree:
            return _read(tree, _TOP, printable(request.data.resolve().stem), request)
    with ImageTree(request.data or simpsons_archive(progress)) as tree:
        return _read(tree, _simpsons_root(tree, request.name), request.name, request)


def looks_like_simpsons(data: Path) -> bool:
    """Return whether a folder or zip has the layout of Simpsons-MNIST's public repository."""
    with ImageTree(data) as tree:
        return _find_simpsons_root(tree, "simpsons") is not None


def digits(image_size: int = SIZE) -> Dataset:
    """Return scikit-learn's digits (1,797 grey images, 8x8), enlarged and split 80:20."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # The 17 grey levels 0 to 16 are spread over a byte.
    pixels = np.clip(np.round(bunch.images * (255 / 16)), 0, 255).astype(np.uint8)
    images = np.stack(
        [fit(np.repeat(image[..., None], 3, axis=2), 1, image_size) for image in pixels]
    )
    labels = bunch.target.astype(np.int64)
    train, test = stratified_split(labels, TEST_FRACTION, seed=0)
    classes = tuple(str(digit) for digit in range(10))
    return Dataset("digits", classes, images[train], labels[train], images[test], labels[test])


def _read(
    tree: ImageTree, root: PurePosixPath, name: str, request: DatasetRequest
) -> LoadedDataset:
    channels = 1 if request.gray or request.name == "simpsons-gray" else 3
    reader = ClassFolders(tree, channels, request.image_size, request.strict)
    dataset = reader.read(root, name, request.seed)
    return LoadedDataset(dataset, reader.details(root), reader.notices())


def _ranges(counts: Mapping[str, np.ndarray], labels: range) -> str:
    """Return how many images the classes have in each split: ``5 to 8 train, 2 test``."""
    phrases = []
    for split, count in counts.items():
        fewest, most = count[labels].min(), count[labels].max()
        phrases.append((f"{fewest:,} to " if fewest < most else "") + f"{most:,} {split}")
    return ", ".join(phrases)


def _simpsons_root(tree: ImageTree, name: str) -> PurePosixPath:
    root = _find_simpsons_root(tree, name)
    if root is None:
        raise DatasetError(
            f"{tree.root} does not have the layout of the repository alvarobartt/simpsons-mnist "
            "(dataset/rgb/train/CLASS/*.jpg): for other images pass --dataset folder"
        )
    return root


def _find_simpsons_root(tree: ImageTree, name: str) -> PurePosixPath | None:
    """Return the folder that has ``train/`` and ``test/``; of several, the topmost one."""
    form = "grayscale" if name == "simpsons-gray" else "rgb"
    for folder in sorted(tree.folders, key=lambda path: len(path.parts)):
        matches = folder.name == form and folder.parent.name in ("dataset", "")
        if matches and {TRAIN, TEST} <= set(tree.subfolders(folder)):
            return folder
    return None
