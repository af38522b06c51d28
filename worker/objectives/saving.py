"""What an objective saves with its trial: copied at once, delivered with the result."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator, Mapping, Sequence, Union

from hyperhive.common import files
from hyperhive.common.errors import DeviceError
from hyperhive.common.wording import size
from hyperhive.store.artifacts import (
    LARGEST_FILE,
    LARGEST_TOTAL,
    MOST_FILES,
    NAME_RULE,
    Artifact,
    is_name,
)
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob, StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.objectives.api import BadResult

Content = Union[bytes, str, "os.PathLike[str]"]


@dataclass(frozen=True)
class SavedFile:
    """A file that was saved: its name as an artifact, and what it is called in its folder."""

    name: str
    file: str
    sha256: str
    length: int

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> SavedFile:
        """Return what ``vars`` gave; raises ``TypeError`` or ``ValueError`` for anything else."""
        saved = cls(**document)
        is_valid = is_name(saved.name) and isinstance(saved.file, str) and saved.file.isdigit()
        if not (is_valid and isinstance(saved.sha256, str) and isinstance(saved.length, int)):
            raise ValueError("a saved file in it is malformed")
        return saved


class SavedFiles:
    """The files that one trial has saved so far. The function may delete its own of each.

    Args:
        folder: theirs, made with the first of them.
        prepare: makes the folder that this one is to be in; raises ``OSError``.
    """

    def __init__(self, folder: Path, prepare: Callable[[], None]) -> None:
        self.where = folder.absolute()
        self._prepare = prepare
        self._files: dict[str, SavedFile] = {}
        self._numbers = itertools.count()

    def all(self) -> tuple[SavedFile, ...]:
        """Return what was saved."""
        return tuple(self._files.values())

    def save(self, name: str, content: Content) -> None:
        """Copy bytes, or the file of a path; one that has this name already is replaced.

        Raises ``BadResult`` for a name, a content or a size that no artifact may have, ``OSError``
        if the path cannot be read, and ``DeviceError`` if the copy cannot be written.
        """
        others = {each: saved for each, saved in self._files.items() if each != name}
        self._require_name(name, others)
        with _opened(name, content) as source:
            room = LARGEST_TOTAL - sum(saved.length for saved in others.values())
            copied = self._copied(name, source, min(room, LARGEST_FILE))
        replaced = self._files.get(name)
        self._files = {**others, name: copied}
        if replaced is not None:
            (self.where / replaced.file).unlink()

    def _copied(self, name: str, source: BinaryIO, most: int) -> SavedFile:
        path = self.where / str(next(self._numbers))
        try:
            self._make()
            sha256, length = files.copy(source, path, most)
        except OSError as error:
            with contextlib.suppress(OSError):  # the whole folder is removed with the trial
                path.unlink()
            raise DeviceError(
                f"the artifact {name} cannot be kept in {self.where.parent} ({error.strerror}): "
                "free some space on this device"
            ) from error
        if length > most:
            path.unlink()
            raise BadResult(
                f"the artifact {name} is too large: one has at most {size(LARGEST_FILE)}, and all "
                f"of a trial have at most {size(LARGEST_TOTAL)}"
            )
        return SavedFile(name, path.name, sha256, length)

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Give an empty folder; at the end the files in it are saved, unless an error ends it.

        Those whose names begin with a dot are not. Raises what ``save`` raises.
        """
        try:
            self._make()
            made = Path(tempfile.mkdtemp(prefix="left-", dir=str(self.where)))
        except OSError as error:
            raise DeviceError(
                f"no folder for artifacts can be made in {self.where.parent} "
                f"({error.strerror}): free some space on this device"
            ) from error
        try:
            yield made
            for path in sorted(made.iterdir()):
                if path.name.startswith("."):
                    continue
                if not path.is_file():
                    raise BadResult(
                        f"{path.name} in the folder of artifacts is no file: leave only files there"
                    )
                self.save(path.name, path)
                path.unlink()
        finally:
            shutil.rmtree(str(made), ignore_errors=True)  # what stays is removed with the trial

    def discard(self) -> None:
        """Delete the files; what cannot be deleted now is deleted by a worker that starts later."""
        self._files = {}
        shutil.rmtree(str(self.where), ignore_errors=True)

    def _make(self) -> None:
        self._prepare()
        self.where.mkdir(exist_ok=True)

    def _require_name(self, name: Any, others: Mapping[str, SavedFile]) -> None:
        if not is_name(name):
            raise BadResult(f"an artifact cannot be called {name!r:.120}: {NAME_RULE}")
        same = [other for other in others if other.lower() == name.lower()]
        if same:  # on some systems they would be one file
            raise BadResult(
                f"the artifacts {same[0]} and {name} differ only in case: give one another name"
            )
        if len(others) >= MOST_FILES:
            raise BadResult(
                f"a trial has at most {MOST_FILES} artifacts: pack several files into one"
            )


def _opened(name: str, content: Any) -> BinaryIO:
    if isinstance(content, (bytes, bytearray, memoryview)):
        return io.BytesIO(content)
    if isinstance(content, (str, os.PathLike)):
        return open(content, "rb")
    raise BadResult(
        f"the artifact {name} cannot be a {type(content).__name__}: give bytes, or the path of a "
        "file"
    )


class _Source(io.BufferedReader):
    """A saved file, which is read until this worker must end."""

    def __init__(self, path: Path, must_end: Callable[[], bool]) -> None:
        super().__init__(io.FileIO(str(path)))
        self._must_end = must_end

    def read(self, size: int | None = -1) -> bytes:
        """Read as any file. Raises ``StoreUnavailable``."""
        if self._must_end():
            raise StoreUnavailable(
                "a delivery was broken off, because this worker ends: the next one on this device "
                "repeats it"
            )
        return super().read(size)


def upload(
    store: Store,
    trial: Trial,
    files: Sequence[SavedFile],
    folder: Path,
    weights: BlobRef | None = None,
    must_end: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """Upload what a trial saved in a folder; return its artifacts as documents, for ``finish``.

    If that breaks off, all is uploaded again the next time. ``weights`` are the trial's, uploaded
    before. Raises ``CorruptBlob`` for a file that is damaged or gone, and ``StoreUnavailable`` once
    ``must_end`` returns true.
    """
    artifacts: list[Artifact] = []
    for saved in files:
        beside = [*([] if weights is None else [weights]), *(each.blob for each in artifacts)]
        name = f"{trial.study}/{trial.tid}/{saved.name}"
        try:
            with _Source(folder / saved.file, must_end) as file:
                blob = store.blobs.put_file(file, name, saved.sha256, saved.length, beside)
        except OSError as error:
            raise CorruptBlob(
                f"{saved.name}, which its trial saved, cannot be read ({error.strerror})"
            ) from error
        artifacts.append(Artifact(saved.name, blob))
    return [each.as_document() for each in artifacts]
