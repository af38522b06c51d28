"""Studies, workers and data sets are read back as they were written."""

from __future__ import annotations

import pytest

from hyperhive.store.errors import CorruptBlob, NotFound
from hyperhive.store.store import Store
from hyperhive.store.studies import BREAK_S
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ErrorKind
from hyperhive.store.trials.updates import new_token
from hyperhive.store.workers import PRESENCE_S, Pace, new_worker_id

# -- studies ----------------------------------------------------------------------------------


def test_a_study_is_made_once_and_then_found(store: Store) -> None:
    """Opening a study again returns the existing one, whatever its specification is."""
    spec = {"budget": 20, "space": [{"label": "lr", "note": "$literal $$NOW"}]}
    made = store.studies.open("s", spec)
    assert (made.name, made.spec, made.result) == ("s", spec, None)
    assert store.studies.open("s", {"budget": 99}) == made
    assert store.studies.get("s") == made
    assert store.studies.get("t") is None


def test_a_study_that_is_extended_is_open_again(store: Store) -> None:
    """A larger budget replaces the specification and removes the result."""
    store.studies.open("s", {"budget": 20, "seed": 1})
    store.studies.conclude("s", {"best": 0.25})
    concluded = store.studies.get("s")
    assert concluded is not None
    assert concluded.result == {"best": 0.25}
    store.studies.extend("s", {"budget": 40})
    extended = store.studies.get("s")
    assert extended is not None
    assert (extended.spec, extended.result) == ({"budget": 40}, None)


def test_the_first_reason_to_finish_stays(store: Store) -> None:
    """Whoever asks later does not change it; a study that is extended has none again."""
    store.studies.open("s", {})
    for why in (None, "$target reached", "time is over", None):
        store.studies.finish("s", why)
    study = store.study("s")
    (summary,) = store.studies.summaries("s")
    assert (study.finishing, study.finish_reason) == (True, "$target reached")
    assert summary.finish_reason == "$target reached"
    store.studies.extend("s", {})
    assert (store.study("s").finishing, store.study("s").finish_reason) == (False, None)


def ago(store: Store, seconds: float) -> None:
    """Move a study's last call of ``spend`` into the past."""
    past = {"$subtract": ["$spent_at", round(seconds * 1000)]}
    store.database.studies.update_one({"_id": "s"}, [{"$set": {"spent_at": past}}])


def test_time_is_spent_while_somebody_runs_a_study(store: Store, mongo_uri: str) -> None:
    """Two coordinators count once, a break not at all, nor a server's clock that was set back."""
    store.studies.open("s", {})
    assert store.studies.spend("s") == 0
    ago(store, 30)
    with Store(mongo_uri) as another:
        both = [another.studies.spend("s"), store.studies.spend("s")]
    assert 30 <= both[0] <= both[1] < 35
    for breaks in (BREAK_S + 1, -BREAK_S):
        ago(store, breaks)
        assert both[1] <= store.studies.spend("s") < 35
    store.studies.delete("s")
    with pytest.raises(NotFound, match="deleted"):
        store.studies.spend("s")


def test_studies_are_listed_the_oldest_first(store: Store) -> None:
    """The order is that of their creation, not of their names."""
    for name in ("b", "c", "a"):
        store.studies.open(name, {})
    store.studies.open("b", {})
    assert [study.name for study in store.studies.all()] == ["b", "c", "a"]


def test_a_summary_has_the_parts_of_a_result_that_are_asked_for(store: Store) -> None:
    """Without an end the result is None; without parts it is empty, and no more is read."""
    store.studies.open("s", {"trials": 9})
    parts = ("result.card.score", "result.missing")
    (opened,) = store.studies.summaries("s", parts)
    assert (opened.budget, opened.has_ended, opened.result) == (9, False, None)
    store.studies.conclude("s", {"card": {"score": 0.5, "history": "x"}, "weights": {}})
    assert [each.result for each in store.studies.summaries("s")] == [{}]
    (ended,) = store.studies.summaries(None, parts)
    assert (ended.has_ended, ended.result) == (True, {"card": {"score": 0.5}})
    assert store.studies.summaries("t") == []


def test_a_study_is_deleted_with_what_its_trials_name(store: Store) -> None:
    """Its weights are deleted; an artifact that is no file, or another study's, is left alone."""
    store.studies.open("s", {})
    store.datasets.publish("set", b"x", {})
    (blob,) = store.client.hyperhive.fs.files.distinct("_id")
    artifacts = [store.blobs.put(b"w", "w").as_document(), {"file_id": blob}]
    artifacts += [{}, {"file_id": {"$ne": None}}]
    for tid, artifact in enumerate(artifacts):
        store.queue.post(Draft("s", tid, {}, {}, objective="lenet5"))
        store.client.hyperhive.jobs.update_one({"tid": tid}, {"$set": {"artifact": artifact}})
    store.delete_study("s")
    assert (store.studies.get("s"), store.trials.find("s")) == (None, [])
    assert store.client.hyperhive.fs.files.distinct("_id") == [blob]
    store.delete_study("s")


def test_cancelling_a_study_ends_what_the_dead_hold(store: Store) -> None:
    """It needs no coordinator for trials whose workers are dead."""
    store.studies.open("s", {})
    store.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    assert store.queue.claim("dead", new_token(), ["lenet5"], lease=0.0) is not None
    assert store.cancel_study("s") == 1
    (trial,) = store.trials.find("s")
    assert (trial.error or {})["kind"] == ErrorKind.CANCELLED.value


