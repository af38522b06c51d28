"""Frames from image files: single files, lists, globs, and folders with their subfolders."""

from __future__ import annotations

import glob
import os
import threading
import time
from pathlib import Path
from typing import Generator, Sequence

import numpy as np

from hyperhive.common.errors import DatasetError, SourceError
from hyperhive.inference.frames import Frame, Say
from hyperhive.inference.sources.address import without_secrets
from hyperhive.model.data.images import SUFFIXES, decode


class ImageFiles:
    """A source of the images at these paths.

    Args:
        title: names the images to a person.
        paths: image files, at least one.
    """

    live = False

    def __init__(self, title: str, paths: Sequence[Path]) -> None:
        self.title = title
        self._paths = paths
        # Outputs are named by the path below the folder that all images share.
        self._root = os.path.commonpath([os.path.abspath(path.parent) for path in paths])

    def frames(self, stop: threading.Event, left_out: Say) -> Generator[Frame, None, None]:
        """Yield every image that can be read; see ``Source.frames``."""
        readable = 0
        for index, path in enumerate(self._paths):
            if stop.is_set():
                return
            started_at = time.perf_counter()
            try:
                image = _read(path)
            except SourceError as error:
                if len(self._paths) == 1:
                    raise
                left_out(str(error))
                continue
            readable += 1
            name = Path(os.path.relpath(path, self._root)).with_suffix("").as_posix()
            took = time.perf_counter() - started_at
            yield Frame(image, name, str(path), index, took=took)
        if not readable:
            raise SourceError(f"none of the {len(self._paths)} images of {self.title} can be read")


def _read(path: Path) -> np.ndarray:
    """Return an image file's pixels, uint8 RGB ``[H, W, 3]``; raise ``SourceError`` without one."""
    try:
        data = path.read_bytes()
    except OSError as error:  # as by a missing file, a missing permission or a broken disk
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return decode(data)
    except DatasetError as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


class Finder:
    """Finds images; it skips hidden files and folders, and the outputs of predict-cam.

    Args:
        outputs: the folder of the outputs, which may lie in a folder that is searched.
    """

    def __init__(self, outputs: Path) -> None:
        self._outputs = outputs.resolve()

    def find(self, texts: Sequence[str]) -> list[Path]:
        """Return the images of files, folders and globs: sorted within each text, none twice.

        Folders are searched with their subfolders. A file that is named itself is taken whatever
        its suffix. Raises ``SourceError`` for a text that gives no image.
        """
        paths: list[Path] = []
        for text in texts:
            path = Path(text)
            if path.is_dir():
                images = self._require(self._in_folder(path), "there is no image in", path)
            elif path.exists():
                images = [path]
            elif glob.has_magic(text):
                images = self._require(
                    self._matching(text), "no image matches", without_secrets(text)
                )
            else:
                raise SourceError(
                    f"there is no {without_secrets(text)}: give an image, a folder, a glob, a "
                    "video file or the number of a camera"
                )
            paths.extend(images)
        return list(dict.fromkeys(paths))

    def _in_folder(self, folder: Path) -> list[Path]:
        return [
            inside
            for inside in sorted(folder.rglob("*"))
            if self._is_wanted(inside)
            and not any(part.startswith(".") for part in inside.relative_to(folder).parts)
        ]

    def _matching(self, pattern: str) -> list[Path]:
        images: list[Path] = []
        for match in map(Path, sorted(glob.glob(pattern, recursive=True))):
            if match.is_dir():
                images.extend(self._in_folder(match))
            elif self._is_wanted(match):
                images.append(match)
        return images

    def _is_wanted(self, path: Path) -> bool:
        is_image = path.suffix.lower() in SUFFIXES and path.is_file()
        return is_image and self._outputs not in path.resolve().parents

    @staticmethod
    def _require(images: list[Path], problem: str, where: object) -> list[Path]:
        if not images:
            suffixes = " ".join(sorted(SUFFIXES))
            raise SourceError(f"{problem} {where}: images end in one of {suffixes}")
        return images
