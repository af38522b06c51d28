"""The CMU Face Images: 20 people in 4 poses, with 4 expressions, with and without sunglasses.

They are 624 grey pictures of 32x30 pixels, for Tom Mitchell's Machine Learning (McGraw-Hill 1997,
section 4.7). A person's pictures were taken in one sitting: two that differ in nothing but the
expression look the same at this size. If chance chose the test pictures, the nearest training
picture would have the answer, for 99 % of ``person``. So each task keeps apart what is
near-identical:

- ``person``: the expressions of one pose, with or without sunglasses, stay together. Of a person's
  eight such sets two are for the test, two for validation and four to train on, so that a pose is
  trained on either with sunglasses or without, and tested or validated as the other. Which ones
  goes round with the people, sorted by name. In the order left, up, right, straight, the first
  person's test is left without sunglasses and right with them, the second's up and straight, and so
  on; validation has the next ones.
- ``sunglasses``, ``pose`` and ``expression``: the people are apart. Of the people, sorted by name,
  every fifth is for the test, and the one before for validation: 4 people, 4 people, and 12 to
  train on.

No split depends on a seed.
"""

from __future__ import annotations

import collections
import re
from pathlib import PurePosixPath
from typing import NamedTuple, Sequence

import numpy as np

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.dataset import TEST, TRAIN, VALIDATION, Dataset
from hyperhive.model.data.image_tree import ImageTree
from hyperhive.model.data.images import decode, fit
from hyperhive.model.data.left_out import UNREADABLE, LeftOut
from hyperhive.model.data.loaded import LoadedDataset
from hyperhive.model.data.sources.known import CMU_FACES

_NAME = re.compile(
    r"(?P<person>.+)_(?P<pose>left|right|straight|up)_(?P<expression>angry|happy|neutral|sad)"
    r"_(?P<sunglasses>open|sunglasses)(?:_[24])?\.pgm"
)
_POSES = ("left", "up", "right", "straight")
_FIFTH = 5
_ORIGIN = {
    True: "splits: of each person one pose without sunglasses and another with them are the test "
    "split, two more are the validation split",
    False: "splits: every fifth person is the test split, the one before the validation split",
}


class _Face(NamedTuple):
    """A picture's file, and what its name says."""

    path: PurePosixPath
    person: str
    pose: str
    expression: str
    sunglasses: str


def read_faces(tree: ImageTree, task: str, size: int, strict: bool) -> LoadedDataset:
    """Return the faces with what a task tells apart as their class.

    Pictures of more than one size, as in the whole archive, are those of the smallest: the others
    show the same. Raises ``DatasetError`` if there are no such files, or too few.

    Args:
        tree: the files, at any depth.
        task: one of ``TASKS``.
        size: width and height that the images get, in pixels.
        strict: raise ``DatasetError`` for a picture that cannot be read, instead of a notice.
    """
    faces = _faces(tree)
    people = sorted({face.person for face in faces})
    if len(people) < _FIFTH:
        raise DatasetError(
            f"{tree.root} has CMU Face Images of {len(people)} people, and {_FIFTH} or more are "
            "needed: their files are named as an2i_left_angry_open_4.pgm"
        )
    by_look = task == "person"
    parts: dict[str, list[tuple[_Face, np.ndarray]]] = {TRAIN: [], VALIDATION: [], TEST: []}
    left_out = LeftOut()
    sizes: collections.Counter[tuple[int, int]] = collections.Counter()
    for face in faces:
        number = people.index(face.person)
        split = _by_look(number, face) if by_look else _by_person(number)
        try:
            image = decode(tree.read(face.path))
        except DatasetError as error:
            if strict:
                raise DatasetError(f"{tree.root}: {face.path} cannot be read: {error}") from error
            left_out.add(UNREADABLE, face.path, str(error))
            continue
        sizes[image.shape[1], image.shape[0]] += 1
        parts[split].append((face, fit(image, 1, size)))
    dataset = _dataset(task, [*parts[TRAIN], *parts[VALIDATION]], parts[TEST], parts[VALIDATION])
    paths = tuple(str(face.path) for part in parts.values() for face, _ in part)
    details, notices = (_ORIGIN[by_look],), tuple(left_out.sentences())
    return LoadedDataset(dataset, details, notices, paths, dict(sizes))


def _faces(tree: ImageTree) -> list[_Face]:
    """Return the files by name, of each picture the one whose name comes last (``_4``)."""
    found = {}
    for path in sorted(tree, key=lambda path: path.name):
        matched = _NAME.fullmatch(path.name)
        if matched is not None:
            found[tuple(matched.groups())] = _Face(path, **matched.groupdict())
    return list(found.values())


def _by_look(number: int, face: _Face) -> str:
    """Return the split of a pose, with or without sunglasses, of the person with this number."""
    other_way = 2 * (face.sunglasses == "sunglasses")
    turned = (_POSES.index(face.pose) - number - other_way) % len(_POSES)
    return {0: TEST, 1: VALIDATION}.get(turned, TRAIN)


def _by_person(number: int) -> str:
    """Return the split of all pictures of the person with this number."""
    return {_FIFTH - 1: TEST, _FIFTH - 2: VALIDATION}.get(number % _FIFTH, TRAIN)


def _dataset(
    task: str,
    train: Sequence[tuple[_Face, np.ndarray]],
    test: Sequence[tuple[_Face, np.ndarray]],
    validation: Sequence[object],
) -> Dataset:
    """Return a data set; mirrored, a face that looks left looks right."""
    classes = sorted({str(getattr(face, task)) for face, _ in (*train, *test)})

    def images(part: Sequence[tuple[_Face, np.ndarray]]) -> np.ndarray:
        return np.array([image for _, image in part], dtype=np.uint8)

    def labels(part: Sequence[tuple[_Face, np.ndarray]]) -> np.ndarray:
        return np.array([classes.index(getattr(face, task)) for face, _ in part], dtype=np.int64)

    return Dataset(
        *(f"{CMU_FACES}:{task}", tuple(classes), images(train), labels(train)),
        *(images(test), labels(test), len(validation), task != "pose"),
    )
