"""What an objective saves: names and bounds, copies in the outbox, and their way to the store."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import bson
import pytest
from support.digit_trials import the_trial
from support.home import REPOSITORY

from hyperhive.common.errors import DeviceError, InputError
from hyperhive.common.locks import locked
from hyperhive.store.artifacts import artifacts_of
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.worker import outbox as outbox_module
from hyperhive.worker.objectives import saving
from hyperhive.worker.objectives.api import BadResult
from hyperhive.worker.objectives.saving import SavedFiles
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.running.entry import Entry

UNREACHABLE = "mongodb://127.0.0.1:1/?directConnection=true"
RESULT = {"status": "ok", "loss": 0.25}
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from hyperhive.worker.outbox import Outbox

with Outbox("w", Path(sys.argv[1])) as outbox:
    with outbox.saving("token") as saved:
        saved.save("small", b"x")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
        try:
            saved.save("large", bytes(1000))
        except Exception as error:
            print(type(error).__name__, error)
        print([each.name for each in saved.all()], len(list(Path(sys.argv[1]).glob("w/*/*"))))
"""


@pytest.fixture
def saved(tmp_path: Path) -> SavedFiles:
    return SavedFiles(tmp_path / "outbox", lambda: None)


@pytest.fixture
def trial(store: Store) -> Trial:
    """Return a trial that a worker holds."""
    store.queue.post(Draft("s", 0, {}, {}, objective="f"))
    claimed = store.queue.claim("w", new_token(), ["f"])
    assert claimed is not None
    return claimed


def kept(saved: SavedFiles) -> dict[str, bytes]:
    return {each.name: (saved.where / each.file).read_bytes() for each in saved.all()}


def entry(store: Store, trial: Trial, saved: SavedFiles) -> Entry:
    return Entry(trial.id, str(trial.token), RESULT, None, store.identity(), saved.all())


def in_store(store: Store) -> dict[str, bytes]:
    found = artifacts_of(the_trial(store, "s"))
    return {name: store.blobs.get(each.blob) for name, each in found.items()}


# -- copies -------------------------------------------------------------------------------------


def test_bytes_and_files_are_copied_at_once(saved: SavedFiles, tmp_path: Path) -> None:
    """The function may delete its own; the same name again replaces the copy."""
    own = tmp_path / "own"
    own.write_bytes(b"first")
    saved.save("a", own)
    saved.save("b", str(own))
    own.write_bytes(b"second")
    saved.save("a", own)
    own.unlink()
    saved.save("c", bytearray(b"third"))
    assert kept(saved) == {"a": b"second", "b": b"first", "c": b"third"}
    assert len(list(saved.where.iterdir())) == 3
    first = next(each for each in saved.all() if each.name == "b")
    assert (first.sha256, first.length) == (hashlib.sha256(b"first").hexdigest(), 5)
    with pytest.raises(BadResult, match=r"there is no file '.*own' for the artifact a$"):
        saved.save("a", own)
    saved.discard()
    assert not saved.where.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a/b", b"", "an artifact cannot be called 'a/b': a name has 1 to 100 letters"),
        ("A", b"", "the artifacts a and A differ only in case"),
        ("con.txt", b"", "and is not reserved by Windows"),
        (Path("m.pt"), b"", "the name of an artifact must be text: PosixPath('m.pt') is none"),
        ("b", "loss 3", "there is no file 'loss 3' for the artifact b: text is taken as a path"),
        ("b", "/", "the artifact b is a folder: save a zip of it"),
        ("b", {}, "the artifact b cannot be a dict: give bytes, or the path of a file"),
        ("b", bytes(8), "the artifact b is too large: one has at most 7 bytes"),
        ("b", bytes(6), "and all of a trial have at most 10 bytes"),
        ("c", b"", "a trial has at most 1 artifacts"),
    ],
)
def test_what_no_artifact_may_be_is_refused(
    saved: SavedFiles, monkeypatch: pytest.MonkeyPatch, name: Any, content: Any, said: str
) -> None:
    """Another attempt would do the same. What was saved before stays."""
    monkeypatch.setattr(saving, "LARGEST_FILE", 7)
    monkeypatch.setattr(saving, "LARGEST_TOTAL", 10)
    monkeypatch.setattr(saving, "MOST_FILES", 1 if name == "c" else 100)
    saved.save("a", b"12345")
    with pytest.raises(BadResult) as refused:
        saved.save(name, content)
    assert said in str(refused.value)
    assert kept(saved) == {"a": b"12345"}
    assert len(list(saved.where.iterdir())) == 1
    saved.save("a", b"1234567")  # what it replaces does not count


