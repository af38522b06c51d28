"""Artifacts: the files that a trial's objective saved with its result, by name.

A worker's login may write anything into a trial, so what is read there is checked here.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from dataclasses import dataclass
from typing import Any, Mapping

from bson import ObjectId

from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob
from hyperhive.store.trials.trial import Trial

MOST_FILES = 100
LARGEST_FILE = 10**9
"""Bytes of one artifact."""
LARGEST_TOTAL = 2 * 10**9
"""Bytes of all artifacts of a trial."""

NAME_RULE = (
    "a name has 1 to 100 letters, digits, dots, underscores and hyphens, no dot at its beginning "
    "or end, and is not reserved by Windows, as nul and con.txt are"
)
_NAME = re.compile(r"(?!.*\.$)[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Artifact:
    """A file of a trial's: its name, which is safe as the name of a file, and where its bytes are.

    ``NAME_RULE`` says what such a name is.
    """

    name: str
    blob: BlobRef

    def as_document(self) -> dict[str, Any]:
        """Return the artifact as a part of a trial's document."""
        return {"name": self.name, **self.blob.as_document()}


def is_name(name: Any) -> bool:
    """Return whether an artifact may have this name."""
    if not isinstance(name, str):
        return False
    return _NAME.fullmatch(name) is not None and _RESERVED.fullmatch(name) is None


def artifacts_of(trial: Trial) -> dict[str, Artifact]:
    """Return a trial's artifacts by name; what is malformed, or too large, counts as absent.

    Of names that differ only in case, the last counts: on some systems they would be one file.
    """
    read = map(_artifact, trial.artifacts[:MOST_FILES])
    found = {each.name.lower(): each for each in read if each is not None}
    total = itertools.accumulate(each.blob.length for each in found.values())
    return {each.name: each for each, sum_ in zip(found.values(), total) if sum_ <= LARGEST_TOTAL}


def _artifact(document: Mapping[str, Any]) -> Artifact | None:
    name = document.get("name")
    with contextlib.suppress(CorruptBlob):
        blob = BlobRef.from_document(document)
        if is_name(name) and 0 <= blob.length <= LARGEST_FILE:
            return Artifact(str(name), blob)
    return None


def file_ids(trial: Trial) -> set[ObjectId]:
    """Return the ids of the files that a trial refers to: its weights, and what was saved with it.

    A worker writes where they are: only what has the type of an id is believed.
    """
    references = [trial.artifact or {}, *trial.artifacts]
    found = [each.get("file_id") for each in references]
    return {file_id for file_id in found if isinstance(file_id, ObjectId)}
