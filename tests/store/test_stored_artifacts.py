"""What trials saved: files that stream up and down, references to them, and their end."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any, Callable

import pytest
from bson import Int64, ObjectId
from support.digit_trials import the_trial
from support.proxy import Command, Proxy, upload

from hyperhive.store import blobs as blobs_module
from hyperhive.store.artifacts import LARGEST_FILE, artifacts_of, file_ids, is_name
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob, StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.updates import new_token

DATA = os.urandom(3_000_000)  # three requests


class Source(io.BytesIO):
    """An open file of three megabytes; something happens before the third, and at its end."""

    def __init__(self, *acts: Callable[[], Any]) -> None:
        super().__init__(DATA)
        self._acts = [lambda: None, lambda: None, *acts, lambda: None]

    def read(self, size: int | None = -1) -> bytes:
        """Read as any file."""
        self._acts.pop(0)()
        return super().read(size)


def put(store: Store, data: bytes = DATA, source: Any = None, **lies: Any) -> BlobRef:
    facts = {"sha256": hashlib.sha256(data).hexdigest(), "length": len(data), **lies}
    return store.blobs.put_file(source or io.BytesIO(data), "s/0/a", **facts)


def saved(store: Store, name: str = "a", data: bytes = DATA) -> dict[str, Any]:
    return {"name": name, **put(store, data).as_document()}


def finish_with(store: Store, *artifacts: Any, tid: int = 0) -> None:
    """Post, claim and finish a trial that has these artifacts."""
    store.queue.post(Draft("s", tid, {}, {}, objective="f"))
    trial = store.queue.claim("w", new_token(), ["f"])
    assert trial is not None
    assert store.queue.finish(trial.id, str(trial.token), {"loss": 0.5}, None, artifacts)


def chunks(store: Store) -> int:
    return int(store.database.fs.chunks.count_documents({}))


# -- up and down --------------------------------------------------------------------------------


def test_a_file_streams_up_and_down(store: Store, tmp_path: Path) -> None:
    """It comes back byte for byte; coordinators of earlier versions do not see its marker."""
    ref = put(store)
    with (tmp_path / "a").open("wb") as file:
        store.blobs.download(ref, file)
    assert (tmp_path / "a").read_bytes() == DATA
    assert set(store.database.uploads.find_one({"_id": ref.file_id})) == {"_id", "renewed"}


@pytest.mark.parametrize(
    "lies", [{"sha256": "0" * 64}, {"length": 2_999_999}, {"length": 3_000_001}]
)
def test_a_file_that_is_not_what_was_saved_is_not_uploaded(store: Store, lies: Any) -> None:
    """It was damaged on the device: what was sent of it is an orphan."""
    with pytest.raises(CorruptBlob, match="s/0/a was damaged on this device"):
        put(store, **lies)
    assert store.database.fs.files.count_documents({}) == 0
    assert store.collect_orphans(0) == 1
    assert chunks(store) == 0


def test_a_download_writes_no_more_than_was_promised(store: Store) -> None:
    """A chunk that is longer than the rest of the file ends it, before it is written."""
    ref = put(store)
    store.database.fs.chunks.update_one({"n": 11}, {"$set": {"data": DATA}})
    target = io.BytesIO()
    with pytest.raises(CorruptBlob):
        store.blobs.download(ref, target)
    assert len(target.getvalue()) < ref.length


def test_a_slow_upload_stays_young(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It renews its marker while it runs, and that of what was uploaded beside it."""
    monkeypatch.setattr(blobs_module, "_RENEW_EVERY_S", 0.0)
    first = put(store, b"first")

    def two_hours_pass() -> None:
        passed = {"$subtract": ["$renewed", 7_200_000]}
        store.database.uploads.update_many({}, [{"$set": {"renewed": passed}}])
        assert len(store.blobs.uploads_older_than(3600)) == 2

    second = put(store, source=Source(two_hours_pass, store.collect_orphans), beside=[first])
    assert store.blobs.get(first) == b"first"
    assert store.blobs.get(second) == DATA


def test_an_upload_that_was_collected_meanwhile_is_repeated(store: Store) -> None:
    """A laptop slept in it for hours: nothing may refer to what is left of it."""
    with pytest.raises(StoreUnavailable, match="has to be repeated"):
        put(store, source=Source(lambda: store.collect_orphans(0)))


@pytest.mark.parametrize("in_a_message", [1, 4])
def test_05_a_part_whose_reply_is_lost_is_sent_again(
    store: Store, mongo_uri: str, monkeypatch: pytest.MonkeyPatch, in_a_message: int
) -> None:
    """It is there once, and the upload goes on."""
    monkeypatch.setattr(blobs_module, "_IN_A_MESSAGE", in_a_message)
    lost: list[Any] = []

    def drop(command: Command) -> bool:
        if not upload(command):
            return False
        lost.append(command)
        if len(lost) == 1:  # a server that was killed has only the beginning of a message
            store.database.fs.chunks.delete_many({"n": {"$gt": 0}})
        return len(lost) in (1, 3)

    with Proxy.of(mongo_uri, drop) as between, Store(between.uri(mongo_uri)) as behind:
        ref = put(behind)
    assert len(lost) == {1: 12, 4: 3}[in_a_message] + 2
    assert store.blobs.get(ref) == DATA
    assert chunks(store) == 12


