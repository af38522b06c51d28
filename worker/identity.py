"""What a worker says about itself in the store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """A worker process: its id, the one study it works for (or any), its device and versions.

    ``versions`` has those of packages, and for each file of objectives the digest of its bytes.
    ``objectives`` are the names of the objectives that it can run; None if that is not known.
    ``refused`` are the published objectives and the keys that it refuses, each with the reason.
    """

    worker: str
    study: str | None
    device: str
    versions: dict[str, str]
    objectives: tuple[str, ...] | None = None
    refused: tuple[tuple[str, str], ...] = ()
