"""The files that the best trials saved; small pictures among them as data URLs.

Workers wrote them, and a browser opens them. So only the four formats are shown that cannot hold a
program, told by their first bytes and not by their names.
"""

from __future__ import annotations

import base64
from typing import Any, Sequence

from hyperhive.coordinator.figures.numbers import text
from hyperhive.store.artifacts import Artifact, artifacts_of
from hyperhive.store.errors import CorruptBlob, NotAllowed, NotFound
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial

MOST = 50
"""Files that are listed."""
MOST_PICTURES = 12
LARGEST_PICTURE = 300_000
"""Bytes of one picture; a chart of Matplotlib has a tenth."""
LARGEST_TOTAL = 1_500_000
"""Bytes of all pictures."""

_FORMATS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def read_artifacts(store: Store, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return the files of these trials, the best first: at most ``MOST``, with few pictures."""
    files = [(trial, each) for trial in trials for each in artifacts_of(trial).values()][:MOST]
    found, pictures, total = [], 0, 0
    for trial, file in files:
        image = None
        has_room = pictures < MOST_PICTURES and total + file.blob.length <= LARGEST_TOTAL
        if has_room and file.blob.length <= LARGEST_PICTURE:
            image = _picture(store, file)
            pictures += image is not None
            total += file.blob.length if image else 0
        name, length = text(file.name), file.blob.length
        found.append({"trial": trial.tid, "name": name, "image": image, "bytes": length})
    return found


def _picture(store: Store, file: Artifact) -> str | None:
    """Return a file as a data URL if it is a picture; None for another, and for one without bytes.

    A trial that is no longer among the best loses its files at any time. The login of one who only
    watches may read no files.
    """
    suffix = file.name.rpartition(".")[2].lower()
    if suffix not in ("png", "jpg", "jpeg", "gif", "webp"):
        return None
    try:
        return as_url(store.blobs.get(file.blob))
    except (NotFound, CorruptBlob, NotAllowed):
        return None


def as_url(data: bytes) -> str | None:
    """Return a PNG, JPEG, GIF or WebP picture as a data URL; None for anything else."""
    kind = next((kind for begin, kind in _FORMATS.items() if data.startswith(begin)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "image/webp"
    return kind and f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
