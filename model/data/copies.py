"""Images that are there more than once, pixel for pixel as the network sees them."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from typing import Iterable, NamedTuple, Sequence

import numpy as np

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.dataset import SPLITS, TEST, TRAIN, VALIDATION, Dataset

_SEEN = ": a picture that was trained on tests nothing"
_CONTRADICTED = ": only one of the labels can be right"
_KEEPS = (TEST, VALIDATION, TRAIN)
"""Whose picture stays, of several splits that have it."""


class Picture(NamedTuple):
    """Where a picture comes from, and where it goes.

    ``number`` counts through the training images, the last of which may be for validation, and then
    through the test images.
    """

    number: int
    path: str
    split: str
    label: int


def pictures(dataset: Dataset, paths: Sequence[str] = ()) -> list[Picture]:
    """Return all pictures of a data set, by their number.

    Args:
        dataset: the data set.
        paths: where each comes from; without them a picture is called ``train image 17``.
    """
    found: list[Picture] = []
    for split in SPLITS:
        for number, label in enumerate(dataset.labels_of(split).tolist()):
            index = len(found)
            path = paths[index] if paths else f"{split} image {number}"
            found.append(Picture(index, path, split, label))
    return found


def exact_copies(dataset: Dataset, paths: Sequence[str] = ()) -> list[list[Picture]]:
    """Return groups of two or more pictures that have the same pixels."""
    groups: dict[bytes, list[Picture]] = collections.defaultdict(list)
    images = (image for each in (dataset.train_images, dataset.test_images) for image in each)
    for picture, image in zip(pictures(dataset, paths), images):
        groups[hashlib.sha256(image.tobytes()).digest()].append(picture)
    return [group for group in groups.values() if len(group) > 1]


def copy_sentences(groups: Iterable[list[Picture]]) -> list[str]:
    """Return a sentence for each way in which the same picture is there more than once."""
    groups = list(groups)
    between_splits = [group for group in groups if len({each.split for each in group}) > 1]
    between_classes = [group for group in groups if is_contradicted(group)]
    within = [group for group in groups if len({(each.split, each.label) for each in group}) == 1]
    sentences = (
        _sentence(between_splits, "split", "in more than one split", _SEEN),
        _sentence(between_classes, "label", "in more than one class", _CONTRADICTED),
        _sentence(within, "path", "there more than once", ""),
    )
    return [sentence for sentence in sentences if sentence]


def is_contradicted(group: Iterable[Picture]) -> bool:
    """Return whether pictures that are the same have different labels."""
    return len({each.label for each in group}) > 1


def drop_copies(
    dataset: Dataset, groups: Iterable[list[Picture]]
) -> tuple[Dataset, np.ndarray, list[Picture]]:
    """Return a data set that has each picture once, which were kept, and those that were not.

    Of a picture in several splits, the one in the test split stays, or else that in the validation
    split. So figures stay comparable with those of others who test on these images, and a training
    image more or less changes little. Of copies in one split the first stays. Where the labels
    differ, all are dropped: nobody knows which is right. Raises ``DatasetError`` if a class has no
    image left in a split.
    """
    dropped: list[Picture] = []
    for group in groups:
        stays = min(group, key=lambda each: (_KEEPS.index(each.split), each.number))
        dropped += [each for each in group if is_contradicted(group) or each != stays]
    images = len(dataset.train_labels)
    kept = np.ones(images + len(dataset.test_labels), dtype=bool)
    kept[[each.number for each in dropped]] = False
    train, test = kept[:images], kept[images:]
    own = int(train[images - dataset.validation :].sum())
    series = dataset.train_series
    try:
        if dataset.validation and not own:
            raise DatasetError("no validation image is left: add other ones, or omit them all")
        changed = dataclasses.replace(
            dataset,
            train_images=dataset.train_images[train],
            train_labels=dataset.train_labels[train],
            test_images=dataset.test_images[test],
            test_labels=dataset.test_labels[test],
            validation=own,
            train_series=None if series is None else series[train],
        )
    except DatasetError as error:
        raise DatasetError(f"without the duplicates, {error}") from error
    return changed, kept, dropped


def drop_sentence(dropped: Sequence[Picture]) -> str:
    """Return how many pictures were dropped of each split."""
    counts = collections.Counter(each.split for each in dropped)
    if not counts:
        return "dropped no duplicates: each picture is there once"
    each = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if counts[split])
    return f"dropped {len(dropped):,} duplicates: {each}"


def _sentence(groups: list[list[Picture]], differing: str, where: str, why: str) -> str:
    """Return a sentence with two pictures of a group that differ in a field; "" without groups."""
    if not groups:
        return ""
    first = groups[0][0]
    other = next(
        each for each in groups[0] if getattr(each, differing) != getattr(first, differing)
    )
    count = "1 picture is" if len(groups) == 1 else f"{len(groups):,} pictures are"
    return f"{count} {where}, such as {first.path} and {other.path}{why}"
