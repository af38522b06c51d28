"""Images that are there more than once, pixel for pixel as the network sees them."""

from __future__ import annotations

import collections
import hashlib
from pathlib import PurePosixPath
from typing import Iterable, NamedTuple

import numpy as np

_SEEN = ": a picture that was trained on tests nothing"
_CONTRADICTED = ": only one of the labels can be right"


class Picture(NamedTuple):
    """Where a picture comes from, and where it goes."""

    path: PurePosixPath
    split: str
    label: int


def copy_sentences(pictures: Iterable[tuple[Picture, np.ndarray]]) -> list[str]:
    """Return a sentence for each way in which the same picture is there more than once.

    Args:
        pictures: with their pixels, uint8 ``[S, S, C]``.
    """
    groups: dict[bytes, list[Picture]] = collections.defaultdict(list)
    for picture, pixels in pictures:
        groups[hashlib.sha256(pixels.tobytes()).digest()].append(picture)
    repeated = [group for group in groups.values() if len(group) > 1]
    between_splits = [group for group in repeated if len({each.split for each in group}) > 1]
    between_classes = [group for group in repeated if len({each.label for each in group}) > 1]
    within = [group for group in repeated if len({(each.split, each.label) for each in group}) == 1]
    sentences = (
        _sentence(between_splits, "split", "in more than one split", _SEEN),
        _sentence(between_classes, "label", "in more than one class", _CONTRADICTED),
        _sentence(within, "path", "there more than once", ""),
    )
    return [sentence for sentence in sentences if sentence]


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
