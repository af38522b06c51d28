"""The outbox: no result is lost, whatever happens to the worker, the server or the disk."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from concurrent import futures
from pathlib import Path
from typing import Any, Iterator

import pytest

from hyperhive.common.locks import AT_ONCE, LOCK_IS_HELD, locked
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.worker.outbox import Outbox, ResultLost, default_directory
from hyperhive.worker.running.entry import Entry
from hyperhive.worker.running.outbox_folder import remove_if_empty

REPOSITORY = Path(__file__).resolve().parents[2]
RESULT = {"status": "ok", "loss": 0.25}
WEIGHTS = b"weights" * 100
UNREACHABLE = "mongodb://127.0.0.1:1/?directConnection=true"

# A worker process with one result. The last argument says what happens to the process.
WORKER = """
import os, resource, signal, sys
from bson import ObjectId
from pathlib import Path
from hyperhive.store.store import Store
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.running.entry import Entry

folder, name, trial_id, token, identity, how = sys.argv[1:]
entry = Entry(ObjectId(trial_id), token, {"status": "ok", "loss": 0.25}, b"weights" * 100, identity)
with Outbox(name, Path(folder)) as outbox:
    if how == "disk full":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
    outbox.add(entry, "s, trial 0")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    print("added", flush=True)
    if how == "alive":
        sys.stdin.readline()
    with Store(os.environ["URI"]) as store:
        outbox.deliver(store)
"""


def post(store: Store, *tids: int) -> None:
    for tid in tids:
        store.queue.post(Draft("s", tid, {}, {}, objective="lenet5"))


def claim(store: Store, worker: str = "w") -> Trial:
    trial = store.queue.claim(worker, new_token(), ["lenet5"])
    assert trial is not None
    return trial


@pytest.fixture
def trial(store: Store) -> Trial:
    """Return a trial that a worker holds."""
    post(store, 0)
    return claim(store)


def entry(of: Store, trial: Trial, **changed: Any) -> Entry:
    values = {"trial_id": trial.id, "token": trial.token, "result": RESULT, "weights": WEIGHTS}
    return Entry(**{"store": of.identity(), **values, **changed})


def now(store: Store, trial: Trial) -> Trial:
    stored = store.trials.get(trial.id)
    assert stored is not None
    return stored


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Make it impossible to write into a folder, even for root: move the folder away."""
    folder.rename(folder.with_suffix(".aside"))
    yield
    folder.with_suffix(".aside").rename(folder)


def process(
    store: Store, folder: Path, trial: Trial, how: str, uri: str = ""
) -> subprocess.Popen[str]:
    """Start another worker process with the trial's result."""
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            WORKER,
            str(folder),
            "another",
            str(trial.id),
            str(trial.token),
            str(store.identity()),
            how,
        ],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "URI": uri},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )


def test_a_result_is_delivered_with_its_weights(store: Store, trial: Trial, tmp_path: Path) -> None:
    """A delivered result counts, its weights are in the store, and no file is left."""
    with Outbox("w", tmp_path) as outbox:
        outbox.add(entry(store, trial), "s, trial 0")
        assert files(tmp_path) == {"lock", f"{trial.token}.bson"}
        outbox.deliver(store)
        assert files(tmp_path) == {"lock"}
        outbox.deliver(store)
    done = now(store, trial)
    assert (done.status, done.winner, done.result) == (Status.DONE, trial.token, RESULT)
    assert done.artifact is not None
    assert done.artifact["length"] == len(WEIGHTS)
    assert list(tmp_path.iterdir()) == []


def test_a_result_without_weights_is_delivered(store: Store, trial: Trial, tmp_path: Path) -> None:
    """A diverged trial has no weights; its result counts too."""
    with Outbox("w", tmp_path) as outbox:
        outbox.add(entry(store, trial, weights=None), "s, trial 0")
        outbox.deliver(store)
    assert now(store, trial).status is Status.DONE
    assert now(store, trial).artifact is None
    assert store.client.hyperhive.fs.files.count_documents({}) == 0


def test_a_result_waits_for_the_server(store: Store, trial: Trial, tmp_path: Path) -> None:
    """A failed delivery leaves the result for the next worker, even after the process's end."""
    with Outbox("w", tmp_path) as outbox:
        outbox.add(entry(store, trial), "s, trial 0")
        with Store(UNREACHABLE, timeout=0.1) as away, pytest.raises(StoreUnavailable):
            outbox.deliver(away)
    assert now(store, trial).status is Status.RUNNING
    with Outbox("w2", tmp_path) as outbox:
        outbox.deliver_for_the_dead(store)
    assert now(store, trial).status is Status.DONE
    assert list(tmp_path.iterdir()) == []


