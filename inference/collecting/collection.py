"""Pictures of the user's own classes: class folders, which any study reads."""

from __future__ import annotations

import collections
import contextlib
import enum
import functools
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hyperhive.common import files
from hyperhive.inference.collecting.classes import Classes
from hyperhive.inference.collecting.crops import Recent, as_png, reduced_crop, thumbnail
from hyperhive.inference.collecting.writer import Writer
from hyperhive.model.data.series import CORRECTED, new_series, picture_name

_LEFT_BEHIND_S = 3600.0
"""No write takes as long: an older temporary file is that of a process that was killed."""


class Added(enum.Enum):
    """What became of a picture."""

    TAKEN = "is being written"
    ALIKE = "was skipped: it looks like a recent one of its class"
    BUSY = "was skipped: the disk is slower than the pictures"


class _Picture(NamedTuple):
    class_name: str
    path: Path
    seen: np.ndarray


class Collection:
    """Class folders that grow while a camera is labelled; nothing here waits for the disk.

    Pictures are written by a thread. ``counts`` has only those that would survive a power cut, and
    each file appears whole or not at all. Use it as a context manager: the end waits until all
    is written. ``add``, ``undo``, ``flush`` and the end raise ``OutputError`` if a picture before
    could not be written; then the collection can be used on.

    Args:
        folder: has the class folders, and is made with the first picture.

    Raises ``UsageError`` for a folder that has no place for class folders, ``OutputError`` if it
    cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._classes = Classes(folder)
        files.require_writable(folder, "the pictures", "make it writable, or choose another")
        _remove_left_behind(folder)
        self._counts = self._classes.counts()
        self._counting = threading.Lock()
        self._added: list[_Picture] = []
        self._lost: collections.deque[_Picture] = collections.deque()
        # Across series: the same look on both sides of a split would validate nothing.
        self._recent: dict[str, Recent] = collections.defaultdict(Recent)
        self._writer = Writer(folder)
        self.begin_series()

    def begin_series(self) -> None:
        """Let the next pictures be a series of their own: one burst, one moment, one split."""
        self._series = new_series(time.time())
        self._number = 0

    @property
    def classes(self) -> list[str]:
        """The names of the classes, sorted; also of those that are called, but have no picture."""
        return list(self._classes)

    def called(self, text: str) -> str:
        """Return the class that a person means; see ``Classes.called``."""
        return self._classes.called(text)

    def add(self, class_name: str, crop: np.ndarray, is_correction: bool = False) -> Added:
        """Add a picture to a class.

        Args:
            class_name: a person's word for it; see ``Classes.called``.
            crop: uint8 RGB ``[S, S, 3]``, the square that the model sees; it is reduced to 256.
            is_correction: whether a model was wrong about it: it is always trained on.

        Raises ``UsageError`` for a name that a folder cannot have, and ``OutputError``.
        """
        name = self._classes.called(class_name)
        self._forget_lost()
        if self._writer.is_busy:
            return Added.BUSY
        recent, seen = self._recent[name], thumbnail(crop)
        if recent.has_alike(seen):
            return Added.ALIKE
        folder = self._classes.folder(name)
        folder = folder / CORRECTED if is_correction else folder
        picture = _Picture(name, folder / picture_name(self._series, self._number), seen)
        self._writer.submit(functools.partial(self._write, picture, crop.copy()), crop.nbytes)
        recent.add(seen)
        self._number += 1
        self._added.append(picture)
        return Added.TAKEN

    def undo(self) -> str | None:
        """Remove the last picture that this object added; return its class, None without one.

        Raises ``OutputError``.
        """
        self._forget_lost()
        if not self._added:
            return None
        picture = self._added[-1]
        self._writer.submit(functools.partial(self._remove, picture))
        self._added.pop()
        self._recent[picture.class_name].forget(picture.seen)
        return picture.class_name

    def counts(self) -> dict[str, int]:
        """Return how many pictures each class has on the disk, by its name."""
        with self._counting:
            return dict(self._counts)

    def flush(self) -> None:
        """Wait until all pictures are written. Raises ``OutputError``."""
        self._writer.flush()

    def close(self) -> None:
        """Write all pictures, and stop. Raises ``OutputError``."""
        self._writer.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _forget_lost(self) -> None:
        """Forget the pictures that could not be written, so that they can be taken again."""
        while self._lost:
            picture = self._lost.popleft()
            self._added = [each for each in self._added if each is not picture]
            self._recent[picture.class_name].forget(picture.seen)

    def _write(self, picture: _Picture, crop: np.ndarray) -> None:
        try:
            picture.path.parent.mkdir(parents=True, exist_ok=True)
            files.write(picture.path, as_png(reduced_crop(crop)), durable=True)
        except OSError:
            self._lost.append(picture)
            raise
        self._count(picture.class_name, 1)

    def _remove(self, picture: _Picture) -> None:
        if picture.path.exists():  # not if it could not be written
            picture.path.unlink()
            self._count(picture.class_name, -1)

    def _count(self, name: str, more: int) -> None:
        with self._counting:
            self._counts[name] = self._counts.get(name, 0) + more


def _remove_left_behind(folder: Path) -> None:
    """Remove the temporary files of processes that were killed."""
    before = time.time() - _LEFT_BEHIND_S
    for path in folder.rglob(".*.png.*.part"):
        with contextlib.suppress(FileNotFoundError):  # its writer lives, and has just renamed it
            if path.stat().st_mtime < before:
                path.unlink()
