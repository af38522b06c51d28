"""A data set from class folders: the images of each class in a folder with the class's name."""

from __future__ import annotations

import collections
from pathlib import PurePosixPath

import numpy as np

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.dataset import Dataset, stratified_split
from hyperhive.model.data.image_tree import ImageTree
from hyperhive.model.data.images import SUFFIXES, decode, fit

TEST_FRACTION = 0.2
TRAIN, TEST = "train", "test"
_LISTED_AT_MOST = 5


class ClassFolders:
    """Reads class folders, and collects what the owner of the images should know.

    Args:
        tree: the files.
        channels: 1 to read the images as grey, 3 for colour.
        strict: raise ``DatasetError`` for an image that cannot be read and for images of different
            sizes, instead of a notice.
    """

    def __init__(self, tree: ImageTree, channels: int, strict: bool) -> None:
        self._tree = tree
        self._channels = channels
        self._strict = strict
        self._unreadable: list[str] = []
        self._sizes: dict[tuple[int, int], str] = {}

    def read(self, root: PurePosixPath, name: str, seed: int) -> Dataset:
        """Return the data set below a folder; raises ``DatasetError``.

        Args:
            root: has ``train/`` and ``test/`` with class folders, or class folders, which are split
                80:20. Folders that wrap everything are passed over.
            name: of the data set.
            seed: decides the split, if there is none.
        """
        root = self._unwrapped(root)
        if {TRAIN, TEST} <= set(self._tree.subfolders(root)):
            classes, train_images, train_labels = self._read_split(root / TRAIN)
            test_classes, test_images, test_labels = self._read_split(root / TEST)
            if classes != test_classes:
                differing = ", ".join(sorted(set(classes) ^ set(test_classes)))
                raise DatasetError(
                    f"{self._tree.root}: train/ and test/ must have the same classes, but only one "
                    f"of them has {differing}"
                )
        else:
            classes, images, labels = self._read_split(root)
            train, test = stratified_split(labels, TEST_FRACTION, seed)
            train_images, train_labels = images[train], labels[train]
            test_images, test_labels = images[test], labels[test]
        return Dataset(name, tuple(classes), train_images, train_labels, test_images, test_labels)

    def notices(self) -> tuple[str, ...]:
        """Return sentences about images that were left out or resized."""
        notices = []
        if self._unreadable:
            listed = self._unreadable[:_LISTED_AT_MOST]
            more = len(self._unreadable) - len(listed)
            notices.append(
                f"left out {len(self._unreadable)} unreadable images: {', '.join(listed)}"
                + (f" and {more} more" if more else "")
            )
        if len(self._sizes) > 1:
            notices.append(
                f"{self._size_sentence()}; the centred square of each is taken and resized"
            )
        return tuple(notices)

    def _unwrapped(self, root: PurePosixPath) -> PurePosixPath:
        """Return the first folder inside which is a choice: archives often wrap all in one."""
        while True:
            inside = self._tree.subfolders(root)
            if len(inside) != 1 or not self._tree.subfolders(root / inside[0]):
                return root
            root = root / inside[0]

    def _read_split(self, folder: PurePosixPath) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Return class names, images ``[N, 28, 28, C]`` and labels ``[N]`` of class folders."""
        classes = self._tree.subfolders(folder)
        if len(classes) < 2:
            raise DatasetError(
                f"{self._tree.root}: found {len(classes)} class folders in {folder}, but needs two "
                "or more, each with the images of its class"
            )
        paths = self._paths_by_class(folder)
        images, labels = [], []
        for label, name in enumerate(classes):
            decoded = [self._read_image(path) for path in paths[name]]
            readable = [image for image in decoded if image is not None]
            if len(readable) < 2:
                raise DatasetError(
                    f"{self._tree.root}: class folder {folder / name} has {len(readable)} readable "
                    "images, but needs two or more: add images, or remove the folder"
                )
            images.extend(readable)
            labels.extend([label] * len(readable))
        return classes, np.stack(images), np.array(labels, dtype=np.int64)

    def _paths_by_class(self, folder: PurePosixPath) -> dict[str, list[PurePosixPath]]:
        """Return the images in each class folder, at any depth."""
        paths = collections.defaultdict(list)
        for path in self._tree:
            if path.suffix.lower() in SUFFIXES and folder in path.parents:
                inside = path.relative_to(folder)
                if len(inside.parts) > 1:
                    paths[inside.parts[0]].append(path)
        return paths

    def _read_image(self, path: PurePosixPath) -> np.ndarray | None:
        """Return an image at the network's size; None if it cannot be read."""
        try:
            image = decode(self._tree.read(path))
        except DatasetError as error:
            if self._strict:
                raise DatasetError(f"{self._tree.root}: {path} cannot be read: {error}") from error
            self._unreadable.append(f"{path} ({error})")
            return None
        self._sizes.setdefault(image.shape[:2], str(path))
        if self._strict and len(self._sizes) > 1:
            raise DatasetError(f"{self._tree.root}: {self._size_sentence()}")
        return fit(image, self._channels)

    def _size_sentence(self) -> str:
        (small, first), (large, second) = min(self._sizes.items()), max(self._sizes.items())
        return (
            f"images differ in size ({first} is {small[1]}x{small[0]}, "
            f"{second} is {large[1]}x{large[0]})"
        )
