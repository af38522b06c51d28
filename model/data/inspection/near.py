"""Pictures that look the same, though their pixels differ: found by correlation, in seconds.

Two pictures are near duplicates if their pixels correlate by ``SIMILARITY`` or more, whatever their
brightness and contrast. At 0.98 the difference has a fifth of the contrast of the pictures:
sqrt(2 (1 - 0.98)) = 0.2. Measured on Simpsons-MNIST in colour: a picture that is saved again as
JPEG of quality 90 stays above it in 99 % of cases, and all test pictures that are so near to a
training picture (178 of 2,000: neighbours in a film) have its label. Of scikit-learn's digits, each
written by itself, 13 of 360 test pictures are so near to a training picture: that is the rate of
false alarms where all pictures are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Sequence

import numpy as np

from hyperhive.model.data.copies import Picture
from hyperhive.model.data.dataset import SPLITS, Dataset

SIMILARITY = 0.98
_DISTANCE = 2 * (1 - SIMILARITY) + 1e-4
"""Squared, of pictures of mean 0 and length 1: it is 2 - 2r for a correlation r. The rest is for
rounding."""
_CELLS = 7
_ROWS = 2048
_BYTES = 1 << 26
"""Of the pixels that are compared at once, as float32."""


@dataclass(frozen=True)
class Nearest:
    """For each picture, its most similar near duplicate in each of ``SPLITS``.

    ``correlation`` is float32 ``[N, 3]``, 0 without one; ``index`` is int64 ``[N, 3]``, -1 without.
    """

    correlation: np.ndarray
    index: np.ndarray


def nearest(
    dataset: Dataset, found: Sequence[Picture], exact: Iterable[Sequence[Picture]]
) -> Nearest:
    """Return the near duplicates, without pictures that are equal pixel for pixel.

    All pairs are compared, at first as 7x7 cells: as vectors of the cells' sums, each divided by
    the root of the cell's area, two pictures are no further apart than their pixels (the Cauchy-
    Schwarz inequality). Only those that are near there are compared pixel by pixel; so no pair is
    missed, and 10,000 pictures in colour take some seconds.

    Args:
        dataset: the data set.
        found: its pictures, see ``copies.pictures``.
        exact: those that are equal, see ``copies.exact_copies``.
    """
    images = _Images(dataset)
    splits = np.array([SPLITS.index(picture.split) for picture in found])
    count = len(found)
    first_equal = np.arange(count)
    for group in exact:
        first_equal[[each.number for each in group]] = group[0].number
    near = Nearest(np.zeros((count, 3), np.float32), np.full((count, 3), -1))
    starts = range(0, count, images.rows)
    cells = np.concatenate([_cells(images.units(start), images.shape) for start in starts])
    lengths = (cells**2).sum(axis=1)
    for top in starts:
        rows = slice(top, top + images.rows)
        for left in range(top, count, images.rows):
            columns = slice(left, left + images.rows)
            distances = lengths[rows, None] + lengths[columns] - 2 * cells[rows] @ cells[columns].T
            first, second = np.nonzero(distances <= _DISTANCE)
            first, second = first + top, second + left
            apart = (first < second) & (first_equal[first] != first_equal[second])
            if apart.any():
                _compare(images, first[apart], second[apart], splits, near)
    return near


class _Images:
    """The training images, then the test images, some at a time as vectors."""

    def __init__(self, dataset: Dataset) -> None:
        self._parts = dataset.train_images, dataset.test_images
        self.shape = dataset.train_images.shape[1:]
        self.rows = min(_ROWS, max(16, _BYTES // (4 * int(np.prod(self.shape)))))

    def at(self, indices: np.ndarray) -> np.ndarray:
        """Return images, uint8 ``[n, S * S * C]``."""
        train, test = self._parts
        is_test = indices >= len(train)
        chosen = np.empty((len(indices), *self.shape), np.uint8)
        chosen[~is_test], chosen[is_test] = (
            train[indices[~is_test]],
            test[indices[is_test] - len(train)],
        )
        return chosen.reshape(len(indices), -1)

    def units(self, start: int) -> np.ndarray:
        """Return up to ``rows`` images as vectors, see ``_units``."""
        end = min(start + self.rows, sum(map(len, self._parts)))
        return _units(self.at(np.arange(start, end)))


def _units(pixels: np.ndarray) -> np.ndarray:
    """Return images as vectors of mean 0 and length 1, those of one colour as 0."""
    centred = pixels - pixels.mean(axis=1, keepdims=True, dtype=np.float32)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    units: np.ndarray = centred / np.maximum(lengths, 1e-6)
    return units


def _cells(units: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return vectors as those of their cells, float32 ``[n, 49 * C]``."""
    side = shape[0]
    edges = np.arange(_CELLS) * side // _CELLS
    sums = np.add.reduceat(units.reshape(-1, *shape), edges, axis=1)
    sums = np.add.reduceat(sums, edges, axis=2)
    lengths = np.sqrt(np.diff([*edges, side])).astype(np.float32)
    areas = lengths[:, None, None] * lengths[:, None]
    cells: np.ndarray = sums / areas
    return cells.reshape(len(units), -1)


def _compare(
    images: _Images, first: np.ndarray, second: np.ndarray, splits: np.ndarray, near: Nearest
) -> None:
    """Compare pairs pixel by pixel, and note those that are near."""
    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    correlation = (_units(images.at(rows)) @ _units(images.at(columns)).T)[row, column]
    order = np.argsort(correlation)
    order = order[correlation[order] >= SIMILARITY]  # of several for one picture, the last stays
    for one, other in ((first[order], second[order]), (second[order], first[order])):
        split = splits[other]
        better = correlation[order] > near.correlation[one, split]
        near.correlation[one[better], split[better]] = correlation[order][better]
        near.index[one[better], split[better]] = other[better]
