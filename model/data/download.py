"""Simpsons-MNIST from its public repository: downloaded once, checked, and kept."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Callable

from hyperhive.common import files, paths
from hyperhive.common.errors import DatasetError
from hyperhive.model.data.cache import datasets_directory
from hyperhive.model.data.image_tree import ImageTree

SIMPSONS_URL = "https://github.com/alvarobartt/simpsons-mnist/archive/refs/heads/master.zip"
SIMPSONS_TREE_SHA256 = "b17261021fc1c1b6c3a1696ba2c335d7475d0efb66b2ec691b00c2082cfe5774"
TIMEOUT_S = 20.0
_CHUNK = 1 << 16

Progress = Callable[[int, int], None]
"""Called with the bytes downloaded and the total, which is 0 if the server does not report it."""


def simpsons_archive(progress: Progress, url: str = SIMPSONS_URL) -> Path:
    """Return the archive of Simpsons-MNIST, downloading it if it is not cached.

    Raises ``DatasetError`` if it cannot be downloaded, or is not the version that hyperhive knows;
    ``OutputError`` if the cache cannot be written.
    """
    archive = datasets_directory() / "simpsons-mnist.zip"
    if archive.exists():
        return archive
    files.require_writable(archive.parent, "downloaded data sets", paths.advice("cache"))
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(archive) as partial:
            _download(url, partial, progress)
            actual = tree_sha256(partial)
            if actual != SIMPSONS_TREE_SHA256:
                raise DatasetError(
                    f"the archive from {url} is not the Simpsons-MNIST that hyperhive knows (its "
                    f"images hash to {actual[:12]}..., not {SIMPSONS_TREE_SHA256[:12]}...): give a "
                    "copy with --data PATH"
                )
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DatasetError(
            f"Simpsons-MNIST cannot be downloaded from {url} ({reason}): check the network, or "
            "give a copy with --data PATH"
        ) from error
    return archive


def tree_sha256(archive: Path) -> str:
    """Return one hash over the paths and the bytes of all images below ``dataset/``.

    GitHub may pack the same files into a different zip, so the hash of the zip itself changes.
    """
    digest = hashlib.sha256()
    with ImageTree(archive) as tree:
        for path in tree:
            if "dataset" in path.parts and path.suffix == ".jpg":
                inside = PurePosixPath(*path.parts[path.parts.index("dataset") + 1 :])
                content = hashlib.sha256(tree.read(path)).hexdigest()
                digest.update(f"{inside} {content}\n".encode())
    return digest.hexdigest()


def _download(url: str, to: Path, progress: Progress) -> None:
    # S310: the address is the one above, or a test's; no user gives one.
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, to.open("wb") as file:  # noqa: S310
        total = int(response.headers.get("Content-Length") or 0)
        done = 0
        while True:
            chunk = response.read(_CHUNK)
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
        if done < total:
            raise DatasetError(f"the download from {url} ended early: try again")
