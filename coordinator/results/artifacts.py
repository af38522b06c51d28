"""What trials saved, and how it comes out of the store."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Iterator, Sequence

from hyperhive.common import files
from hyperhive.common.errors import OutputError, UsageError
from hyperhive.coordinator.ranking import FILES_KEPT
from hyperhive.store.artifacts import Artifact, artifacts_of
from hyperhive.store.errors import CorruptBlob, NotFound
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import REFIT, SEARCH
from hyperhive.store.trials.trial import Trial


def why_none(trial: Trial) -> str:
    """Return why a trial has no artifacts, as the end of a sentence."""
    if trial.pruned:
        return ": it was pruned"
    return f": it saved none, or is not among the best {FILES_KEPT}, which keep theirs"


def searched(store: Store, study: str, number: int | None) -> list[Trial]:
    """Return the trials of a study's search, or the one of a number, ``with_refits``.

    Raises ``NotFound``.
    """
    store.study(study)
    trials = store.trials.find(study, SEARCH, None if number is None else [number])
    if number is not None and not trials:
        raise NotFound(f"study {study} has no trial {number}")
    return with_refits(store, trials)


def with_refits(store: Store, trials: Sequence[Trial]) -> list[Trial]:
    """Return trials of one study's search with the artifacts of their refits, where these have any.

    A refit's weights are those that the study keeps, and so are its files.
    """
    studies = {trial.study for trial in trials}
    refits = [refit for study in studies for refit in store.trials.find(study, REFIT)]
    saved = {refit.tid: refit.artifacts for refit in refits if refit.artifacts}
    return [
        dataclasses.replace(trial, artifacts=saved.get(trial.tid, trial.artifacts))
        for trial in trials
    ]


def read(store: Store, trial: Trial, name: str) -> bytes:
    """Return the bytes of an artifact. Raises ``NotFound``, ``CorruptBlob``."""
    artifact = _artifact(trial, name)
    with _told(trial, artifact):
        return store.blobs.get(artifact.blob)


def download(store: Store, trial: Trial, name: str, path: Path) -> None:
    """Write an artifact to a file, which appears whole and checked, or not at all.

    Raises ``NotFound``, ``CorruptBlob``, ``OutputError``.
    """
    artifact = _artifact(trial, name)
    try:
        with _told(trial, artifact), files.replacing(path) as partial, partial.open("wb") as file:
            store.blobs.download(artifact.blob, file)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})") from error


def download_all(store: Store, trial: Trial, folder: Path) -> list[str]:
    """Write all artifacts of a trial into a new or empty folder; return their names.

    A worker chose the names: into a folder that has files of the user's, nothing is written.
    An error leaves none of them there. Raises ``UsageError`` for such a folder, ``NotFound`` if
    there are none, and what ``download`` raises.
    """
    names = list(artifacts_of(trial))
    if not names:
        raise NotFound(f"{trial.full_title} has no artifacts{why_none(trial)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"the folder {folder} is not empty: name a new one with --to")
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made ({error.strerror})") from error
    with contextlib.ExitStack() as undoing:
        for name in names:
            download(store, trial, name, folder / name)
            undoing.callback((folder / name).unlink)
        undoing.pop_all()
    return names


def _artifact(trial: Trial, name: str) -> Artifact:
    artifacts = artifacts_of(trial)
    if name not in artifacts:
        has = f": it has {', '.join(artifacts)}" if artifacts else why_none(trial)
        raise NotFound(f"{trial.full_title} has no artifact {name!r}{has}")
    return artifacts[name]


@contextlib.contextmanager
def _told(trial: Trial, artifact: Artifact) -> Iterator[None]:
    """Say of which trial and file an error is."""
    what = f"the artifact {artifact.name} of {trial.full_title}"
    try:
        yield
    except NotFound as error:
        raise NotFound(f"{what} was deleted since the trial was read") from error
    except CorruptBlob as error:
        raise CorruptBlob(f"{what} does not match its SHA-256: it was damaged or forged") from error
