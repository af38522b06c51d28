"""A data set from class folders: the images of each class in a folder with the class's name."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Iterable, Iterator, Mapping

import numpy as np

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.dataset import (
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    Dataset,
    require_room,
    stratified_split,
)
from hyperhive.model.data.image_tree import ImageTree
from hyperhive.model.data.images import decode, fit, is_image
from hyperhive.model.data.left_out import (
    FOREIGN,
    OUTSIDE,
    UNOPENED,
    UNREADABLE,
    Kind,
    LeftOut,
    clutter_sentences,
)
from hyperhive.model.data.names import class_name, is_storable
from hyperhive.model.data.series import divided_within, numbers_of, series_split

TEST_FRACTION = 0.2
CUT = "a fifth of each class is the test split"
_SPLITS = {
    TRAIN: TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    VALIDATION: VALIDATION,
    TEST: TEST,
    "testing": TEST,
}
"""What a folder above the class folders holds, by its name in lower case."""


@dataclass(frozen=True)
class _Part:
    """Images ``[N, S, S, C]``, labels ``[N]`` and paths of class folders."""

    classes: list[str]
    paths: list[PurePosixPath]
    images: np.ndarray
    labels: np.ndarray

    def only(self, chosen: np.ndarray) -> _Part:
        """Return the part with these indices."""
        paths = [self.paths[index] for index in chosen]
        return _Part(self.classes, paths, self.images[chosen], self.labels[chosen])

    @property
    def series(self) -> np.ndarray | None:
        """Which of them are of one series; None if none is of a series."""
        return numbers_of(self.paths)

    def cut(self, fraction: float, seed: int) -> tuple[_Part, _Part]:
        """Return what stays, and this share of each class; a series is on one side."""
        series = self.series
        if series is None:
            kept, cut = stratified_split(self.labels, fraction, seed)
        else:
            kept, cut = series_split(self.labels, series, fraction, seed)
        return self.only(kept), self.only(cut)


class ClassFolders:
    """Reads class folders, and collects what the owner of the images should know.

    Args:
        tree: the files.
        channels: 1 to read the images as grey, 3 for colour.
        size: width and height that the images get, in pixels.
        strict: raise ``DatasetError`` for whatever is left out and for images of different sizes,
            instead of a notice.

    After ``read``, ``paths`` and ``sizes`` are as in ``LoadedDataset``.
    """

    def __init__(self, tree: ImageTree, channels: int, size: int, strict: bool) -> None:
        self._tree = tree
        self._channels = channels
        self._size = size
        self._strict = strict
        self._left_out = LeftOut()
        self._in_classes: set[PurePosixPath] = set()
        self._examples: dict[tuple[int, int], str] = {}
        self.sizes: collections.Counter[tuple[int, int]] = collections.Counter()
        self.paths: tuple[str, ...] = ()
        self._notices: list[str] = []
        self._origin = ""

    def read(self, root: PurePosixPath, name: str, seed: int) -> Dataset:
        """Return the data set below a folder; raises ``DatasetError``.

        Args:
            root: has the folders of the splits with class folders, or class folders. Without a
                folder of test images, a fifth of each class is split off. Folders that wrap
                everything are passed over.
            name: of the data set.
            seed: decides the split, if there is none.
        """
        top, root = root, self._unwrapped(root)
        for path, reason in sorted(self._tree.left_out.items()):
            if path == top or top in path.parents:
                self._leave_out(UNREADABLE if is_image(path) else UNOPENED, path, reason)
        folders = self._split_folders(root)
        parts = {split: self._read_part(root / folder) for split, folder in folders.items()}
        if not folders:
            parts[TRAIN] = self._read_part(root)
        self._require_same_classes(folders, parts)
        if TEST not in parts:
            whole = parts[TRAIN]
            kept, cut = whole.cut(TEST_FRACTION, seed)
            parts = {**parts, TRAIN: kept, TEST: cut}
            self._notices += _series_notices(whole, kept)
        for path in self._tree:
            if path not in self._in_classes and is_image(path) and top in path.parents:
                self._leave_out(OUTSIDE, path)
        self._origin = _origin(folders)
        self.paths = tuple(
            str(path) for split in SPLITS if split in parts for path in parts[split].paths
        )
        return _dataset(name, parts)

    def details(self, root: PurePosixPath) -> tuple[str, ...]:
        """Return where the splits below a folder come from, and what nobody misses there."""
        clutter = (path for path in self._tree.clutter if root in path.parents)
        return (f"splits: {self._origin}", *clutter_sentences(clutter))

    def notices(self) -> tuple[str, ...]:
        """Return sentences about what was left out or was resized."""
        notices = self._left_out.sentences()
        if len(self.sizes) > 1:
            notices.append(
                f"{self._size_sentence()}; the centred square of each is taken and resized"
            )
        return (*notices, *self._notices)

    def _unwrapped(self, root: PurePosixPath) -> PurePosixPath:
        """Return the first folder inside which is a choice: archives often wrap all in one."""
        while True:
            inside = self._tree.subfolders(root)
            if len(inside) != 1 or not self._tree.subfolders(root / inside[0]):
                return root
            root = root / inside[0]

    def _split_folders(self, root: PurePosixPath) -> dict[str, str]:
        """Return the folder of each split; none if the folders are classes.

        A folder ``train`` alone may be a class, among cars and ships.
        """
        names = self._tree.subfolders(root)
        found: dict[str, list[str]] = {}
        for folder in names:
            split = split_of(folder)
            if split is not None:
                found.setdefault(split, []).append(folder)
        if TRAIN in found and len(found) > 1:
            for split, folders in found.items():
                if len(folders) > 1:
                    raise DatasetError(
                        f"{self._tree.root}: {_names(folders)} are all the {split} split: join "
                        "them, or remove all but one"
                    )
            return {split: found[split][0] for split in SPLITS if split in found}
        if found and sum(map(len, found.values())) == len(names) > 1:
            raise DatasetError(
                f"{self._tree.root}: {_names(names)} are splits, but no train/ has the images to "
                "train on"
            )
        return {}

    def _read_part(self, folder: PurePosixPath) -> _Part:
        """Return what is below class folders."""
        by_class: dict[str, list[PurePosixPath]] = collections.defaultdict(list)
        folders = {name: class_name(name) for name in self._tree.subfolders(folder)}
        for path in self._files_of(folder):
            by_class[folders[path.relative_to(folder).parts[0]]].append(path)
        # Before they are read, which could take all memory.
        require_room(sum(map(len, by_class.values())), self._size, self._channels)
        classes = sorted(set(folders.values()))
        self._check_names(folder, folders, classes)
        paths: list[PurePosixPath] = []
        images: list[np.ndarray] = []
        labels: list[int] = []
        for label, name in enumerate(classes):
            readable = self._readable(by_class[name])
            if len(readable) < 2:
                where = folder / next(own for own, of in folders.items() if of == name)
                raise DatasetError(
                    f"{self._tree.root}: class folder {where} has {len(readable)} readable images"
                    f"{self._left_out.below(where)}, but needs two or more: add images, or remove "
                    "the folder"
                )
            paths.extend(path for path, _ in readable)
            images.extend(image for _, image in readable)
            labels.extend([label] * len(readable))
        return _Part(classes, paths, np.stack(images), np.array(labels, dtype=np.int64))

    def _files_of(self, folder: PurePosixPath) -> Iterator[PurePosixPath]:
        """Yield the files in the class folders below a folder, at any depth."""
        depth = len(folder.parts)
        for path in self._tree:
            if len(path.parts) > depth + 1 and path.parts[:depth] == folder.parts:
                self._in_classes.add(path)
                yield path

    def _check_names(
        self, folder: PurePosixPath, folders: Mapping[str, str], classes: list[str]
    ) -> None:
        """Raise ``DatasetError`` for names that no class can have; note what may be a mistake."""
        if len(classes) < 2:
            raise DatasetError(
                f"{self._tree.root}: found {len(classes)} class folders in {folder}"
                f"{self._left_out.below(folder)}, but needs two or more, each with the images of "
                "its class"
            )
        for name, of in folders.items():
            if not is_storable(of):
                raise DatasetError(
                    f"{self._tree.root}: class folder {folder / name} needs a name of 1 to 255 "
                    "characters in UTF-8, without control characters: rename it"
                )
            if {TRAIN, TEST} <= set(map(split_of, self._tree.subfolders(folder / name))):
                self._notices.append(
                    f"the folders in {folder / name} are not taken as splits: train/ and test/ "
                    "must be above the class folders"
                )
        for name, count in collections.Counter(folders.values()).items():
            if count > 1:
                self._notices.append(f"{count} folders in {folder} are the one class {name}")
        for alike in _alike(classes):
            self._notices.append(f"the classes {alike} differ only in upper and lower case")

    def _readable(self, paths: list[PurePosixPath]) -> list[tuple[PurePosixPath, np.ndarray]]:
        """Return the images among files, at the network's size."""
        images = []
        for path in paths:
            if not is_image(path):
                self._leave_out(FOREIGN, path)
                continue
            try:
                image = decode(self._tree.read(path))
            except DatasetError as error:
                self._leave_out(UNREADABLE, path, str(error))
                continue
            height, width = image.shape[:2]
            self._examples.setdefault((height, width), str(path))
            self.sizes[width, height] += 1
            if self._strict and len(self.sizes) > 1:
                raise DatasetError(f"{self._tree.root}: {self._size_sentence()}")
            images.append((path, fit(image, self._channels, self._size)))
        return images

    def _leave_out(self, kind: Kind, path: PurePosixPath, reason: str = "") -> None:
        if self._strict and reason:
            raise DatasetError(f"{self._tree.root}: {path} cannot be read: {reason}")
        if self._strict:
            raise DatasetError(
                f"{self._tree.root}: {path} is left out, because it is a {kind.one}: remove it, or "
                "omit --strict"
            )
        self._left_out.add(kind, path, reason)

    def _require_same_classes(self, folders: Mapping[str, str], parts: Mapping[str, _Part]) -> None:
        expected = parts[TRAIN].classes
        for split, part in parts.items():
            differing = sorted(set(expected) ^ set(part.classes))
            if differing:
                alike = _alike(differing)
                raise DatasetError(
                    f"{self._tree.root}: {folders[TRAIN]}/ and {folders[split]}/ must have the "
                    f"same classes, but only one of them has {', '.join(differing)}"
                    + (f": {alike[0]} differ only in upper and lower case" if alike else "")
                )

    def _size_sentence(self) -> str:
        (small, first), (large, second) = min(self._examples.items()), max(self._examples.items())
        return (
            f"images differ in size ({first} is {small[1]}x{small[0]}, "
            f"{second} is {large[1]}x{large[0]})"
        )


