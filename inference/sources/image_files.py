"""Frames from image files: single files, lists, globs, and folders with their subfolders."""

from __future__ import annotations

import fnmatch
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
from hyperhive.model.data.images import decode, is_image
from hyperhive.model.data.left_out import FOREIGN, UNOPENED, LeftOut, clutter_sentences
from hyperhive.model.data.names import is_clutter
from hyperhive.model.data.walk import CLUTTER, read_file, walk


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
        refusals: list[SourceError] = []
        for index, path in enumerate(self._paths):
            if stop.is_set():
                return
            started_at = time.perf_counter()
            try:
                image = _read(path)
            except SourceError as error:
                if len(self._paths) == 1:
                    raise
                refusals.append(error)
                left_out(str(error))
                continue
            name = Path(os.path.relpath(path, self._root)).with_suffix("").as_posix()
            took = time.perf_counter() - started_at
            yield Frame(image, name, str(path), index, took=took)
        if len(refusals) == len(self._paths):
            raise SourceError(
                f"none of the {len(refusals)} images of {self.title} can be read: {refusals[0]}"
            )


def _read(path: Path) -> np.ndarray:
    """Return an image file's pixels, uint8 RGB ``[H, W, 3]``; raise ``SourceError`` without one."""
    try:
        return decode(read_file(path))
    except OSError as error:  # as by a missing file, a missing permission or a broken disk
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    except DatasetError as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


class Finder:
    """Finds images outside the outputs of predict-cam, and collects what else it leaves out.

    Args:
        outputs: the folder of the outputs, which may lie in a folder that is searched.
    """

    def __init__(self, outputs: Path) -> None:
        self._outputs = Path(os.path.realpath(outputs))
        self._left_out = LeftOut()
        self._clutter: list[Path] = []

    def find(self, texts: Sequence[str]) -> list[Path]:
        """Return the images of files, folders and globs: sorted within each text, none twice.

        Folders are searched with their subfolders. A file that is named itself is taken whatever
        its suffix. Raises ``SourceError`` for a text that gives no image.
        """
        paths: list[Path] = []
        for text in texts:
            path = Path(text)
            if path.is_dir():
                images = self._require(self._in_folder(path), f"there is no image in {path}", path)
            elif os.path.lexists(text):
                images = [path]
            elif glob.has_magic(text):
                shown = without_secrets(text)
                images = self._require(self._matching(text), f"no image matches {shown}")
            else:
                raise SourceError(
                    f"there is no {without_secrets(text)}: give an image, a folder, a glob, a "
                    "video file or the number of a camera"
                )
            paths.extend(images)
        return list(dict.fromkeys(paths))

    def remarks(self) -> list[str]:
        """Return sentences about what was left out; images that cannot be read are not in them."""
        return [*self._left_out.sentences(), *clutter_sentences(self._clutter)]

    def _in_folder(self, folder: Path, pattern: tuple[str, ...] = ("**",)) -> list[Path]:
        """Return the images below a folder whose path, or that of a folder above, fits a glob."""
        images = []
        for found in walk(folder):
            path, parts = folder / found.path, found.path.parts
            is_folder = found.read is None and not found.reason
            if is_folder or not any(fits(parts[:end], pattern) for end in range(len(parts) + 1)):
                continue
            if found.reason == CLUTTER:
                self._clutter.append(path)
            elif found.reason and not is_image(path):
                self._left_out.add(UNOPENED, path, found.reason)
            elif self._is_image(path):
                images.append(path)
        return sorted(images)

    def _matching(self, pattern: str) -> list[Path]:
        """Return the images of a glob; with ``**``, links do not lead in circles."""
        parts = Path(pattern).parts
        if "**" in parts:
            fixed = next(n for n, part in enumerate(parts) if glob.has_magic(part))
            return self._in_folder(Path(*parts[:fixed]), parts[fixed:])
        images: list[Path] = []
        for match in map(Path, sorted(glob.glob(pattern))):
            if any(is_clutter(name) and name != part for name, part in zip(match.parts, parts)):
                self._clutter.append(match)
            elif match.is_dir():
                images.extend(self._in_folder(match))
            elif self._is_image(match):
                images.append(match)
        return images

    def _is_image(self, path: Path) -> bool:
        """Return whether to read a path, which need not be a regular file; note what is not."""
        if self._outputs in Path(os.path.realpath(path)).parents:
            return False
        if not is_image(path):
            self._left_out.add(FOREIGN, path)
            return False
        return True

    def _require(self, images: list[Path], problem: str, where: Path | None = None) -> list[Path]:
        if not images:
            raise SourceError(problem + self._left_out.below(where))
        return images


def fits(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the parts of a path fit those of a glob, in which ``**`` is any folders."""
    if not pattern:
        return not path
    if pattern[0] == "**" and fits(path, pattern[1:]):
        return True
    rest = pattern if pattern[0] == "**" else pattern[1:]
    return bool(path) and fnmatch.fnmatch(path[0], pattern[0]) and fits(path[1:], rest)