# -- references ---------------------------------------------------------------------------------


def test_what_a_trial_saved_stays_until_it_is_dropped(store: Store) -> None:
    """It is no orphan; then document and bytes go together, with the weights."""
    finish_with(store, saved(store, "a"), saved(store, "b", b"b"))
    assert store.collect_orphans(0) == 0
    found = artifacts_of(the_trial(store, "s"))
    assert [(name, each.blob.length) for name, each in found.items()] == [
        ("a", 3_000_000),
        ("b", 1),
    ]
    assert store.blobs.get(found["a"].blob) == DATA
    dropped = store.drop_files(the_trial(store, "s"))
    assert (dropped.artifacts, chunks(store)) == ((), 0)


def test_what_a_study_saved_goes_with_it(store: Store) -> None:
    """Deleting it leaves nothing for a sweep, but what another study refers to."""
    other = put(store, b"other")
    store.studies.open("other", {})
    store.studies.conclude("other", {"card": {}, "weights": other.as_document()})
    stolen = {"name": "b", **other.as_document()}
    finish_with(store, saved(store), stolen, {"file_id": "x"}, {"file_id": {"$ne": None}}, 3)
    store.delete_study("s")
    assert chunks(store) == 1
    assert store.blobs.get(other) == b"other"


def test_a_sweep_of_many_files_asks_as_often_as_of_one(store: Store, mongo_uri: str) -> None:
    """They are asked for together: a minute must not go by with it."""
    asked: list[Command] = []

    def watch(command: Command) -> bool:
        asked.append(command)
        return False

    with Proxy.of(mongo_uri, watch) as between, Store(between.uri(mongo_uri)) as behind:
        counts = []
        for tid, files in enumerate((1, 20)):
            finish_with(store, *(saved(store, f"a{n}", b"1") for n in range(files)), tid=tid)
            asked.clear()
            assert behind.collect_orphans(0) == 0
            counts.append(sum("aggregate" in command for command in asked))
    assert counts == [2, 2]  # weights and artifacts


def test_what_a_late_result_saved_is_collected(store: Store) -> None:
    """Only that of the winner stays."""
    store.queue.post(Draft("s", 0, {}, {}, objective="f"))
    late, first = (store.queue.claim("w", new_token(), ["f"], lease=0) for _ in range(2))
    assert late is not None
    assert first is not None
    for trial, data in ((first, b"won"), (late, b"lost")):
        artifacts = [saved(store, "a", data)]
        store.queue.finish(trial.id, str(trial.token), {"loss": 0.5}, None, artifacts)
    assert store.collect_orphans(0) == 1
    (artifact,) = artifacts_of(the_trial(store, "s")).values()
    assert store.blobs.get(artifact.blob) == b"won"


def test_a_name_leads_nowhere_else() -> None:
    """No folder, no hidden file, nothing that a file system might not take."""
    bad: list[Any] = ["", ".a", "..", "a/b", "a\\b", "a b", "é", "a\n", "a" * 101, 3]
    of_windows = ["nul", "CON.txt", "com1", "lpt9.tar.gz", "a."]
    assert [name for name in [*bad, *of_windows] if is_name(name)] == []
    good = ["Model-1_final.pt", "console", "com", "a" * 100]
    assert [name for name in good if is_name(name)] == good


def test_21_what_a_worker_wrote_is_not_believed(store: Store) -> None:
    """Only well-formed references count, each under the last of the same name."""
    good = {"file_id": ObjectId(), "sha256": "0" * 64, "length": 1}
    rubbish: list[Any] = [
        3,
        [],
        {},
        {**good, "name": "../../.bashrc"},
        {**good, "name": "b", "length": Int64(LARGEST_FILE + 1)},
        {**good, "name": "c", "length": -1},
        {**good, "name": "d", "file_id": {"$ne": None}},
        {**good, "file_id": [good["file_id"]]},
        {**good, "name": "E"},
        {**good, "name": "e"},
        {**good, "name": "f", "length": Int64(LARGEST_FILE)},
        {**good, "name": "g", "length": Int64(LARGEST_FILE)},
    ]
    for each in (rubbish, 3, {"0": good}, "x", [rubbish]):
        store.database.jobs.delete_many({})
        store.queue.post(Draft("s", 0, {}, {}, objective="f"))
        store.database.jobs.update_one({}, {"$set": {"artifacts": each}})
        trial = the_trial(store, "s")
        assert list(artifacts_of(trial)) == (["e", "f"] if each is rubbish else [])
        assert file_ids(trial) == ({good["file_id"]} if each is rubbish else set())
        assert store.trials.referred_to([good["file_id"]]) == file_ids(trial)
        store.delete_study("s")
