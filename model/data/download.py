"""Simpsons-MNIST from its public repository: downloaded once, checked, kept."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Callable

from hyperhive.common import files, paths
from hyperhive.common.errors import DatasetError
from hyperhive.model.data.image_tree import Files

SIMPSONS_URL = "https://github.com/alvarobartt/simpsons-mnist/archive/refs/heads/master.zip"
SIMPSONS_TREE_SHA256 = "b17261021fc1c1b6c3a1696ba2c335d7475d0efb66b2ec691b00c2082cfe5774"
TIMEOUT_S = 20.0
_CHUNK = 1 << 16

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; the latter is 0 where the server does not say."""


def datasets_directory() -> Path:
    """Return where downloads and fetched data sets are kept."""
    return paths.cache_directory() / "datasets"


def simpsons_archive(progress: Progress, url: str = SIMPSONS_URL) -> Path:
    """Return the archive of Simpsons-MNIST, downloading it if it is not cached.

    Raises ``DatasetError`` if it cannot be had, or is not the one this was written for.
    """
    archive = datasets_directory() / "simpsons-mnist.zip"
    if archive.exists():
        return archive
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(archive) as partial:
            _download(url, partial, progress)
            found = tree_sha256(partial)
            if found != SIMPSONS_TREE_SHA256:
                raise DatasetError(
                    f"what {url} sent is not Simpsons-MNIST as we know it (its images hash to "
                    f"{found[:12]}..., not {SIMPSONS_TREE_SHA256[:12]}...): give a copy with --data"
                )
    except (OSError, http.client.HTTPException) as error:
        raise DatasetError(
            "Simpsons-MNIST cannot be downloaded from {} ({}): check the network, or give a copy "
            "with --data PATH".format(url, getattr(error, "reason", None) or error)
        ) from error
    return archive


def tree_sha256(archive: Path) -> str:
    """Return one hash over all images below ``dataset/``: their paths and their bytes.

    GitHub makes its archives anew, so the hash of the zip itself is not stable; that of the files
    in it is.
    """
    digest = hashlib.sha256()
    with Files(archive) as tree:
        for path in tree:
            if "dataset" in path.parts and path.suffix == ".jpg":
                inside = PurePosixPath(*path.parts[path.parts.index("dataset") + 1 :])
                content = hashlib.sha256(tree.read(path)).hexdigest()
                digest.update(f"{inside} {content}\n".encode())
    return digest.hexdigest()


def _download(url: str, to: Path, progress: Progress) -> None:
    # S310: the address is ours, above, or a test's; no user names one.
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
            raise DatasetError(f"the download from {url} broke off: try again")
