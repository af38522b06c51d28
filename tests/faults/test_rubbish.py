"""Fault 21: whatever a worker's login writes into trials and records, all others go on.

MongoDB can limit a login to a collection, but not to fields or types.
"""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson.raw_bson import RawBSONDocument
from rich.console import Console
from support.bench import living, post, succeeds, the_trial
from support.home import until
from support.live import fleet_of, study_of

from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.search import Search, Snapshot
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.coordinator.views.status import report
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

if pymongo.version_tuple >= (4, 3):
    from bson.datetime_ms import DatetimeMS
else:
    DatetimeMS = None

RUBBISH: list[dict[str, Any]] = [
    *({field: "x"} for field in ("book_time", "refresh_time", "lease_until", "not_before")),
    *({field: "x"} for field in ("fence", "version", "attempts", "max_attempts", "cost")),
    *({field: None} for field in ("fence", "version", "attempts", "state", "misc", "result")),
    *({field: 3} for field in ("late", "issued", "excluded", "token", "owner", "winner", "pace")),
    *({field: 3} for field in ("progress", "artifact", "config", "error", "cancel_requested")),
    {"artifacts": 3},
    {"artifacts": [3, {"name": [], "file_id": {}, "length": "x"}]},
    *({field: [1]} for field in ("fence", "attempts", "state", "result", "misc", "config")),
    *({"misc." + field: 3} for field in ("cmd", "vals", "idxs", "tid")),
    {"misc.cmd": {"0": "objective"}},
    {"misc.vals": {"learning_rate": [[]]}},
    {"copy": {"a": 1}},
    {"copy": {"token": 1, "worker": 2, "fence": 1, "progress": 3}},
    {"cost": [1], "progress": {"done": "x"}},
    {"late": [3]},
    {"issued": [3]},
    {"issued": [{"token": "x", "at": 3}]},
    {"excluded": [[], {}]},
    {"state": 9},
    {"state": "x"},
    {"tid": "x"},
    {"exp_key": 3},
    {"exp_key": "elsewhere"},
    {"error": {"kind": "x"}, "state": 3},
    {"error": {"kind": [], "message": 3}, "state": 3},
    {"result": {"loss": "x", "validation_accuracy": [], "diverged": []}},
    # A date that Python cannot hold; PyMongo before 4.3 has no way to write one, nor to read it.
    *({field: DatetimeMS(2**60)} for field in ("book_time", "lease_until", "x") if DatetimeMS),
    *({field: {"x": DatetimeMS(2**60)}} for field in ("progress", "result") if DatetimeMS),
]
"""The changes that are written, each into another trial."""

WHEN = ("waiting", "running", "done")


class Vandal:
    """A worker that also writes one of ``RUBBISH`` into each trial of a study."""

    def __init__(self, store: Store, when: str) -> None:
        self._store = store
        self._when = when
        self._left = list(RUBBISH)
        self._reader = FleetReader(store)

    def work(self, snapshot: Snapshot) -> None:
        """Do one trial, and read the fleet as dashboard and status do."""
        waiting = [t for t in snapshot.study.searched if t.status is Status.NEW]
        if self._when == "waiting" and waiting:
            self._spoil(waiting[0])
        trial = self._store.queue.claim("w", new_token(), ["lenet5"], lease=1.0)
        if trial is not None:
            if self._when == "running":
                self._spoil(trial)
                self._look()
            self._deliver(trial)
            if self._when == "done":
                self._spoil(trial)
        self._look()

    def _deliver(self, trial: Trial) -> None:
        token, result = str(trial.token), {"loss": 0.5, "validation_accuracy": 0.5}
        with contextlib.suppress(LeaseLost):  # the rubbish may have removed the token
            self._store.queue.finish(trial.id, token, result)

    def _spoil(self, trial: Trial) -> None:
        if self._left:
            rubbish = self._left.pop()
            self._store.database.jobs.update_one({"_id": trial.id}, {"$set": rubbish})

    def _look(self) -> None:
        fleet = self._reader.read()
        fleet_of(self._store)
        study_of(self._store, fleet.studies[0].name)
        Console(quiet=True).print(report(self._store, None))
        self._store.trials.find("s")

    def is_through(self) -> bool:
        """Return whether all of ``RUBBISH`` was tried."""
        return not self._left


