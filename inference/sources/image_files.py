"""Frames from image files: single ones, lists, globs, and folders with all that is in them."""

from __future__ import annotations

import glob
import os
import threading
import time
from pathlib import Path
from typing import Generator, Sequence

from hyperhive.common.errors import DatasetError, SourceError
from hyperhive.inference.frames import Frame, Say
from hyperhive.inference.sources.address import without_secrets
from hyperhive.model.data.images import SUFFIXES, decode


class ImageFiles:
    """A source of the images at these paths.

    Args:
        title: what the person asked for.
        paths: image files, at least one.
    """

    live = False

    def __init__(self, title: str, paths: Sequence[Path]) -> None:
        self.title = title
        self._paths = paths
        # Outputs are called by the path below what all images share.
        self._root = os.path.commonpath([os.path.abspath(path.parent) for path in paths])

    def frames(self, stop: threading.Event, left_out: Say) -> Generator[Frame, None, None]:
        """Give every image that can be read; see ``Source.frames``."""
        readable = 0
        for index, path in enumerate(self._paths):
            if stop.is_set():
                return
            begun = time.perf_counter()
            try:
                image = decode(path.read_bytes())
            except (DatasetError, OSError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                sentence = f"{path} cannot be read: {reason}"
                if len(self._paths) == 1:
                    raise SourceError(sentence) from error
                left_out(sentence)
                continue
            readable += 1
            name = Path(os.path.relpath(path, self._root)).with_suffix("").as_posix()
            took = time.perf_counter() - begun
            yield Frame(image, name, str(path), index, took=took)
        if not readable:
            raise SourceError(f"none of the {len(self._paths)} images of {self.title} can be read")


class Finder:
    """Finds images; hidden files and folders are left out, and so are our own outputs.

    Args:
        ours: the folder of our outputs, which may lie in a folder that is searched.
    """

    def __init__(self, ours: Path) -> None:
        self._ours = ours.resolve()

    def find(self, texts: Sequence[str]) -> list[Path]:
        """Return the images of files, folders and globs: of each sorted, none twice.

        Folders are searched to the bottom; a file that is named outright is taken as it is.
        Raises ``SourceError`` for a text that gives none.
        """
        found: list[Path] = []
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
                    f"there is no {without_secrets(text)}: give an image, a folder, a glob, "
                    "a video file or the number "
                    "of a camera"
                )
            found.extend(images)
        return list(dict.fromkeys(found))

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
        return is_image and self._ours not in path.resolve().parents

    @staticmethod
    def _require(images: list[Path], problem: str, where: object) -> list[Path]:
        if not images:
            raise SourceError(
                "{} {}: images end in one of {}".format(problem, where, " ".join(sorted(SUFFIXES)))
            )
        return images
