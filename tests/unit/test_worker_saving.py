"""What an objective saves: names and bounds, copies in the outbox, and their way to the store."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import bson
import pytest
from support.digit_trials import the_trial
from support.home import REPOSITORY

from hyperhive.common.errors import DeviceError
from hyperhive.store.artifacts import artifacts_of
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.worker.objectives import saving
from hyperhive.worker.objectives.api import BadResult
from hyperhive.worker.objectives.saving import SavedFiles
from hyperhive.worker.outbox import Entry, Outbox

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
KILLED = """
import os, signal, sys
from pathlib import Path
from bson import ObjectId
from hyperhive.worker.outbox import Entry, Outbox

folder, trial_id, token, identity = sys.argv[1:]
outbox = Outbox("dead", Path(folder))
outbox.files("another").save("a", b"of no result")
saved = outbox.files(token)
saved.save("a", b"1")
result = {"status": "ok", "loss": 0.25}
outbox.add(Entry(ObjectId(trial_id), token, result, None, identity, saved.all()), "s, trial 0")
os.kill(os.getpid(), signal.SIGKILL)
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
    with pytest.raises(FileNotFoundError):
        saved.save("a", own)
    saved.discard()
    assert not saved.where.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a/b", b"", "an artifact cannot be called 'a/b': a name has 1 to 100 letters"),
        ("A", b"", "the artifacts a and A differ only in case"),
        ("b", {}, "the artifact b cannot be a dict: give bytes, or the path of a file"),
        ("b", bytes(8), "the artifact b is too large: one has at most 7 bytes"),
        ("b", bytes(6), "and all of a trial have at most 10 bytes"),
        ("c", b"", "a trial has at most 1 artifacts"),
    ],
)
def test_what_no_artifact_may_be_is_refused(
    saved: SavedFiles, monkeypatch: pytest.MonkeyPatch, name: str, content: Any, said: str
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


def test_what_a_program_leaves_is_saved(saved: SavedFiles) -> None:
    """Hidden files are not; a folder is refused; after an error nothing is saved."""
    with saved.folder() as folder:
        (folder / "a").write_bytes(b"1")
        (folder / ".hidden").write_bytes(b"2")
    assert kept(saved) == {"a": b"1"}
    is_no_file = pytest.raises(BadResult, match="sub in the folder of artifacts is no file")
    with is_no_file, saved.folder() as folder:
        (folder / "sub").mkdir()
    with contextlib.suppress(ValueError), saved.folder() as folder:
        (folder / "b").write_bytes(b"3")
        raise ValueError
    assert kept(saved) == {"a": b"1"}
    assert len(list(saved.where.iterdir())) == 1


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
        "(File too large): free some space on this device"
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


def test_01_what_a_killed_worker_saved_is_delivered_or_deleted(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """With its result it is delivered; without one it is deleted."""
    facts = (tmp_path, trial.id, trial.token, store.identity())
    subprocess.run([sys.executable, "-c", KILLED, *map(str, facts)], cwd=str(REPOSITORY))
    assert len(list((tmp_path / "dead").glob("*.files"))) == 2
    with Outbox("w", tmp_path) as outbox:
        outbox.deliver_for_the_dead(store)
    assert in_store(store) == {"a": b"1"}
    assert list(tmp_path.iterdir()) == []


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
    ends = [False, False, True]
    with Outbox("w", tmp_path, must_end=lambda: ends.pop(0)) as outbox:
        with outbox.saving(str(trial.token)) as saved:
            saved.save("a", bytes(3_000_000))
            outbox.add(entry(store, trial, saved), "s, trial 0")
        with pytest.raises(StoreUnavailable, match="because this worker ends"):
            outbox.deliver(store)
        assert ends == []
    with Outbox("w2", tmp_path) as outbox:
        outbox.deliver_for_the_dead(store)
    assert in_store(store) == {"a": bytes(3_000_000)}
    assert store.collect_orphans(0) == 1


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_saved_file_that_was_damaged_is_not_delivered(
    store: Store, trial: Trial, tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    """The entry stays, and says why; nothing is DONE without what was saved."""
    with Outbox("w", tmp_path) as outbox:
        with outbox.saving(str(trial.token)) as saved:
            saved.save("a", b"1")
            outbox.add(entry(store, trial, saved), "s, trial 0")
        (file,) = (tmp_path / "w").glob("*.files/*")
        file.write_bytes(b"2") if harm == "changed" else file.unlink()
        outbox.deliver(store)
        assert outbox.waiting() == 1
    assert "cannot be delivered and stays where it is: " in caplog.text
    assert the_trial(store, "s").status is Status.RUNNING


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
