"""A folder or a zip archive of images, read in the same way."""

from __future__ import annotations

import functools
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Callable, Collection, Iterator

from hyperhive.common.errors import DatasetError
from hyperhive.model.data.names import class_name, is_clutter, path_in_zip
from hyperhive.model.data.walk import CLUTTER, Found, require_small, walk

_IS_ENCRYPTED = 1


class ImageTree:
    """The files of a folder or a zip, by relative path and sorted.

    ``left_out`` has the reason for everything else but ``clutter``, which is hidden or a system's
    own. Use it as a context manager, which closes the zip. Raises ``DatasetError`` if there is no
    such folder or zip, or if the zip is damaged.

    Args:
        root: a folder, or a ``.zip`` file.
        only: the classes whose folders are read, directly in ``root``; None for all there is.
    """

    def __init__(self, root: Path, only: Collection[str] | None = None) -> None:
        self.root = root
        self.left_out: dict[PurePosixPath, str] = {}
        self.clutter: set[PurePosixPath] = set()
        self._archive = None if root.is_dir() else _open_zip(root)
        self._readers: dict[PurePosixPath, Callable[[], bytes]] = {}
        folders = set()
        for found in walk(root) if self._archive is None else _walk_zip(self._archive):
            top = found.path.parts[:1]
            if only is not None and (not top or class_name(top[0]) not in only):
                continue
            if found.reason == CLUTTER:
                self.clutter.add(found.path)
            elif found.reason:
                self.left_out[found.path] = found.reason
            elif found.read is None:
                folders.add(found.path)
            else:
                self._readers[found.path] = found.read
                folders.add(found.path.parent)
        self._paths = sorted(self._readers)
        folders.update([above for folder in folders for above in folder.parents])
        folders.discard(PurePosixPath("."))
        self.folders: frozenset[PurePosixPath] = frozenset(folders)
        self._subfolders: dict[PurePosixPath, list[str]] = {}
        for folder in sorted(folders):
            self._subfolders.setdefault(folder.parent, []).append(folder.name)

    def __iter__(self) -> Iterator[PurePosixPath]:
        return iter(self._paths)

    def subfolders(self, parent: PurePosixPath) -> list[str]:
        """Return the names of the folders directly below ``parent``, sorted."""
        return list(self._subfolders.get(parent, []))

    def read(self, path: PurePosixPath) -> bytes:
        """Return a file's bytes; raises ``DatasetError`` if they cannot be read."""
        try:
            return self._readers[path]()
        # For a damaged member, zipfile raises whatever its decompressors raise: zlib.error,
        # LZMAError, EOFError, UnicodeDecodeError, RuntimeError, ...
        except Exception as error:
            raise DatasetError(str(error) or type(error).__name__) from error

    def __enter__(self) -> ImageTree:
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()


def _walk_zip(archive: zipfile.ZipFile) -> Iterator[Found]:
    """Yield the members of a zip; of several with one name the last counts, as when unpacking."""
    for member in archive.infolist():
        name = path_in_zip(member)
        path = PurePosixPath(name)
        # Not with a loop over ``path.parents``: this runs for each of some 10,000 members.
        clutter = next((n for n, part in enumerate(path.parts) if is_clutter(part)), None)
        if ".." in path.parts:
            yield Found(path, reason="its path leads out of the zip")
        elif clutter is not None:
            yield Found(PurePosixPath(*path.parts[: clutter + 1]), reason=CLUTTER)
        elif stat.S_ISLNK(member.external_attr >> 16):
            yield Found(path, reason="a link, which is not followed in a zip")
        elif name.endswith("/") or not path.parts:
            yield Found(path)
        else:
            yield Found(path, functools.partial(_read_member, archive, member))


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & _IS_ENCRYPTED:
        raise DatasetError("encrypted: unpack the zip, and give the folder")
    require_small(member.file_size)
    return archive.read(member)


def _open_zip(path: Path) -> zipfile.ZipFile:
    if not path.exists():
        raise DatasetError(f"there is no folder or zip file at {path}")
    if not path.is_file():
        raise DatasetError(f"{path} is neither a folder nor a zip file")
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # almost anything, as in ``ImageTree.read``
        raise DatasetError(
            f"{path} is neither a folder nor a readable zip file ({error}): get a new copy"
        ) from error
