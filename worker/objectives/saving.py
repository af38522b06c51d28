"""What an objective saves with its trial: copied at once, delivered with the result."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator, Mapping, Sequence, Union

from hyperhive.common import files
from hyperhive.common.errors import DeviceError, InputError
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

log = logging.getLogger(__name__)

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
    """The files that one trial has saved so far: copies, whatever becomes of the originals.

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

        Raises ``BadResult`` for a name, a content or a size that no artifact may have, and for a
        path without a file, ``OSError`` or ``InputError`` if the file cannot be read, and
        ``DeviceError`` if the copy cannot be written.
        """
        self._require_name(name)
        with _opened(name, content) as source:
            self._keep(name, lambda path, most: files.copy(source, path, most))

    def _take(self, own: Path) -> None:
        """Save a file that nobody needs any longer: it is moved, if no other name has it."""
        self._require_name(own.name)
        if not os.access(str(own), os.R_OK):
            raise InputError(f"{own.name} in the folder of artifacts cannot be read")
        if own.is_symlink() or own.stat().st_nlink > 1:
            self.save(own.name, own)
            own.unlink()
            return

        def taken(path: Path, most: int) -> tuple[str, int]:
            length = own.stat().st_size
            return ("", length) if length > most else files.take(own, path)

        self._keep(own.name, taken)

    def _keep(self, name: str, bring: Callable[[Path, int], tuple[str, int]]) -> None:
        """Keep what ``bring`` brings to a path, unless it has more bytes than it is told."""
        others = {each: saved for each, saved in self._files.items() if each != name}
        room = LARGEST_TOTAL - sum(saved.length for saved in others.values())
        brought = self._brought(name, min(room, LARGEST_FILE), bring)
        replaced = self._files.get(name)
        self._files = {**others, name: brought}
        if replaced is not None:
            (self.where / replaced.file).unlink()

    def _brought(
        self, name: str, most: int, bring: Callable[[Path, int], tuple[str, int]]
    ) -> SavedFile:
        path = self.where / str(next(self._numbers))
        try:
            self._make()
            sha256, length = bring(path, most)
        except (OSError, InputError) as error:
            with contextlib.suppress(OSError):  # the whole folder is removed with the trial
                path.unlink()
            if isinstance(error, InputError):
                raise
            is_full = error.errno in files.DISK_IS_FULL
            cure = "free some space on this device" if is_full else "check that folder and its disk"
            raise DeviceError(
                f"the artifact {name} cannot be kept in {self.where.parent} ({error.strerror}): "
                f"{cure}"
            ) from error
        if length > most:
            path.unlink(missing_ok=True)
            raise BadResult(
                f"the artifact {name} is too large: one has at most {size(LARGEST_FILE)}, and all "
                f"of a trial have at most {size(LARGEST_TOTAL)}"
            )
        return SavedFile(name, path.name, sha256, length)

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path | None]:
        """Give an empty folder; at the end the files in it are saved, unless an error ends it.

        Those whose names begin with a dot are not. If none can be made, None is given, and the log
        says so once: most programs leave nothing. Raises what ``save`` raises.
        """
        try:
            self._make()
            made = Path(tempfile.mkdtemp(prefix="left-", dir=str(self.where)))
        except OSError as error:
            _log_once(
                f"no folder for artifacts can be made in {self.where.parent} ({error.strerror}): "
                "programs run without one"
            )
            yield None
            return
        try:
            yield made
            for path in sorted(made.iterdir()):
                if path.name.startswith("."):
                    continue
                if not path.is_file():
                    raise BadResult(
                        f"{path.name} in the folder of artifacts is no file: leave only files there"
                    )
                self._take(path)
        finally:
            shutil.rmtree(str(made), ignore_errors=True)  # what stays is removed with the trial

    def discard(self) -> None:
        """Delete the files; what cannot be deleted now is deleted by a worker that starts later."""
        self._files = {}
        shutil.rmtree(str(self.where), ignore_errors=True)

    def _make(self) -> None:
        self._prepare()
        self.where.mkdir(exist_ok=True)

    def _require_name(self, name: Any) -> None:
        if not isinstance(name, str):
            raise BadResult(f"the name of an artifact must be text: {name!r:.120} is none")
        others = [other for other in self._files if other != name]
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


@functools.lru_cache(maxsize=None)
def _log_once(said: str) -> None:
    """Log an error, unless this process has logged the same."""
    log.error("%s", said)


def _opened(name: str, content: Any) -> BinaryIO:
    if isinstance(content, (bytes, bytearray, memoryview)):
        return io.BytesIO(content)
    if isinstance(content, (str, os.PathLike)):
        path = os.fspath(content)
        if os.path.isdir(path):
            raise BadResult(f"the artifact {name} is a folder: save a zip of it")
        if not os.path.exists(path):
            advice = ": text is taken as a path, so give bytes to save a text"
            raise BadResult(
                f"there is no file {path!r:.100} for the artifact {name}"
                + (advice if isinstance(content, str) else "")
            )
        return _Own(path)
    raise BadResult(
        f"the artifact {name} cannot be a {type(content).__name__}: give bytes, or the path of a "
        "file"
    )


class _Own(io.FileIO):
    """A file of the user's: an error in it says nothing about the disk that it is copied to."""

    def read(self, size: int | None = -1) -> bytes:
        """Read as any file. Raises ``InputError``."""
        try:
            return super().read(-1 if size is None else size)
        except OSError as error:
            raise InputError(f"{self.name} cannot be read ({error.strerror})") from error


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


def forget_collected(store: Store, uploaded: dict[str, BlobRef]) -> None:
    """Forget what was uploaded for a delivery if it was collected since, and keep it if not."""
    if uploaded and not store.blobs.keep(uploaded.values()):
        uploaded.clear()


def upload(
    store: Store,
    trial: Trial,
    files: Sequence[SavedFile],
    folder: Path,
    uploaded: dict[str, BlobRef],
    must_end: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """Upload what a trial saved in a folder; return its artifacts as documents, for ``finish``.

    A file that is damaged or gone is left out, with an error in the log: the result does not wait
    for it.

    Args:
        store: where the trial is.
        trial: as it is now.
        files: what it saved.
        folder: of these files.
        uploaded: where what was uploaded for this result before is, the files by ``file``; it is
            changed, so that the next try goes on where this one breaks off.
        must_end: if it returns true, ``StoreUnavailable`` is raised.
    """
    whole = [
        saved
        for saved in files
        if saved.file in uploaded or _is_whole(trial, saved, folder, must_end)
    ]
    for saved in whole:
        if saved.file not in uploaded:
            beside = list(uploaded.values())
            name = f"{trial.study}/{trial.tid}/{saved.name}"
            try:
                with _Source(folder / saved.file, must_end) as file:
                    uploaded[saved.file] = store.blobs.put_file(
                        file, name, saved.sha256, saved.length, beside
                    )
            except OSError as error:
                raise CorruptBlob(f"{saved.name} cannot be read ({error.strerror})") from error
    return [Artifact(saved.name, uploaded[saved.file]).as_document() for saved in whole]


def _is_whole(trial: Trial, saved: SavedFile, folder: Path, must_end: Callable[[], bool]) -> bool:
    """Return whether a saved file is as it was saved; log it if it is not."""
    why = "it does not match its SHA-256"
    try:
        with _Source(folder / saved.file, must_end) as file:
            if files.digest(file) == (saved.sha256, saved.length):
                return True
    except OSError as error:
        why = str(error.strerror)
    log.error(
        "%s: the artifact %s was damaged on this device and is not delivered: %s",
        trial.full_title,
        saved.name,
        why,
    )
    return False
