"""A folder or a zip archive of images, read in the same way."""

from __future__ import annotations

import functools
import zipfile
from pathlib import Path, PurePosixPath
from typing import Callable, Iterator

from hyperhive.common.errors import DatasetError

_Reader = Callable[[], bytes]


class ImageTree:
    """The files of a folder or a zip, by relative path and sorted, without hidden files.

    Use it as a context manager, which closes the zip. Raises ``DatasetError`` if there is no such
    folder or zip, or if the zip is damaged.

    Args:
        root: a folder, or a ``.zip`` file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._archive = None if root.is_dir() else _open_zip(root)
        self._readers: dict[PurePosixPath, _Reader] = {}
        folders = set()
        for path, reader in _walk_folder(root) if self._archive is None else _walk(self._archive):
            # This also leaves out "..", with which a zip could point outside itself.
            if any(part.startswith((".", "__MACOSX")) for part in path.parts):
                continue
            if reader is None:
                folders.add(path)
            else:
                self._readers[path] = reader
                folders.update(path.parents)
        folders.discard(PurePosixPath("."))
        self.folders: frozenset[PurePosixPath] = frozenset(folders)

    def __iter__(self) -> Iterator[PurePosixPath]:
        return iter(sorted(self._readers))

    def subfolders(self, parent: PurePosixPath) -> list[str]:
        """Return the names of the folders directly below ``parent``, sorted."""
        return sorted(folder.name for folder in self.folders if folder.parent == parent)

    def read(self, path: PurePosixPath) -> bytes:
        """Return a file's bytes; raises ``DatasetError`` if they cannot be read."""
        try:
            return self._readers[path]()
        # For a damaged or encrypted member, zipfile raises whatever its decompressors raise:
        # zlib.error, LZMAError, EOFError, UnicodeDecodeError, RuntimeError, ...
        except Exception as error:
            raise DatasetError(str(error) or type(error).__name__) from error

    def __enter__(self) -> ImageTree:
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()


def _walk_folder(root: Path) -> Iterator[tuple[PurePosixPath, _Reader | None]]:
    for path in root.rglob("*"):
        inside = PurePosixPath(path.relative_to(root).as_posix())
        yield inside, None if path.is_dir() else path.read_bytes


def _walk(archive: zipfile.ZipFile) -> Iterator[tuple[PurePosixPath, _Reader | None]]:
    for member in archive.infolist():
        reader = None if member.is_dir() else functools.partial(archive.read, member)
        yield PurePosixPath(member.filename), reader


def _open_zip(path: Path) -> zipfile.ZipFile:
    if not path.exists():
        raise DatasetError(f"there is no folder or zip file at {path}")
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # almost anything, as in ``ImageTree.read``
        raise DatasetError(
            f"{path} is neither a folder nor a readable zip file ({error}): get a new copy"
        ) from error
