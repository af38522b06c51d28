"""A data set as it was read, with what its owner should know of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Mapping

import numpy as np

from hyperhive.model.data.copies import copy_sentences, drop_copies, drop_sentence, exact_copies
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.images import SIZE

_LISTED_AT_MOST = 12


@dataclass(frozen=True)
class LoadedDataset:
    """A data set, what it was made from, and sentences about it that its owner should read.

    Args:
        dataset: the data set.
        details: where the splits come from, and what was left out because nobody misses it.
        notices: sentences about what may be a mistake.
        paths: where each image comes from, first the training images, then the test images; none
            if they do not come from files.
        sizes: how many of the images that were read had each width and height.
    """

    dataset: Dataset
    details: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    sizes: Mapping[tuple[int, int], int] = dataclasses.field(default_factory=dict)

    def contents(self) -> list[str]:
        """Return lines that say what will be trained on: classes, and images in each split."""
        dataset = self.dataset
        classes = dataset.classes
        counts = dataset.counts()
        images = len(dataset.train_labels) + len(dataset.test_labels)
        rest = range(_LISTED_AT_MOST, len(classes))
        return [
            f"data set {dataset.name}: {len(classes):,} classes, {images:,} images in "
            + ("colour" if dataset.channels == 3 else "grey")
            + (
                ""
                if dataset.image_size == SIZE
                else f" of {dataset.image_size}x{dataset.image_size}"
            ),
            *(
                f"  {name}: " + ", ".join(f"{c[label]:,} {split}" for split, c in counts.items())
                for label, name in enumerate(classes[:_LISTED_AT_MOST])
            ),
            *([f"  and {len(rest):,} more: " + _ranges(counts, rest)] if rest else []),
            *(f"  {detail}" for detail in self.details),
        ]

    def with_copies_noted(self) -> LoadedDataset:
        """Return it with sentences about the pictures that are there more than once."""
        sentences = copy_sentences(exact_copies(self.dataset, self.paths))
        return dataclasses.replace(self, notices=(*self.notices, *sentences))

    def without_copies(self) -> LoadedDataset:
        """Return it without them, see ``copies.drop_copies``, and how many were dropped."""
        dataset, kept, dropped = drop_copies(self.dataset, exact_copies(self.dataset, self.paths))
        paths = tuple(path for path, is_kept in zip(self.paths, kept) if is_kept)
        details = (*self.details, drop_sentence(dropped))
        return dataclasses.replace(self, dataset=dataset, details=details, paths=paths)


def _ranges(counts: Mapping[str, np.ndarray], labels: range) -> str:
    """Return how many images the classes have in each split: ``5 to 8 train, 2 test``."""
    phrases = []
    for split, count in counts.items():
        fewest, most = count[labels].min(), count[labels].max()
        phrases.append((f"{fewest:,} to " if fewest < most else "") + f"{most:,} {split}")
    return ", ".join(phrases)