# -- workers ----------------------------------------------------------------------------------


def test_a_worker_that_reports_is_present(store: Store) -> None:
    """Its last report is returned, also text that starts with a dollar."""
    store.workers.report("$w", None, "cpu", {"torch": "1.13"}, None)
    store.workers.report("$w", "$s", "$device", {"python": "3.8"}, "s/1")
    (worker,) = store.workers.present()
    assert (worker.id, worker.study, worker.device) == ("$w", "$s", "$device")
    assert (worker.versions, worker.trial) == ({"python": "3.8"}, "s/1")
    assert 0 <= worker.seconds_ago < PRESENCE_S


def test_a_worker_of_another_version_is_present(store: Store) -> None:
    """Missing and unknown fields of its record do no harm."""
    store.workers.report("w", None, "cpu", {}, None)
    changed = [{"$set": {"record": {"device": "cpu", "speed": 3}}}]
    store.client.hyperhive.workers.update_many({}, changed)
    (worker,) = store.workers.present()
    assert (worker.id, worker.device, worker.undelivered) == ("w", "cpu", 0)


@pytest.mark.parametrize("unit", ["seconds_per_unit", "seconds_per_epoch"])
def test_the_pace_of_an_older_worker_is_known(store: Store, unit: str) -> None:
    """A worker of the version before reports seconds per epoch, which was its unit of cost."""
    store.workers.report("w", None, "cpu", {}, None)
    pace = {"study": "s", unit: 2.5}
    store.client.hyperhive.workers.update_one({}, {"$set": {"record.pace": pace}})
    assert store.workers.present()[0].pace == Pace("s", 2.5)


def test_an_older_worker_knows_the_pace_of_this_one(store: Store) -> None:
    """A worker of the version before reads seconds per epoch; without it, it would seem fast."""
    store.workers.report("w", None, "cpu", {}, None, pace=Pace("s", 2.5))
    assert store.client.hyperhive.workers.find_one()["record"]["pace"]["seconds_per_epoch"] == 2.5
    assert store.workers.present()[0].pace == Pace("s", 2.5)


def test_a_worker_that_leaves_is_gone(store: Store) -> None:
    """Leaving removes one worker from the list, and can be repeated."""
    store.workers.report("a", None, "cpu", {}, None)
    store.workers.report("b", None, "cpu", {}, None)
    store.workers.leave("a")
    store.workers.leave("a")
    assert [worker.id for worker in store.workers.present()] == ["b"]


def test_the_workers_of_a_study_are_those_that_take_its_trials(store: Store) -> None:
    """A worker without a study takes any trials; one with another study does not count."""
    for worker, study in (("any", None), ("mine", "s"), ("other", "t")):
        store.workers.report(worker, study, "cpu", {}, None)
    assert [worker.id for worker in store.workers.present("s")] == ["any", "mine"]
    assert [worker.id for worker in store.workers.present()] == ["any", "mine", "other"]


def test_a_worker_not_heard_of_is_taken_for_gone(store: Store) -> None:
    """Presence ends ``PRESENCE_S`` after the last report, by the server's clock."""
    for worker, age in (("fresh", PRESENCE_S - 5), ("stale", PRESENCE_S + 1)):
        store.workers.report(worker, None, "cpu", {}, None)
        store.client.hyperhive.workers.update_one(
            {"_id": worker},
            [{"$set": {"last_seen": {"$subtract": ["$last_seen", round(age * 1000)]}}}],
        )
    (present,) = store.workers.present()
    assert present.id == "fresh"
    assert PRESENCE_S - 5 <= present.seconds_ago <= PRESENCE_S


def test_worker_ids_are_never_used_again() -> None:
    """Two ids of one process differ, and are valid in a file name."""
    first, second = new_worker_id(), new_worker_id()
    assert first != second
    assert first.replace("-", "").isalnum()


def test_the_server_forgets_workers_after_a_day(store: Store) -> None:
    """The collection of workers has an index that expires them."""
    indexes = store.client.hyperhive.workers.index_information()
    assert [i.get("expireAfterSeconds") for i in indexes.values()] == [None, 24 * 3600]


# -- data sets --------------------------------------------------------------------------------


def test_a_data_set_is_published_once(store: Store) -> None:
    """The first to publish gets True; a second time uploads nothing."""
    assert not store.datasets.has("hash")
    assert store.datasets.publish("hash", b"packed" * 100_000, {"name": "$digits"})
    assert store.datasets.has("hash")
    assert not store.datasets.publish("hash", b"other", {"name": "other"})
    assert store.datasets.fetch("hash") == b"packed" * 100_000
    assert store.client.hyperhive.datasets.find_one({}, {"_id": 0})["card"] == {"name": "$digits"}
    assert store.client.hyperhive.fs.files.count_documents({}) == 1


def test_a_data_set_that_is_not_there_is_not_found(store: Store) -> None:
    """The error says what to do about it."""
    with pytest.raises(NotFound, match="start the coordinator"):
        store.datasets.fetch("nothing")


def test_a_damaged_data_set_is_refused(store: Store) -> None:
    """Bytes that were changed in the store do not reach a worker."""
    store.datasets.publish("hash", b"packed", {})
    store.client.hyperhive.fs.chunks.update_one({}, {"$set": {"data": b"cooked"}})
    with pytest.raises(CorruptBlob):
        store.datasets.fetch("hash")
