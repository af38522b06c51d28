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
from hyperhive.model.data.images import SIZE, batches, is_image_size
from hyperhive.model.data.series import series_fold, series_split

LARGEST = 2 << 30
"""Bytes of the images of the largest data set. It travels through the store as one file, and a
worker needs three times that in memory. 10,000 images in colour of 224x224 have 1.5 GB."""

SPLITS = TRAIN, VALIDATION, TEST = "train", "validation", "test"
_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class Dataset:
    """Square images in a training split and a test split.

    Images are uint8 ``[N, S, S, C]`` with S from 28 to 224 and C of 1 or 3. Labels are int64
    ``[N]``; they index ``classes``. The last ``validation`` training images are those that a trial
    is validated on; if it is 0, each study chooses its own. ``may_mirror`` says whether a picture
    and its mirror image are of one class; it is no part of the content. ``train_series`` says which
    training images are of one series, see ``series.numbers_of``. Raises ``DatasetError`` if an
    array differs from that, if a class has no image, or if the images are more than ``LARGEST``.
    """

    name: str
    classes: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    validation: int = 0
    may_mirror: bool = True
    train_series: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise DatasetError(
                f"a data set needs two or more classes, not {' and '.join(self.classes) or 'none'}"
            )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise DatasetError("training and test images have different sizes or channels")
        _require_split("training", self.train_images, self.train_labels, self.classes)
        _require_split("test", self.test_images, self.test_labels, self.classes)
        require_room(len(self.train_images) + len(self.test_images), self.image_size, self.channels)
        series, shape = self.train_series, self.train_labels.shape
        if series is not None and (series.dtype != np.int64 or series.shape != shape):
            raise DatasetError(f"series of training images are {series.dtype} {series.shape}")
        if not 0 <= self.validation < len(self.train_labels):
            raise DatasetError(f"{self.validation} training images cannot be for validation")
        if self.validation:
            for split, indices in zip(("training", VALIDATION), self._own_split()):
                _require_classes(split, self.train_labels[indices], self.classes)

    @property
    def channels(self) -> int:
        """Number of channels: 1 for grey, 3 for colour."""
        return int(self.train_images.shape[3])

    @property
    def image_size(self) -> int:
        """Width and height of the images in pixels."""
        return int(self.train_images.shape[1])

    def labels_of(self, split: str) -> np.ndarray:
        """Return the labels of one of ``SPLITS``; none if it has no such images of its own."""
        own = len(self.train_labels) - self.validation
        if split == TEST:
            return self.test_labels
        return self.train_labels[own:] if split == VALIDATION else self.train_labels[:own]

    def counts(self) -> dict[str, np.ndarray]:
        """Return how many images each class has, int64 ``[classes]``, for each split there is."""
        counts = {
            split: np.bincount(self.labels_of(split), minlength=len(self.classes))
            for split in SPLITS
        }
        return {split: count for split, count in counts.items() if count.any()}

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 over classes, shapes, images and labels; the data set is published under it.

        The name is left out: the same images under another name are the same data set. Validation
        images of its own, and series, are named only where there are any: so a worker of a version
        that would train on images that are to be held out finds another hash, and refuses the data
        set.
        """
        header: dict[str, Any] = {
            "classes": self.classes,
            "shapes": [getattr(self, a).shape for a in _ARRAYS],
        }
        if self.validation:
            header["validation"] = self.validation
        if self.train_series is not None:
            header["series"] = self.train_series.tolist()
        digest = hashlib.sha256(json.dumps(header).encode())
        for array in _ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, array)).tobytes())
        return digest.hexdigest()

    def normalisation(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of each channel of the training images, in 0..1."""
        levels = np.arange(256) / 255.0
        counts = np.zeros((self.channels, 256))
        for batch in batches(self.train_images):  # all at once would be 8 times as large
            for channel in range(self.channels):
                counts[channel] += np.bincount(batch[..., channel].ravel(), minlength=256)
        shares = counts / counts.sum(axis=1, keepdims=True)
        mean = shares @ levels
        variance = (shares * (levels - mean[:, None]) ** 2).sum(axis=1)
        # A channel that never varies would divide by zero.
        return mean.tolist(), np.maximum(np.sqrt(variance), 1e-6).tolist()

    def card(self) -> dict[str, Any]:
        """Return a description of the data set for people, as plain JSON."""
        card: dict[str, Any] = {
            "name": self.name,
            "classes": list(self.classes),
            "channels": self.channels,
            "train": len(self.train_images),
            "test": len(self.test_images),
        }
        if self.image_size != SIZE:
            card["image_size"] = self.image_size
        return {**card, "validation": self.validation} if self.validation else card

    def validation_split(
        self, fraction: float, seed: int, folds: int = 0, fold: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return indices of the training split: those to train on, then those held out.

        If the data set has validation images of its own, these are held out, whatever the share
        and the seed. With ``folds`` there is no share: each image is held out in one of the folds.
        Images of one series are on the same side, see ``series_split`` and ``series_fold``.
        Raises ``ConfigError``, see ``require_folds``.
        """
        if folds:
            self.require_folds(folds)
            if self.train_series is not None:
                return series_fold(self.train_labels, self.train_series, folds, fold, seed)
            return stratified_fold(self.train_labels, folds, fold, seed)
        if self.validation:
            return self._own_split()
        if self.train_series is not None:
            return series_split(self.train_labels, self.train_series, fraction, seed)
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
        if not self.may_mirror:
            arrays["may_mirror"] = np.array(False)
        if self.train_series is not None:
            arrays["train_series"] = self.train_series
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
                    may_mirror="may_mirror" not in arrays.files or bool(arrays["may_mirror"]),
                    train_series=arrays["train_series"] if "train_series" in arrays.files else None,
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


def require_room(count: int, size: int, channels: int) -> None:
    """Raise ``DatasetError`` if so many images are more than a data set may have.

    Args:
        count: number of images.
        size: their width and height in pixels.
        channels: 1 for grey, 3 for colour.
    """
    if count * size * size * channels <= LARGEST:
        return
    fitting = int((LARGEST / (count * channels)) ** 0.5)
    cure = f"choose --image-size {fitting} or less" if fitting >= SIZE else "use fewer images"
    raise DatasetError(
        f"{count:,} images of {size}x{size} have {count * size * size * channels / 2**30:.1f} GB, "
        f"and a data set may have {LARGEST >> 30}: {cure}"
    )


def _require_split(
    split: str, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]
) -> None:
    """Raise ``DatasetError`` unless images and labels are as ``Dataset`` describes them."""
    shape = images.shape
    is_square = shape[1:2] == shape[2:3] and is_image_size(*shape[1:2] or (0,))
    if images.dtype != np.uint8 or not is_square or shape[3:] not in ((1,), (3,)):
        raise DatasetError(f"{split} images are {images.dtype} {shape}")
    if labels.dtype != np.int64 or labels.shape != shape[:1]:
        raise DatasetError(f"{split} labels are {labels.dtype} {labels.shape}")
    _require_classes(split, labels, classes)


def _require_classes(split: str, labels: np.ndarray, classes: tuple[str, ...]) -> None:
    """Raise ``DatasetError`` unless each label has a class, and each class an image."""
    found = np.unique(labels)
    without_class = np.setdiff1d(found, np.arange(len(classes)))
    if len(without_class):
        raise DatasetError(
            f"a {split} image has the label {without_class[0]}, and labels are 0 to "
            f"{len(classes) - 1}"
        )
    without_image = np.setdiff1d(np.arange(len(classes)), found)
    if len(without_image):
        raise DatasetError(
            f"class {classes[without_image[0]]} has no {split} image: add images of it, or leave "
            "the class out"
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
