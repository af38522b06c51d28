"""The pictures of a folder that grows: how many there are, and those of them to learn from."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Mapping

from hyperhive.inference.teaching.states import ENOUGH_PICTURES
from hyperhive.model.data.class_folders import ClassFolders
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.image_tree import ImageTree
from hyperhive.model.data.images import SIZE, is_image
from hyperhive.model.data.names import class_name

_TOP = PurePosixPath(".")


@dataclass(frozen=True)
class Pictures:
    """The paths of the pictures in class folders; two are equal if the same files are there.

    What is written is taken to be a picture from the moment when it has its name.
    """

    folder: Path
    paths: tuple[PurePosixPath, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Pictures:
        """Return what is in a folder now; nothing if it is not there."""
        if not folder.is_dir():
            return cls(folder)
        with ImageTree(folder) as tree:
            found = [path for path in tree if len(path.parts) > 1 and is_image(path)]
        return cls(folder, tuple(found))

    @property
    def counts(self) -> Mapping[str, int]:
        """How many pictures each class has, by its name."""
        counts = collections.Counter(class_name(path.parts[0]) for path in self.paths)
        return dict(sorted(counts.items()))

    @property
    def ready(self) -> list[str]:
        """The classes that have enough pictures to be learned."""
        return [name for name, count in self.counts.items() if count >= ENOUGH_PICTURES]

    @property
    def to_learn(self) -> tuple[PurePosixPath, ...]:
        """The paths of those classes."""
        ready = set(self.ready)
        return tuple(path for path in self.paths if class_name(path.parts[0]) in ready)

    @property
    def are_enough(self) -> bool:
        """Whether two or more classes can be learned."""
        return len(self.ready) >= 2

    def read(self, name: str, seed: int) -> Dataset:
        """Return the classes that are ready as a data set; raises ``DatasetError``.

        Each has to have pictures that can be read, of which some are held out.
        """
        with ImageTree(self.folder, only=self.ready) as tree:
            return ClassFolders(tree, 3, SIZE, strict=False).read(_TOP, name, seed)
