"""A data set in memory: uint8 arrays, class names, and the hash that names it everywhere."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.images import SIZE

_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class Dataset:
    """Images of 28x28 pixels in two splits.

    ``*_images`` are uint8 ``[N, 28, 28, C]`` with C of 1 or 3, ``*_labels`` int64 ``[N]`` that
    index ``classes``. Raises ``DatasetError`` where that does not hold, or a class is empty.
    """

    name: str
    classes: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise DatasetError(f"a data set needs two classes or more, not {self.classes}")
        if self.train_images.shape[3:] != self.test_images.shape[3:]:
            raise DatasetError("training and test images differ in channels")
        for split, images, labels in self._splits():
            shape = images.shape
            if (
                images.dtype != np.uint8
                or shape[1:3] != (SIZE, SIZE)
                or shape[3:] not in ((1,), (3,))
            ):
                raise DatasetError(f"{split} images are {images.dtype} {shape}")
            if labels.dtype != np.int64 or labels.shape != shape[:1]:
                raise DatasetError(f"{split} labels are {labels.dtype} {labels.shape}")
            present = np.unique(labels)
            if not np.array_equal(present, np.arange(len(self.classes))):
                raise DatasetError(
                    f"in the {split} split some of the {len(self.classes)} classes have no "
                    "image, or some labels no "
                    "class"
                )

    @property
    def channels(self) -> int:
        """Number of channels: 1 for grey, 3 for colour."""
        return int(self.train_images.shape[3])

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 over classes, shapes and pixels; the name it is published and trained under.

        The name of the data set is no part of it: the same images are the same data set.
        """
        header = {"classes": self.classes, "shapes": [getattr(self, a).shape for a in _ARRAYS]}
        digest = hashlib.sha256(json.dumps(header).encode())
        for array in _ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, array)).tobytes())
        return digest.hexdigest()

    def normalisation(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of each channel of the training images, in 0..1."""
        pixels = self.train_images.reshape(-1, self.channels) / 255.0
        # A channel that never varies would divide by zero.
        return pixels.mean(axis=0).tolist(), np.maximum(pixels.std(axis=0), 1e-6).tolist()

    def card(self) -> dict[str, Any]:
        """Return what a person wants to know of it, as plain JSON."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "channels": self.channels,
            "train": len(self.train_images),
            "test": len(self.test_images),
        }

    def validation_split(self, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return indices into the training split: those to train on, those held out."""
        return stratified_split(self.train_labels, fraction, seed)

    def pack(self) -> bytes:
        """Return the data set as the bytes of an ``.npz`` file without pickles."""
        packed = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(packed, name=np.array(self.name), classes=np.array(self.classes), **arrays)
        return packed.getvalue()

    @classmethod
    def unpack(cls, packed: bytes, content_hash: str) -> Dataset:
        """Read what ``pack`` wrote; raises ``DatasetError`` unless it is the one of that hash.

        No pickle is read, and nothing that takes more memory than ``packed`` has bytes.
        """
        try:
            _require_unpacked(packed)
            with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
                dataset = cls(
                    name=str(arrays["name"]),
                    classes=tuple(str(name) for name in arrays["classes"]),
                    **{name: arrays[name] for name in _ARRAYS},
                )
        # Of damaged bytes NumPy and zipfile raise anything from TypeError to zlib.error.
        except Exception as error:
            raise DatasetError(f"packed data set cannot be read: {error}") from error
        if dataset.content_hash != content_hash:
            raise DatasetError(f"packed data set is not the one of hash {content_hash[:12]}...")
        return dataset

    def _splits(self) -> tuple[tuple[str, np.ndarray, np.ndarray], ...]:
        return (
            ("training", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        )


def _require_unpacked(packed: bytes) -> None:
    """Refuse an archive whose members are larger than itself: some kB of zeros can be TB."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > len(packed):
        raise DatasetError(f"{len(packed)} bytes that say they are {size}; ours are not compressed")


def stratified_split(
    labels: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted indices ``(kept, held_out)``: of each class ``fraction``, but one at least.

    ``RandomState`` because its stream is frozen (NEP 19): every device, whatever its NumPy, holds
    out the same images.
    """
    random = np.random.RandomState(seed)
    held_out = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise DatasetError("a class with one image cannot be split in two")
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        held_out.append(random.permutation(members)[:count])
    out = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(labels)), out), out
