"""Data sets by name: those that are known, or any folder of class folders."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Callable

import numpy as np

from hyperhive.common.errors import DatasetError, UsageError
from hyperhive.common.text import printable
from hyperhive.model.data.cache import DatasetCache
from hyperhive.model.data.class_folders import CUT, TEST_FRACTION, ClassFolders
from hyperhive.model.data.dataset import TEST, TRAIN, Dataset, stratified_split
from hyperhive.model.data.download import Progress, simpsons_archive
from hyperhive.model.data.image_tree import ImageTree
from hyperhive.model.data.images import LARGEST_SIZE, SIZE, fit, is_image_size
from hyperhive.model.data.loaded import LoadedDataset
from hyperhive.model.data.sources.cmu_faces import read_faces
from hyperhive.model.data.sources.known import (
    CMU_FACES,
    DIGITS,
    FASHION_MNIST,
    FOLDER,
    TORCHVISION,
    published_hash,
    require_known,
)
from hyperhive.model.data.sources.torchvision_sets import read_fashion_mnist, read_torchvision

_TOP = PurePosixPath(".")
_WITHOUT_DATA = {
    FOLDER: "a folder of class folders",
    CMU_FACES: "a folder or zip with the CMU Face Images, which the UCI Machine Learning "
    "Repository has (unpack its faces_4.tar.gz)",
}
Fetch = Callable[[str], bytes]
"""Returns the packed data set with this hash from a store."""


@dataclass(frozen=True)
class DatasetRequest:
    """Which data set to load, and how to read it.

    Args:
        name: see ``sources/known.py``.
        data: a folder or zip to read; None to download it, or for what needs none.
        gray: read the images as grey.
        strict: raise ``DatasetError`` for whatever is left out and for images of different sizes,
            instead of a notice.
        seed: decides the test split, if there is none.
        image_size: width and height that all images get, in pixels, 28 to 224.
        drop_duplicates: keep only one of pictures that are the same, see ``copies.drop_copies``.
        mirror: whether mirror images are of the same class; None for what the data set says.

    Raises ``UsageError`` for another size.
    """

    name: str
    data: Path | None = None
    gray: bool = False
    strict: bool = False
    seed: int = 0
    image_size: int = SIZE
    drop_duplicates: bool = False
    mirror: bool | None = None

    def __post_init__(self) -> None:
        if not is_image_size(self.image_size):
            raise UsageError(
                f"image_size must be a whole number from {SIZE} to {LARGEST_SIZE}, not "
                f"{self.image_size!r:.60}"
            )

    @property
    def published(self) -> str | None:
        """The hash of a data set that is in the store; None for any other."""
        return published_hash(self.name)


def load(request: DatasetRequest, progress: Progress, fetch: Fetch | None = None) -> LoadedDataset:
    """Load a data set, with notices of pictures that are there more than once; see ``read``."""
    loaded = read(request, progress, fetch)
    return loaded if request.drop_duplicates else loaded.with_copies_noted()


def read(request: DatasetRequest, progress: Progress, fetch: Fetch | None = None) -> LoadedDataset:
    """Read a data set; raises ``DatasetError``, or ``UsageError`` for a contradictory request.

    What is downloaded is kept in the user's cache directory.

    Args:
        request: which data set.
        progress: called during the download of Simpsons-MNIST.
        fetch: gives what is in the store; None where there is no store.
    """
    require_known(request.name)
    loaded = _load(request, progress, fetch)
    if request.mirror is not None:
        changed = dataclasses.replace(loaded.dataset, may_mirror=request.mirror)
        loaded = dataclasses.replace(loaded, dataset=changed)
    return loaded.without_copies() if request.drop_duplicates else loaded


def _load(request: DatasetRequest, progress: Progress, fetch: Fetch | None) -> LoadedDataset:
    data, name, size = request.data, request.name, request.image_size
    base, _, rest = name.partition(":")
    if request.published is not None:
        return LoadedDataset(_fetched(request, request.published, fetch))
    if base == TORCHVISION:
        return read_torchvision(name, rest, data, size, request.gray, request.strict, request.seed)
    if base == FASHION_MNIST:
        return read_fashion_mnist(data, size, request.strict, request.seed)
    if base == DIGITS:
        if data is not None:
            raise UsageError("the digits come with scikit-learn: omit --data")
        return LoadedDataset(digits(size), (f"splits: {CUT}",), sizes={(8, 8): 1797})
    if data is None and base in _WITHOUT_DATA:
        raise UsageError(f"--dataset {name} needs --data PATH: {_WITHOUT_DATA[base]}")
    with ImageTree(data or simpsons_archive(progress)) as tree:
        if base == CMU_FACES:
            return read_faces(tree, rest, size, request.strict)
        if base == FOLDER:
            return _read(tree, _TOP, printable(tree.root.resolve().stem), request)
        return _read(tree, _simpsons_root(tree, name), name, request)


def _fetched(request: DatasetRequest, content_hash: str, fetch: Fetch | None) -> Dataset:
    """Return a published data set, which is as it is."""
    if request.data is not None or request.gray or request.strict:
        raise UsageError(
            f"data set {request.name[:19]}... is in the store: omit --data, --gray and --strict"
        )
    if fetch is None:
        raise UsageError(
            f"data set {request.name[:19]}... is in a coordinator's store: use it with "
            "`hyperhive coordinator`"
        )
    dataset = DatasetCache().get(content_hash, fetch)
    if request.image_size not in (SIZE, dataset.image_size):
        raise UsageError(
            f"data set {request.name[:19]}... has images of {dataset.image_size} pixels: omit "
            "--image-size"
        )
    return dataset


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
    return Dataset(
        *("digits", classes, images[train], labels[train], images[test], labels[test]),
        may_mirror=False,
    )


def _read(
    tree: ImageTree, root: PurePosixPath, name: str, request: DatasetRequest
) -> LoadedDataset:
    channels = 1 if request.gray or request.name == "simpsons-gray" else 3
    reader = ClassFolders(tree, channels, request.image_size, request.strict)
    dataset = reader.read(root, name, request.seed)
    return LoadedDataset(
        dataset, reader.details(root), reader.notices(), reader.paths, dict(reader.sizes)
    )


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