@pytest.mark.long
@pytest.mark.parametrize(
    "when", ["done", *(pytest.param(w, marks=pytest.mark.long) for w in WHEN if w != "done")]
)
def test_21_rubbish_in_a_trial_stops_nobody(
    store: Store, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study ends, and other workers, status and dashboard go on."""
    monkeypatch.setattr("hyperhive.coordinator.searching.sweep.SWEEP_EVERY_S", 0.1)
    monkeypatch.setattr("hyperhive.coordinator.searching.pace.LONGEST_S", 0.01)
    trials = len(RUBBISH) + 5
    plan = Plan("s", DatasetRequest("digits"), trials=trials, startup=len(RUBBISH) // 2)
    study = Study(plan, "hash", {})
    store.studies.open("s", study.spec())
    vandal = Vandal(store, when)
    ended = Search(store, study, vandal.work, threading.Event()).run()
    assert vandal.is_through()
    assert len(ended) > trials / 2  # trials that were moved away after their end are missing
    assert sum(trial.status is Status.DONE for trial in ended) >= 10
    store.cancel_study("s")
    store.delete_study("s")


def test_21_a_trial_that_nobody_can_end_has_failed(store: Store) -> None:
    """It says why, no worker claims it, and it does not block others."""
    for tid in range(2):
        store.queue.post(Draft("s", tid, {}, {}, objective="lenet5"))
    store.database.jobs.update_one({"tid": 0}, {"$set": {"state": 9}})
    spoilt, _ = store.trials.find("s")
    assert spoilt.status is Status.ERROR
    assert spoilt.error == {
        "kind": ErrorKind.BAD_PAYLOAD.value,
        "message": "its document has an invalid state",
    }
    claimed = store.queue.claim("w", new_token(), ["lenet5"])
    assert claimed is not None
    assert claimed.tid == 1
    assert store.queue.claim("w", new_token(), ["lenet5"]) is None


@pytest.mark.skipif(DatetimeMS is None, reason="PyMongo before 4.3 cannot read such a date")
def test_21_a_value_that_python_cannot_hold_stops_no_worker(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """A far date or text that is no Unicode, in a trial, an order and a record."""
    for tid in range(2):
        post(store, tid)
    far, jobs = DatetimeMS(2**60), store.database["jobs"]
    jobs.update_one({"tid": 0}, {"$set": {"misc.x": far, "book_time": far}})
    store.database["orders"].insert_one({"_id": "me", "at": far})
    store.database["workers"].insert_one({"_id": "other", "last_seen": far, "record": far})
    text = b"\x02text\x00\x02\x00\x00\x00\xff\x00\x00"
    no_unicode = RawBSONDocument((len(text) + 4).to_bytes(4, "little") + text)
    jobs.update_one({"tid": 1}, {"$set": {"misc.x": no_unicode}})
    with living(mongo_uri, tmp_path, succeeds) as (_, errors):
        until(lambda: errors or the_trial(store, 1).is_final, "the trials")
        until(lambda: errors or the_trial(store, 0).is_final, "the other trial")
    assert errors == []


@pytest.mark.parametrize(
    "record",
    [3, [], {"device": "[/x]"}, {"versions": 3}, {"undelivered": {}, "paused": [], "trial": 3}],
)
def test_21_rubbish_in_a_workers_record_stops_nobody(store: Store, record: Any) -> None:
    """The worker is listed, with unknown values."""
    store.studies.open("s", {"trials": 1})
    store.workers.report("w", None, "cpu", {}, None)
    store.database.workers.update_one({}, {"$set": {"record": record}})
    others = [{"last_seen": "x"}, {"left": "x"}, {"last_seen": [datetime.now(timezone.utc)]}]
    store.database.workers.insert_many([{"_id": 7 + n, **it} for n, it in enumerate(others)])
    fleet = FleetReader(store).read()
    fleet_of(store)
    Console(quiet=True).print(report(store, None))
    assert [worker.id for worker in fleet.workers] == ["w"]


@pytest.mark.parametrize(
    "figures",
    [3, "x", {"training": "abc"}, {"training": {"64": "x"}}, {"versions": [], "slots": "x"}],
)
def test_21_rubbish_in_a_devices_figures_stops_nobody(store: Store, figures: Any) -> None:
    """Malformed figures count as not measured."""
    store.database.benchmarks.insert_one({"_id": "x", "figures": figures})
    (found,) = store.benchmarks.all()
    assert (found.training, found.slots, found.versions) == ({}, 0, {})
