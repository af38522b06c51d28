"""Keeps what a model was unsure of, so that a person can label it later."""

from __future__ import annotations

import collections
import contextlib
import functools
import shlex
import time
from pathlib import Path
from typing import Any, Iterable, Iterator

import numpy as np

from hyperhive.common import files
from hyperhive.common.errors import DatasetError
from hyperhive.common.wording import counted
from hyperhive.inference.collecting import kept
from hyperhive.inference.collecting.crops import (
    Recent,
    as_png,
    reduced_crop,
    seen_square,
    thumbnail,
)
from hyperhive.inference.collecting.settings import KeepSettings
from hyperhive.inference.collecting.writer import Writer
from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import Result
from hyperhive.model.data.images import decode
from hyperhive.model.data.series import new_series, picture_name
from hyperhive.model.data.walk import read_file

_HOUR_S = 3600.0
_PAUSE_S = 10.0
"""Doubtful frames of a source that are further apart are of two series."""

_COMPARED = 50


class Keeper:
    """Keeps the squares of doubtful frames: each look once, and so many an hour.

    The pictures of the last hour count, whichever run kept them, by the times of their files. A
    thread writes. Use it as a context manager: the end waits until all is written.

    Args:
        settings: what to keep, and where; the folder is made with the first picture.

    Raises ``OutputError`` if the folder cannot be written; ``offer`` and the end do so too.
    """

    def __init__(self, settings: KeepSettings) -> None:
        self._settings = settings
        folder = settings.folder
        files.require_writable(folder, "doubtful pictures", "choose another with --keep-in")
        dated = sorted(_dated(kept.pictures(folder)))
        self._times = collections.deque(when for when, _ in dated if when <= time.time())
        self._recent = Recent(_thumbnails(path for _, path in dated[-_COMPARED:]))
        self._moments = _Moments()
        self._writer = Writer(folder)
        self._kept = 0
        self._skipped: collections.Counter[str] = collections.Counter()

    def offer(self, result: Result) -> None:
        """Keep a result's square if it is doubtful, and there is none like it yet."""
        if not self._is_doubtful(result):
            return
        series, number = self._moments.next(result.frame)
        now = time.time()
        while self._times and now - self._times[0] >= _HOUR_S:
            self._times.popleft()
        if len(self._times) >= self._settings.per_hour:
            self._skipped[f"beyond {self._settings.per_hour} an hour"] += 1
            return
        if self._writer.is_busy:
            self._skipped["faster than the disk"] += 1
            return
        square = seen_square(result.frame)
        seen = thumbnail(square)
        if self._recent.has_alike(seen):
            self._skipped["like a kept one"] += 1
            return
        path = self._settings.folder / picture_name(series, number)
        answer = {**result.to_json(), "kept": now}
        job = functools.partial(self._keep, path, square.copy(), answer)
        self._writer.submit(job, square.nbytes)
        self._recent.add(seen)
        self._times.append(now)

    def remarks(self) -> Iterator[str]:
        """Yield how many were kept and skipped, once closed."""
        skipped = sum(self._skipped.values())
        reasons = ", ".join(f"{count:,} {why}" for why, count in sorted(self._skipped.items()))
        yield (
            f"{counted(self._kept, 'doubtful picture')} kept in {self._settings.folder}, "
            f"{skipped:,} skipped{f' ({reasons})' if reasons else ''}"
        )
        if self._kept:
            folder = shlex.quote(str(self._settings.folder))
            yield f"label them: predict-cam --label {folder} --into FOLDER"

    def close(self) -> None:
        """Write all pictures, and stop. Raises ``OutputError``."""
        self._writer.close()

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_doubtful(self, result: Result) -> bool:
        below = self._settings.below
        if below is None:
            return not result.prediction.known
        return result.prediction.probability < below

    def _keep(self, path: Path, square: np.ndarray, answer: dict[str, Any]) -> None:
        kept.keep(path, as_png(reduced_crop(square)), answer)
        self._kept += 1


class _Moments:
    """Names doubtful frames: those of one moment are a series, each image file is one by itself."""

    def __init__(self) -> None:
        self._series = ""
        self._number = 0
        self._last: tuple[str, float | None] = ("", None)

    def next(self, frame: Frame) -> tuple[str, int]:
        """Return the series of a doubtful frame, and its number in that."""
        source, before = self._last
        self._last = frame.source, frame.time
        self._number += 1
        is_same = source == frame.source and frame.time is not None and before is not None
        if not is_same or abs((frame.time or 0.0) - (before or 0.0)) > _PAUSE_S:
            self._series, self._number = new_series(time.time()), 0
        return self._series, self._number


def _dated(paths: Iterable[Path]) -> Iterator[tuple[float, Path]]:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # it was labelled just now
            yield path.stat().st_mtime, path


def _thumbnails(paths: Iterable[Path]) -> Iterator[np.ndarray]:
    for path in paths:
        # What cannot be read, or was labelled just now, looks like nothing.
        with contextlib.suppress(DatasetError, OSError):
            yield thumbnail(decode(read_file(path)))
