"""A data set in memory: uint8 images, labels, class names, and the hash that identifies it."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperhive.common.errors import ConfigError, DatasetError
from hyperhive.model.data.images import SIZE

_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class Dataset:
    """Images of 28x28 pixels in a training split and a test split.

    Images are uint8 ``[N, 28, 28, C]`` with C of 1 or 3. Labels are int64 ``[N]``; they index
    ``classes``. The last ``validation`` training images are those that a trial is validated on; if
    it is 0, each study chooses its own. Raises ``DatasetError`` if an array differs from that, or
    if a class has no image.
    """

    name: str
    classes: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    validation: int = 0

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise DatasetError(f"a data set needs two or more classes, not {self.classes}")
        if self.train_images.shape[3:] != self.test_images.shape[3:]:
            raise DatasetError("training and test images have different numbers of channels")
        _require_split("training", self.train_images, self.train_labels, len(self.classes))
        _require_split("test", self.test_images, self.test_labels, len(self.classes))
        if not 0 <= self.validation < len(self.train_labels):
            raise DatasetError(f"{self.validation} training images cannot be for validation")
        if self.validation:
            for indices in self._own_split():
                images, labels = self.train_images[indices], self.train_labels[indices]
                _require_split("training or validation", images, labels, len(self.classes))

    @property
    def channels(self) -> int:
        """Number of channels: 1 for grey, 3 for colour."""
        return int(self.train_images.shape[3])

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 over classes, shapes, images and labels; the data set is published under it.

        The name is left out: the same images under another name are the same data set. Validation
        images of its own are named only where there are any: so a worker of a version that would
        train on them finds another hash, and refuses the data set.
        """
        header: dict[str, Any] = {
            "classes": self.classes,
            "shapes": [getattr(self, a).shape for a in _ARRAYS],
        }
        if self.validation:
            header["validation"] = self.validation
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
        """Return a description of the data set for people, as plain JSON."""
        card = {
            "name": self.name,
            "classes": list(self.classes),
            "channels": self.channels,
            "train": len(self.train_images),
            "test": len(self.test_images),
        }
        return {**card, "validation": self.validation} if self.validation else card

    def validation_split(
        self, fraction: float, seed: int, folds: int = 0, fold: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return indices of the training split: those to train on, then those held out.

        If the data set has validation images of its own, these are held out, whatever the share
        and the seed. With ``folds`` there is no share: each image is held out in one of the folds.
        Raises ``ConfigError``, see ``require_folds``.
        """
        if folds:
            self.require_folds(folds)
            return stratified_fold(self.train_labels, folds, fold, seed)
        if self.validation:
            return self._own_split()
        return stratified_split(self.train_labels, fraction, seed)

    def require_folds(self, folds: int) -> None:
        """Raise ``ConfigError`` unless each of so many folds can hold out images of all classes."""
        if self.validation:
            raise ConfigError(
                f"folds = {folds}, but data set {self.name} has validation images of its own: omit "
                "folds"
            )
        counts = np.bincount(self.train_labels)
        if counts.min() < folds:
            raise ConfigError(
                f"folds = {folds}, but class {self.classes[counts.argmin()]} has only "
                f"{counts.min()} training images: choose fewer folds, or add images of it"
            )

    def pack(self) -> bytes:
        """Return the data set as the bytes of an ``.npz`` file without pickles."""
        packed = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if self.validation:
            arrays["validation"] = np.array(self.validation)
        np.savez(packed, name=np.array(self.name), classes=np.array(self.classes), **arrays)
        return packed.getvalue()

    @classmethod
    def unpack(cls, packed: bytes, content_hash: str) -> Dataset:
        """Read the bytes of ``pack``; raises ``DatasetError`` unless the data set has this hash.

        The bytes are untrusted: pickles are not read, and neither is an archive that would take
        more memory than ``packed``.
        """
        try:
            _require_uncompressed(packed)
            with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
                dataset = cls(
                    name=str(arrays["name"]),
                    classes=tuple(str(name) for name in arrays["classes"]),
                    **{name: arrays[name] for name in _ARRAYS},
                    validation=int(arrays["validation"]) if "validation" in arrays.files else 0,
                )
        # On damaged bytes NumPy and zipfile raise anything from TypeError to zlib.error.
        except Exception as error:
            raise DatasetError(f"packed data set cannot be read: {error}") from error
        if dataset.content_hash != content_hash:
            raise DatasetError(f"packed data set does not have the hash {content_hash[:12]}...")
        return dataset

    def _own_split(self) -> tuple[np.ndarray, np.ndarray]:
        indices = np.arange(len(self.train_labels))
        return indices[: -self.validation], indices[-self.validation :]


def _require_split(split: str, images: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Raise ``DatasetError`` unless images and labels are as ``Dataset`` describes them."""
    shape = images.shape
    if images.dtype != np.uint8 or shape[1:3] != (SIZE, SIZE) or shape[3:] not in ((1,), (3,)):
        raise DatasetError(f"{split} images are {images.dtype} {shape}")
    if labels.dtype != np.int64 or labels.shape != shape[:1]:
        raise DatasetError(f"{split} labels are {labels.dtype} {labels.shape}")
    if not np.array_equal(np.unique(labels), np.arange(classes)):
        raise DatasetError(
            f"in the {split} split, some of the {classes} classes have no image, or some labels "
            "have no class"
        )


def _require_uncompressed(packed: bytes) -> None:
    """Refuse an archive with members larger than itself: a few kB can unpack to TB of zeros."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > len(packed):
        raise DatasetError(f"{len(packed)} bytes would unpack to {size}: it must be uncompressed")


def stratified_split(
    labels: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted indices ``(kept, held_out)``; both have at least one image of each class.

    It uses ``RandomState`` because its stream never changes (NEP 19): every device, with any NumPy,
    holds out the same images. Raises ``DatasetError`` for a class with one image.

    Args:
        labels: int64 ``[N]``.
        fraction: share of each class that is held out, in 0..1.
        seed: decides which.
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


def stratified_fold(
    labels: np.ndarray, folds: int, fold: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted indices ``(kept, held_out)`` of one fold of a cross-validation.

    Each image is held out in exactly one fold. The folds' sizes differ by one image at most, and so
    do the numbers of images of a class in them. They are the same on every device, as those of
    ``stratified_split`` are.

    Args:
        labels: int64 ``[N]``.
        folds: how many there are.
        fold: which of them, from 0.
        seed: decides which images are together.
    """
    random = np.random.RandomState(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    # Dealt out class after class, as cards are.
    dealt = np.concatenate([random.permutation(each) for each in members])
    out = np.sort(dealt[fold::folds])
    return np.setdiff1d(np.arange(len(labels)), out), out
