"""Bytes in the store are whole or refused, and none are left that nothing refers to."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import bson
import pytest
from pymongo.errors import DuplicateKeyError

from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob, NotFound
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.updates import new_token


def database(store: Store) -> Any:
    return store.client.get_default_database()


def chunks(store: Store) -> int:
    count: int = database(store).fs.chunks.count_documents({})
    return count


def interrupted(store: Store, size: int = 300_000) -> Any:
    """Leave what a writer leaves behind that died before it wrote the file's document."""
    ref = store.blobs.put(os.urandom(size), "weights")
    database(store).fs.files.delete_one({"_id": ref.file_id})
    return ref.file_id


def finish_with(store: Store, ref: BlobRef) -> None:
    """Post, claim and finish a trial that has these weights."""
    store.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    trial = store.queue.claim("w", new_token(), ["lenet5"])
    assert trial is not None
    store.queue.finish(trial.id, str(trial.token), {"loss": 0.5}, ref.as_document())


# -- round trips ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 255 * 1024, 300_000, 5_000_000])
def test_bytes_come_back_as_they_went(store: Store, size: int) -> None:
    """Nothing, one byte, one whole chunk, two chunks and many chunks survive the round trip."""
    data = os.urandom(size)
    ref = store.blobs.put(data, "weights")
    assert ref.length == size
    assert store.blobs.get(ref) == data


def test_a_reference_survives_the_store(store: Store) -> None:
    """A reference kept in a trial's document finds the same bytes again."""
    ref = store.blobs.put(b"weights", "weights")
    finish_with(store, ref)
    (trial,) = store.trials.find("s")
    assert trial.artifact is not None
    assert BlobRef.from_document(trial.artifact) == ref
    assert store.blobs.get(BlobRef.from_document(trial.artifact)) == b"weights"


def test_every_upload_has_an_id_of_its_own(store: Store) -> None:
    """The same bytes uploaded twice are two files: an interrupted try never mixes with the next."""
    first, second = store.blobs.put(b"x", "x"), store.blobs.put(b"x", "x")
    assert first.file_id != second.file_id
    store.blobs.delete(first.file_id)
    assert store.blobs.get(second) == b"x"


# -- damage -----------------------------------------------------------------------------------


def test_bytes_that_changed_are_refused(store: Store) -> None:
    """A chunk with other bytes of the same length is found by the hash."""
    ref = store.blobs.put(b"a" * 300_000, "weights")
    database(store).fs.chunks.update_one(
        {"files_id": ref.file_id, "n": 1}, {"$set": {"data": b"b" * (300_000 - 255 * 1024)}}
    )
    with pytest.raises(CorruptBlob, match="SHA-256"):
        store.blobs.get(ref)


@pytest.mark.parametrize("lost", [0, 1])
def test_lost_chunks_are_noticed(store: Store, lost: int) -> None:
    """A file without its first or last chunk is refused."""
    ref = store.blobs.put(os.urandom(300_000), "weights")
    database(store).fs.chunks.delete_one({"files_id": ref.file_id, "n": lost})
    with pytest.raises(CorruptBlob):
        store.blobs.get(ref)


def test_a_shortened_chunk_is_noticed(store: Store) -> None:
    """A file with a shortened chunk is refused."""
    ref = store.blobs.put(b"a" * 1000, "weights")
    database(store).fs.chunks.update_one({"files_id": ref.file_id}, {"$set": {"data": b"a" * 999}})
    with pytest.raises(CorruptBlob):
        store.blobs.get(ref)


@pytest.mark.parametrize("length", [3, 5, 1 << 40])
def test_a_file_of_another_length_is_refused(store: Store, length: int) -> None:
    """A reference whose length is not the file's is refused before anything is read."""
    ref = store.blobs.put(b"four", "weights")
    with pytest.raises(CorruptBlob):
        store.blobs.get(BlobRef(ref.file_id, ref.sha256, length))