def test_a_large_file_does_not_enter_the_memory(saved: SavedFiles, tmp_path: Path) -> None:
    """It is copied a megabyte at a time."""
    with (tmp_path / "own").open("wb") as file:
        file.truncate(50_000_000)
    tracemalloc.start()
    saved.save("a", tmp_path / "own")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert saved.all()[0].length == 50_000_000
    assert peak < 5_000_000


def test_a_file_that_cannot_be_read_is_told(saved: SavedFiles) -> None:
    """That is not the device's fault."""
    with pytest.raises(InputError, match="/proc/self/mem cannot be read"):
        saved.save("a", "/proc/self/mem")
    assert list(saved.where.iterdir()) == []


def test_threads_may_save_their_first_files_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them makes the outbox, and the other waits for it."""
    outbox = Outbox("w", tmp_path)
    other = threading.Thread(target=lambda: outbox.files("b").save("b", b"2"), daemon=True)
    locks: list[Path] = []

    def lock(path: Path, how: Any) -> Any:
        locks.append(path)
        if len(locks) == 1:
            other.start()
            other.join(0.1)
        return locked(path, how)

    monkeypatch.setattr(outbox_module, "locked", lock)
    with outbox:
        outbox.files("a").save("a", b"1")
        assert len(locks) == 1
        other.join()
        assert len(list(tmp_path.glob("w/*.files/*"))) == 2


def test_a_fork_does_not_end_the_outbox(tmp_path: Path) -> None:
    """What its parent saved stays."""
    with Outbox("w", tmp_path) as outbox:
        outbox.files("a").save("a", b"1")
        process = os.fork()
        if process == 0:
            outbox.__exit__()
            os._exit(0)
        os.waitpid(process, 0)
        assert len(list(tmp_path.glob("w/*.files/*"))) == 1


def test_what_a_program_leaves_is_saved(saved: SavedFiles, tmp_path: Path) -> None:
    """Hidden files are not; a folder is refused; after an error nothing is saved."""
    (tmp_path / "own").write_bytes(b"4")
    with saved.folder() as folder:
        assert folder is not None
        (folder / "a").write_bytes(b"1")
        (folder / "linked").symlink_to(tmp_path / "own")
        os.link(tmp_path / "own", folder / "second")
        (folder / ".hidden").write_bytes(b"2")
        left = (folder / "a").stat().st_ino
    assert kept(saved) == {"a": b"1", "linked": b"4", "second": b"4"}
    assert (saved.where / saved.all()[0].file).stat().st_ino == left  # not copied
    (tmp_path / "own").write_bytes(b"5")
    assert kept(saved) == {"a": b"1", "linked": b"4", "second": b"4"}


def test_without_room_for_a_folder_there_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so once in a process."""
    (tmp_path / "file").touch()
    saved = SavedFiles(tmp_path / "file" / "a", lambda: None)
    for _ in range(2):
        with saved.folder() as folder:
            assert folder is None
    assert len(caplog.messages) == 1
    assert "no folder for artifacts can be made in" in caplog.messages[0]


def test_a_folder_or_an_error_saves_nothing(saved: SavedFiles) -> None:
    """Of a program that failed, or left more than files."""
    is_no_file = pytest.raises(BadResult, match="sub in the folder of artifacts is no file")
    with is_no_file, saved.folder() as folder:
        assert folder is not None
        (folder / "sub").mkdir()
    with contextlib.suppress(ValueError), saved.folder() as folder:
        assert folder is not None
        (folder / "b").write_bytes(b"3")
        raise ValueError
    assert list(saved.where.iterdir()) == []


def test_18_a_full_disk_fails_the_device_and_not_the_trial(tmp_path: Path) -> None:
    """The trial is given to another worker; nothing is left of the copy."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        cwd=str(REPOSITORY),
        stdout=subprocess.PIPE,
        check=True,
    )
    said, names = done.stdout.decode().splitlines()
    assert said == (
        f"{DeviceError.__name__} the artifact large cannot be kept in {tmp_path / 'w'} "
        "(File too large): check that folder and its disk"
    )
    assert names == "['small'] 1"
    assert list(tmp_path.iterdir()) == []


# -- delivery -----------------------------------------------------------------------------------


def test_saved_files_are_delivered_with_the_result(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """Nothing of them stays on the disk, and no other file in the store."""
    with Outbox("w", tmp_path) as outbox:
        with outbox.saving(str(trial.token)) as saved:
            saved.save("a", b"1")
            saved.save("b", b"2")
            outbox.add(entry(store, trial, saved), "s, trial 0")
        outbox.deliver(store)
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]
    assert in_store(store) == {"a": b"1", "b": b"2"}
    assert store.collect_orphans(0) == 0


def test_files_of_a_trial_without_a_result_are_deleted(tmp_path: Path) -> None:
    """It failed, was cancelled or given back."""
    with Outbox("w", tmp_path) as outbox:
        with contextlib.suppress(ValueError), outbox.saving("token") as saved:
            saved.save("a", b"1")
            raise ValueError
        assert [path.name for path in (tmp_path / "w").iterdir()] == ["lock"]


def test_a_result_in_memory_keeps_its_saved_files(
    store: Store, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk had room for them, and none for the entry; the server is away at first."""
    with Outbox("w", tmp_path) as outbox:
        with outbox.saving(str(trial.token)) as saved:
            saved.save("a", b"1")
            (tmp_path / "w" / f"{trial.token}.bson").mkdir()  # so it cannot be written
            outbox.add(entry(store, trial, saved), "s, trial 0")
            (tmp_path / "w" / f"{trial.token}.bson").rmdir()
        with Store(UNREACHABLE, timeout=0.1) as away, pytest.raises(StoreUnavailable):
            outbox.deliver(away)
        outbox.deliver(store)
        assert [path.name for path in (tmp_path / "w").iterdir()] == ["lock"]
    assert in_store(store) == {"a": b"1"}