def _series_notices(whole: _Part, kept: _Part) -> list[str]:
    """Return sentences about the classes of which a split had to divide a series.

    Args:
        whole: all pictures of the class folders.
        kept: those that are left without the test split.
    """
    if whole.series is None or kept.series is None:
        return []
    single = {whole.classes[label] for label in divided_within(whole.labels, whole.series)}
    left = {kept.classes[label] for label in divided_within(kept.labels, kept.series)} - single
    notices = []
    if single:
        notices.append(
            f"{', '.join(sorted(single))}: with one series, which has to be divided, its test and "
            "validation pictures look like those that are trained on, and its accuracy is too "
            "good: take another series"
        )
    if left:
        notices.append(
            f"{', '.join(sorted(left))}: with two series, one of them for the test, its validation "
            "pictures look like those that are trained on, and its validation accuracy is too "
            "good: take a third series"
        )
    return notices


def split_of(folder: str) -> str | None:
    """Return the split that a folder of this name holds, None if its name is that of no split."""
    return _SPLITS.get(class_name(folder).lower())


def _names(folders: Iterable[str]) -> str:
    return " and ".join(f"{folder}/" for folder in folders)


def _alike(names: Iterable[str]) -> list[str]:
    """Return names that are the same but for upper and lower case: ``Cat and cat``."""
    spelled = collections.defaultdict(list)
    for name in names:
        spelled[name.casefold()].append(name)
    return [" and ".join(several) for several in spelled.values() if len(several) > 1]


def _origin(folders: Mapping[str, str]) -> str:
    """Return where the splits come from: ``train/ is the train split, test/ is the test split``."""
    if not folders:
        return f"{CUT}, chosen by the seed"
    given = [f"{folder}/ is the {split} split" for split, folder in folders.items()]
    cut = f"a fifth of each class in {folders[TRAIN]}/ is the test split, chosen by the seed"
    return ", ".join(given if TEST in folders else [*given, cut])


def _dataset(name: str, parts: Mapping[str, _Part]) -> Dataset:
    """Return a data set; its own validation images are the last ones of the training images."""
    train, test = parts[TRAIN], parts[TEST]
    own = parts.get(VALIDATION)
    images = train.images if own is None else np.concatenate([train.images, own.images])
    labels = train.labels if own is None else np.concatenate([train.labels, own.labels])
    validation = 0 if own is None else len(own.labels)
    classes = tuple(train.classes)
    series = train.series if own is None else None
    return Dataset(
        *(name, classes, images, labels, test.images, test.labels, validation), train_series=series
    )