def test_a_reference_with_another_hash_is_refused(store: Store) -> None:
    """Bytes are returned only for their own hash."""
    ref = store.blobs.put(b"four", "weights")
    with pytest.raises(CorruptBlob):
        store.blobs.get(BlobRef(ref.file_id, "0" * 64, ref.length))


@pytest.mark.parametrize("n", [-1, 0.5, 2, 2.5, [-1, 99], "x", None])
def test_chunks_that_somebody_added_are_not_read(store: Store, n: Any) -> None:
    """A login that may upload may add chunks to any file, and the file stays readable."""
    data = os.urandom(300_000)
    ref = store.blobs.put(data, "weights")
    database(store).fs.chunks.insert_one({"files_id": ref.file_id, "n": n, "data": b"x"})
    assert store.blobs.get(ref) == data


@pytest.mark.parametrize("n", [0, 1, 1.0, [1, 99]])
def test_no_chunk_is_there_twice(store: Store, n: Any) -> None:
    """The unique index prevents a second chunk with the same number."""
    ref = store.blobs.put(os.urandom(300_000), "weights")
    with pytest.raises(DuplicateKeyError):
        database(store).fs.chunks.insert_one({"files_id": ref.file_id, "n": n, "data": b"x"})


@pytest.mark.parametrize(
    "changes",
    [{"chunkSize": 0}, {"chunkSize": "x"}, {"chunkSize": 1}, {"length": "x"}, {"length": None}],
)
def test_a_file_that_lies_about_itself_is_refused(store: Store, changes: Any) -> None:
    """A malformed file document is refused like a damaged file."""
    file_id = bson.ObjectId()
    file = {"_id": file_id, "length": 4, "chunkSize": 255 * 1024, **changes}
    database(store).fs.files.insert_one(file)
    chunks = [{"files_id": file_id, "n": 0, "data": "four"}, {"files_id": file_id, "n": 1}]
    database(store).fs.chunks.insert_many(chunks)
    with pytest.raises(CorruptBlob):
        store.blobs.get(BlobRef(file_id, hashlib.sha256(b"four").hexdigest(), 4))


def test_a_file_that_is_gone_is_not_found(store: Store) -> None:
    """Deleted files, files never uploaded and interrupted uploads are not found."""
    ref = store.blobs.put(b"x", "x")
    store.blobs.delete(ref.file_id)
    unfinished = BlobRef(interrupted(store), ref.sha256, 300_000)
    for missing in (ref, BlobRef(bson.ObjectId(), ref.sha256, 1), unfinished):
        with pytest.raises(NotFound):
            store.blobs.get(missing)


def test_a_deleted_file_leaves_nothing(store: Store) -> None:
    """Delete removes document, chunks and marker, also of a deleted file or interrupted upload."""
    ref = store.blobs.put(os.urandom(300_000), "weights")
    unfinished = interrupted(store)
    for file_id in (ref.file_id, ref.file_id, unfinished):
        store.blobs.delete(file_id)
    assert chunks(store) == 0
    assert store.blobs.uploads_older_than(0) == []


# -- orphans ----------------------------------------------------------------------------------


def test_an_upload_that_broke_off_is_collected(store: Store) -> None:
    """Chunks without a file document are deleted, and so is their marker."""
    interrupted(store)
    assert chunks(store) == 2
    assert store.collect_orphans(older_than=0) == 1
    assert chunks(store) == 0
    assert store.collect_orphans(older_than=0) == 0


def test_an_upload_nobody_came_to_refer_to_is_collected(store: Store) -> None:
    """A whole file is deleted if no trial was ever finished with it."""
    ref = store.blobs.put(b"weights", "weights")
    assert store.collect_orphans(older_than=0) == 1
    with pytest.raises(NotFound):
        store.blobs.get(ref)


def test_weights_of_a_finished_trial_are_kept(store: Store) -> None:
    """Weights that a result refers to are not orphans, however often a sweep looks at them."""
    ref = store.blobs.put(b"weights", "weights")
    finish_with(store, ref)
    assert store.collect_orphans(older_than=0) == 0
    assert store.collect_orphans(older_than=0) == 0
    assert store.blobs.get(ref) == b"weights"