def test_the_result_of_a_killed_process_is_delivered(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """Another worker delivers what a process added before kill -9, and removes its folder."""
    killed = process(store, tmp_path, trial, "killed")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert len(files(tmp_path / "another")) == 2
    with Outbox("w", tmp_path) as outbox:
        outbox.deliver_for_the_dead(store)
    done = now(store, trial)
    assert (done.status, done.result) == (Status.DONE, RESULT)
    assert store.client.hyperhive.fs.files.count_documents({}) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_dead_workers_reported_is_corrected(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """Workers of one device count its results together; who delivers for the dead says so."""
    process(store, tmp_path, trial, "killed").communicate()
    (tmp_path / "other").mkdir()  # also killed, when it had nothing of its own
    (tmp_path / "other" / "lock").touch()
    for worker in ("another", "other", "elsewhere"):
        store.workers.report(worker, None, "cpu", {}, None, undelivered=1)
    with Outbox("w", tmp_path) as outbox:
        outbox.deliver_for_the_dead(store)
    assert {each.id: each.undelivered for each in store.workers.present()} == {
        "another": 0,
        "elsewhere": 1,
        "other": 0,
    }


def test_what_still_waits_of_a_dead_worker_is_still_reported(store: Store, tmp_path: Path) -> None:
    """A result that cannot be delivered stays, and stays in the dead worker's record."""
    (tmp_path / "dead").mkdir()
    for name in ("lock", "damaged.bson"):
        (tmp_path / "dead" / name).write_bytes(b"x")
    store.workers.report("dead", None, "cpu", {}, None, undelivered=2)
    with Outbox("w", tmp_path) as outbox:
        outbox.deliver_for_the_dead(store)
    assert [each.undelivered for each in store.workers.present()] == [1]


def test_a_living_process_keeps_its_own(
    store: Store, trial: Trial, tmp_path: Path, mongo_uri: str
) -> None:
    """Other workers leave the folder of a living worker alone, and it delivers by itself."""
    alive = process(store, tmp_path, trial, "alive", mongo_uri)
    assert alive.stdout is not None
    assert alive.stdout.readline() == "added\n"
    with Outbox("w", tmp_path) as outbox:
        outbox.deliver_for_the_dead(store)
    assert now(store, trial).status is Status.RUNNING
    assert len(files(tmp_path / "another")) == 2
    assert alive.communicate("go on\n")[1] == ""
    assert alive.returncode == 0
    assert now(store, trial).status is Status.DONE


def test_a_full_disk_loses_nothing(
    store: Store, trial: Trial, tmp_path: Path, mongo_uri: str
) -> None:
    """A result that cannot be written is kept in memory with a message, and then delivered."""
    worker = process(store, tmp_path, trial, "disk full", mongo_uri)
    _, log = worker.communicate()
    assert worker.returncode == 0
    assert "cannot be written" in log
    assert "leave the worker running" in log
    assert now(store, trial).status is Status.DONE
    assert now(store, trial).artifact is not None
    assert files(tmp_path) <= {"lock"}


def test_results_kept_in_memory_survive_a_server_that_is_away(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """A failed delivery drops no result from memory, and each is delivered once."""
    with Outbox("w", tmp_path) as outbox:
        with unwritable(tmp_path / "w"):
            outbox.add(entry(store, trial), "s, trial 0")
        assert files(tmp_path) == {"lock"}
        with Store(UNREACHABLE, timeout=0.1) as away, pytest.raises(StoreUnavailable):
            outbox.deliver(away)
        outbox.deliver(store)
        outbox.deliver(store)
    assert (now(store, trial).status, now(store, trial).late) == (Status.DONE, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_result_for_another_store_waits_for_it(
    mongo_uri: str, store: Store, trial: Trial, tmp_path: Path, on_disk: bool
) -> None:
    """A store is recognized by its identity, wherever it moves; no other store gets its results."""
    with Outbox("w", tmp_path) as outbox:
        with contextlib.nullcontext() if on_disk else unwritable(tmp_path / "w"):
            outbox.add(entry(store, trial, store="that one"), "s, trial 0")
        outbox.deliver(store)
        assert outbox.waiting() == 1
        assert store.client.hyperhive.fs.files.count_documents({}) == 0
        store.client.hyperhive.meta.update_one({}, {"$set": {"value": "that one"}})
        with Store(mongo_uri) as that_one:
            outbox.deliver(that_one)
        assert outbox.waiting() == 0
    assert now(store, trial).status is Status.DONE


def test_an_outbox_is_made_once_there_is_room(store: Store, trial: Trial, tmp_path: Path) -> None:
    """If the folder could not be made at the start, it is made for the next result."""
    root = tmp_path / "outbox"
    root.write_text("in the way")
    with Outbox("w", root) as outbox:
        assert outbox.waiting() == 0
        outbox.add(entry(store, trial), "s, trial 0")
        assert outbox.waiting() == 1
        root.unlink()
        outbox.add(entry(store, trial, token="another"), "s, trial 0")
        assert {path.suffix for path in (root / "w").iterdir()} == {"", ".bson"}
        assert outbox.waiting() == 2
        with Outbox("other", root) as other:
            other.deliver_for_the_dead(store)  # the worker lives: it has its lock
        assert outbox.waiting() == 2


def test_a_result_in_memory_is_written_at_the_end_if_there_is_room(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """A disk that was full for a while costs no result; the end says that one waits there."""
    with Outbox("w", tmp_path) as outbox, unwritable(tmp_path / "w"):
        outbox.add(entry(store, trial), "s/0")
    with Outbox("other", tmp_path) as other:
        other.deliver_for_the_dead(store)
    assert now(store, trial).status is Status.DONE


def test_what_waits_at_the_end_is_told(
    store: Store, trial: Trial, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that ends with a result on disk says where it is and who delivers it."""
    with Outbox("w", tmp_path) as outbox:
        outbox.add(entry(store, trial), "s/0")
    assert f"1 result stays in {tmp_path / 'w'}: the next worker" in caplog.text


@pytest.mark.parametrize("fails", [False, True])
def test_a_result_that_is_lost_is_told(
    store: Store, trial: Trial, tmp_path: Path, caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    """The end raises an error that names the trial; if another error ends it, it is logged."""
    root = tmp_path / "outbox"
    root.write_text("in the way")
    expected = ZeroDivisionError if fails else ResultLost

    def end_with_it() -> None:
        with Outbox("w", root) as outbox:
            outbox.add(entry(store, trial), "s/0")
            if fails:
                raise ZeroDivisionError

    with pytest.raises(expected) as raised:
        end_with_it()
    said = caplog.text if fails else str(raised.value)
    assert "the result of s/0 is lost and will be computed again: the server did" in said
    assert str(root) in said


def test_a_result_of_a_deleted_trial_is_dropped(store: Store, trial: Trial, tmp_path: Path) -> None:
    """The study was deleted, so the result is of no use."""
    with Outbox("w", tmp_path) as outbox:
        outbox.add(entry(store, trial), "s, trial 0")
        store.delete_study("s")
        outbox.deliver(store)
        assert outbox.waiting() == 0
    assert store.client.hyperhive.fs.files.count_documents({}) == 0


def test_a_late_result_is_delivered_and_not_counted(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """If another worker's result came first, this one is stored as late and leaves the outbox."""
    store.client.hyperhive.jobs.update_many({}, [{"$set": {"lease_until": "$$NOW"}}])
    other = claim(store, "other")
    store.queue.finish(other.id, str(other.token), {"status": "ok", "loss": 0.75})
    with Outbox("w", tmp_path) as outbox:
        outbox.add(entry(store, trial), "s, trial 0")
        outbox.deliver(store)
    assert (now(store, trial).winner, now(store, trial).late) == (other.token, 1)
    assert store.client.hyperhive.fs.files.count_documents({}) == 0  # its weights would be orphans
    assert list(tmp_path.iterdir()) == []


def test_one_damaged_file_does_not_hold_up_the_rest(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """A file that cannot be read (a worn SD card) stays; the others are delivered."""
    with Outbox("dead", tmp_path) as outbox:
        outbox.add(entry(store, trial), "s, trial 0")
    (tmp_path / "dead" / "0-damaged.bson").write_bytes(b"\x00\x01 not what was written")
    with Outbox("w", tmp_path) as outbox:
        outbox.deliver_for_the_dead(store)
    assert now(store, trial).status is Status.DONE
    assert (tmp_path / "dead" / "0-damaged.bson").exists()


def test_the_outbox_survives_its_own_encoding() -> None:
    """An entry that is encoded and decoded is the same entry."""
    written = Entry("id", "token", RESULT, bytes(range(256)), "store")
    assert Entry.decode(written.encode()) == written


def test_results_wait_in_the_users_data_directory() -> None:
    """The default outbox is in the data directory, not in a cache."""
    assert str(default_directory()).startswith(os.environ["XDG_DATA_HOME"])


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_an_entry_is_whole_before_it_has_its_name(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """A file with its final name is complete; a partial file is not taken for a result."""
    with Outbox("w", tmp_path) as outbox:
        outbox.add(entry(store, trial), "s, trial 0")
        (file,) = (tmp_path / "w").glob("*.bson")
        assert stat.S_ISREG(file.stat().st_mode)
        assert Entry.decode(file.read_bytes()) == entry(store, trial)
        (tmp_path / "w" / "half.part").write_bytes(file.read_bytes()[:40])
        outbox.deliver(store)
    assert now(store, trial).status is Status.DONE


def test_an_outbox_that_another_worker_removes_is_made_again(tmp_path: Path) -> None:
    """Until a starting worker has its lock, others take it for dead and may remove its folder."""
    folder = tmp_path / "w"
    with futures.ThreadPoolExecutor(1) as pool:
        folder.mkdir()
        with locked(folder / "lock", AT_ONCE):
            made = pool.submit(Outbox("w", tmp_path).__enter__)
            with pytest.raises(futures.TimeoutError):
                made.result(0.2)
            remove_if_empty(folder)
        outbox = made.result(10)
    with pytest.raises(LOCK_IS_HELD), locked(folder / "lock", AT_ONCE):
        pass
    outbox.__exit__()
    assert not folder.exists()
