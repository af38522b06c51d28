"""A device's copies of data sets: read from its own disk, or fetched once and kept."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Callable

from hyperhive.common import files, paths
from hyperhive.common.errors import DatasetError
from hyperhive.common.values import is_sha256

if TYPE_CHECKING:  # it loads NumPy, which a worker without data sets does not need
    from hyperhive.model.data.dataset import Dataset

log = logging.getLogger(__name__)


def datasets_directory() -> Path:
    """Return the folder of downloaded and fetched data sets."""
    return paths.cache_directory() / "datasets"


class DatasetCache:
    """Data sets by content hash, kept on disk and checked whenever they are read.

    Args:
        directory: where to keep them; by default in the user's cache directory.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or datasets_directory()

    def get(self, content_hash: str, fetch: Callable[[str], bytes]) -> Dataset:
        """Return a data set, from disk if there is an undamaged copy.

        Raises ``DatasetError`` if the hash is not a SHA-256, which could name any file, or if the
        fetched bytes are not the data set; and whatever ``fetch`` raises.

        Args:
            content_hash: see ``Dataset.content_hash``.
            fetch: returns the packed data set with this hash.
        """
        from hyperhive.model.data.dataset import Dataset

        if not is_sha256(content_hash):
            raise DatasetError(f"{content_hash!r} is not the hash of a data set")
        path = self._directory / (content_hash + ".npz")
        try:
            return Dataset.unpack(path.read_bytes(), content_hash)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except DatasetError as error:
            log.warning("%s is damaged and is fetched again (%s)", path, error)
        except OSError as error:
            log.warning("%s cannot be read and is fetched again (%s)", path, error.strerror)
        packed = fetch(content_hash)
        dataset = Dataset.unpack(packed, content_hash)
        self._keep(path, packed)
        return dataset

    def _keep(self, path: Path, packed: bytes) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            files.write(path, packed)
        except OSError as error:
            # The trial needs the data set, not the copy on disk.
            log.warning(
                "data set is not kept in %s: %s; it is fetched again next time, unless you %s",
                self._directory,
                error,
                paths.advice("cache"),
            )