@pytest.mark.parametrize("model", ["result", "best"])
def test_a_studys_model_is_kept_whatever_became_of_its_trial(store: Store, model: str) -> None:
    """A worker, which can change trials and upload markers, cannot get a study's model deleted."""
    ref = store.blobs.put(b"weights", "weights")
    finish_with(store, ref)
    store.studies.open("s", {})
    keep = store.studies.conclude if model == "result" else store.studies.offer
    keep("s", {"card": {}, "weights": ref.as_document()})
    database(store).jobs.update_one({}, {"$unset": {"artifact": 1}})
    assert store.collect_orphans(older_than=0) == 0
    assert store.blobs.get(ref) == b"weights"
    store.delete_study("s")
    assert store.collect_orphans(older_than=0) == 1
    assert chunks(store) == 0


def test_the_weights_of_a_model_go_with_its_study(store: Store) -> None:
    """Deleting a study deletes the weights of its model, and leaves nothing for a sweep."""
    ref = store.blobs.put(b"weights", "weights")
    finish_with(store, ref)
    store.studies.open("s", {})
    store.studies.conclude("s", {"card": {}, "weights": ref.as_document()})
    store.delete_study("s")
    assert chunks(store) == 0


def test_a_marker_that_is_none_ends_no_sweep(store: Store) -> None:
    """Workers write the markers: a marker without a date or a file's id is ignored."""
    markers = [{"started": "x"}, {"_id": "x"}, {"_id": {"x": 1}, "started": "$$NOW"}, {}]
    database(store).uploads.insert_many(markers)
    store.datasets.publish("hash", b"data", {})
    interrupted(store)
    assert store.collect_orphans(older_than=0) == 1
    assert store.datasets.fetch("hash") == b"data"


def test_a_data_set_is_kept(store: Store) -> None:
    """The file of a published data set is not an orphan."""
    store.datasets.publish("hash", b"data", {})
    assert store.collect_orphans(older_than=0) == 0
    assert store.datasets.fetch("hash") == b"data"


def test_a_young_upload_is_left_alone(store: Store) -> None:
    """An upload that may still be delivered stays, by the server's clock; older ones do not."""
    young, old = interrupted(store), interrupted(store)
    database(store).uploads.update_one(
        {"_id": old}, [{"$set": {"renewed": {"$subtract": ["$renewed", 3_600_000]}}}]
    )
    assert store.blobs.uploads_older_than(60) == [old]
    assert store.collect_orphans(older_than=60) == 1
    assert store.collect_orphans() == 0
    assert store.blobs.uploads_older_than(0) == [young]


def test_weights_of_a_late_result_are_collected(store: Store) -> None:
    """The weights of a late result are deleted; the winner's stay."""
    store.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    first = store.queue.claim("w1", new_token(), ["lenet5"], lease=0)
    second = store.queue.claim("w2", new_token(), ["lenet5"])
    assert first is not None
    assert second is not None
    won, lost = store.blobs.put(b"won", "won"), store.blobs.put(b"lost", "lost")
    assert store.queue.finish(second.id, str(second.token), {}, won.as_document())
    assert not store.queue.finish(first.id, str(first.token), {}, lost.as_document())
    assert store.collect_orphans(older_than=0) == 1
    assert store.blobs.get(won) == b"won"
    with pytest.raises(NotFound):
        store.blobs.get(lost)


def test_dropped_weights_are_collected_whoever_dies_in_between(store: Store) -> None:
    """Weights that a trial no longer refers to are deleted, even if the coordinator dies first."""
    ref = store.blobs.put(b"weights", "weights")
    finish_with(store, ref)
    store.collect_orphans(older_than=0)
    (trial,) = store.trials.find("s")
    store.queue.drop_files(trial)
    # The coordinator dies here, before it deletes the file.
    store.collect_orphans(older_than=0)
    assert chunks(store) == 0