def test_13_a_worker_that_must_end_breaks_off_its_delivery(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """However much is left to upload: the next worker delivers it."""
    ends = [False] * 6 + [True]  # three megabytes and their end are hashed, two are sent
    with Outbox("w", tmp_path, must_end=lambda: ends.pop(0)) as outbox:
        with outbox.saving(str(trial.token)) as saved:
            saved.save("a", bytes(3_000_000))
            outbox.add(entry(store, trial, saved), "s, trial 0")
        with pytest.raises(StoreUnavailable, match="because this worker ends"):
            outbox.deliver(store)
        assert ends == []
        assert store.database.fs.chunks.count_documents({}) > 0
    with Outbox("w2", tmp_path) as outbox:
        outbox.deliver_for_the_dead(store)
    assert in_store(store) == {"a": bytes(3_000_000)}
    assert store.collect_orphans(0) == 1


@pytest.mark.parametrize("gone", [True, False])
def test_a_delivery_goes_on_where_it_broke_off(
    store: Store, trial: Trial, tmp_path: Path, gone: bool
) -> None:
    """A file that has arrived is not sent again, unless it was collected since."""
    sent: list[int] = []

    def must_end() -> bool:
        sent.append(store.database.fs.files.count_documents({}))
        return sent.count(1) == 1

    with Outbox("w", tmp_path, must_end=must_end) as outbox:
        with outbox.saving(str(trial.token)) as saved:
            saved.save("a", b"1")
            saved.save("b", b"2")
            outbox.add(entry(store, trial, saved), "s, trial 0")
        with pytest.raises(StoreUnavailable):
            outbox.deliver(store)
        assert store.database.fs.files.count_documents({}) == 1
        sent.append(1)
        if gone:
            store.collect_orphans(0)
        outbox.deliver(store)
    assert in_store(store) == {"a": b"1", "b": b"2"}
    assert store.database.fs.files.count_documents({}) == 2


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_saved_file_that_was_damaged_is_left_out(
    store: Store, trial: Trial, tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    """The result and its other files do not wait for it; the log names it."""
    with Outbox("w", tmp_path) as outbox:
        with outbox.saving(str(trial.token)) as saved:
            saved.save("a", b"1")
            saved.save("b", b"2")
            outbox.add(entry(store, trial, saved), "s, trial 0")
        file = saved.where / "0"
        file.write_bytes(b"3") if harm == "changed" else file.unlink()
        outbox.deliver(store)
        assert outbox.waiting() == 0
    assert "s, trial 0: the artifact a was damaged on this device" in caplog.text
    assert the_trial(store, "s").status is Status.DONE
    assert in_store(store) == {"b": b"2"}
    assert store.database.uploads.count_documents({}) == 1


def test_an_entry_without_files_is_as_before(store: Store, trial: Trial) -> None:
    """Workers of the version before deliver ours, and we deliver theirs; forged ones are none."""
    ours = Entry(trial.id, str(trial.token), RESULT, None, store.identity())
    fields = bson.decode(ours.encode())
    assert set(fields) == {"trial_id", "token", "result", "weights", "store"}
    assert Entry.decode(bson.encode(fields)) == ours
    file = {"name": "a", "file": "0", "sha256": "0" * 64, "length": 1}
    assert Entry.decode(bson.encode({**fields, "files": [file]})).files[0].name == "a"
    for forged in (3, [3], [{}], [{**file, "file": "../0"}], [{**file, "name": "../a"}]):
        with pytest.raises(ValueError):  # noqa: PT011 - each has its own text
            Entry.decode(bson.encode({**fields, "files": forged}))
