"""The workers: one document for each live worker process."""

from __future__ import annotations

import os
import re
import socket
import uuid
from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping

from pymongo import ASCENDING

from hyperhive.common.values import mapping, number, sequence, text, whole
from hyperhive.store.server.client import Guard
from hyperhive.store.trials.terms import experiment_keys
from hyperhive.store.trials.trial import Trial

PRESENCE_S = 45.0
"""A worker that has not reported for this long counts as gone. It reports four times as often."""
KEPT_S = 24 * 3600
"""The store forgets a worker that has not reported for this long."""
MOST_REFUSED = 20
_ID = re.compile(r"(.+)-\d+-[0-9a-f]{6}")


def new_worker_id(device: str | None = None) -> str:
    """Return a readable id for this process that no other process ever has.

    It begins with the name under which the device was invited, by which it can be revoked, else
    with the name of the host.
    """
    host = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname().split(".")[0]) or "worker"
    return f"{device or host}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def host_of(worker: str) -> str | None:
    """Return the device or host in an id that ``new_worker_id`` made; None for any other id."""
    made = _ID.fullmatch(worker)
    return made and made.group(1)


@dataclass(frozen=True)
class Pace:
    """How fast a worker was at its last trial: mean seconds per unit of cost, overhead included."""

    study: str
    seconds_per_unit: float


@dataclass(frozen=True)
class WorkerRecord:
    """A worker as it last reported: what it is, and what it does.

    ``trial`` is the label of the trial that it runs. ``undelivered`` counts the results that wait
    on its device, including those for other stores. ``paused`` is the reason if it is pausing.
    ``objectives`` are the names of those that it can run; None if its version does not report them.
    ``refused`` are the published objectives and the keys that it refuses, each with the reason.
    ``order`` is the token of the order that it obeys, "" without one; None if it reads no orders.
    """

    id: str
    study: str | None
    device: str
    versions: dict[str, str]
    trial: str | None
    undelivered: int
    paused: str | None
    pace: Pace | None
    seconds_ago: float
    objectives: frozenset[str] | None = None
    refused: tuple[tuple[str, str], ...] = ()
    order: str | None = None

    def has(self, objective: str | None) -> bool:
        """Return whether it has an objective, as far as is known."""
        return self.objectives is None or objective in self.objectives

    def takes(self, study: str) -> bool:
        """Return whether it takes trials of a study, or jobs of an experiment of hyperopt's."""
        return self.study in (None, study)

    def works_for(self, trial: Trial) -> bool:
        """Return whether it takes trials of that one's study, and has its objective."""
        is_its_study = self.study is None or trial.exp_key in experiment_keys(self.study)
        return is_its_study and self.has(trial.objective)

    def can_run(self, trial: Trial) -> bool:
        """Return whether it may take a trial: it has the objective, and has not failed at it."""
        return self.has(trial.objective) and self.id not in trial.excluded


class Workers:
    """The workers of a database."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._workers = database["workers"]
        self._guard = guard

    def ensure_indexes(self) -> None:
        """Let the server delete workers' records a day after their last report."""
        with self._guard():
            self._workers.create_index([("last_seen", ASCENDING)], expireAfterSeconds=KEPT_S)

    def report(
        self,
        worker: str,
        study: str | None,
        device: str,
        versions: Mapping[str, str],
        trial: str | None,
        undelivered: int = 0,
        paused: str | None = None,
        pace: Pace | None = None,
        objectives: Iterable[str] | None = None,
        refused: Iterable[tuple[str, str]] = (),
        order: str | None = None,
    ) -> None:
        """Report that a worker is alive, what it does, and how fast it is."""
        record = {
            "study": study,
            "device": device,
            "versions": dict(versions),
            "trial": trial,
            "undelivered": undelivered,
            "paused": paused,
            "pace": None if pace is None else _as_document(pace),
            "objectives": None if objectives is None else sorted(objectives),
            "refused": [list(each) for each in refused],
            "order": order,
        }
        report = {"record": {"$literal": record}, "last_seen": "$$NOW", "left": None}
        with self._guard():
            self._workers.update_one({"_id": worker}, [{"$set": report}], upsert=True)

    def correct(self, worker: str, undelivered: int) -> None:
        """Report of a worker that died how many results still wait where it kept them."""
        with self._guard():
            self._workers.update_one(
                {"_id": worker, "record.undelivered": {"$exists": True}},
                {"$set": {"record.undelivered": undelivered}},
            )

    def leave(self, worker: str) -> None:
        """Report that a worker has ended. Its record expires like any other's."""
        with self._guard():
            self._workers.update_one({"_id": worker}, [{"$set": {"left": "$$NOW"}}])

    def present(self, study: str | None = None) -> list[WorkerRecord]:
        """Return the workers that reported lately and would take trials of ``study``, or of any."""
        return self._reported("$lte", PRESENCE_S, {"left": None, **_taking(study)})

    def silent(self, study: str | None = None) -> list[WorkerRecord]:
        """Return the workers of the last day that vanished: killed, asleep or disconnected."""
        return self._reported("$gt", PRESENCE_S, {"left": None, **_taking(study)})

    def recent(self, seconds: float) -> list[WorkerRecord]:
        """Return the workers of all studies that reported in the last ``seconds``, gone or not."""
        return self._reported("$lte", seconds, {})

    def _reported(
        self, comparison: str, seconds: float, also: Mapping[str, Any]
    ) -> list[WorkerRecord]:
        # A worker may write anything, and figures of devices were kept here once: only a date is an
        # age. $type as a condition would also match a list of dates.
        is_date = {"$eq": [{"$type": "$last_seen"}, "date"]}
        age = {"$cond": [is_date, {"$subtract": ["$$NOW", "$last_seen"]}, None]}
        in_time = {comparison: [age, round(seconds * 1000)]}
        which: dict[str, Any] = {**also, "$expr": {"$and": [is_date, in_time]}}
        with self._guard():
            documents = self._workers.aggregate(
                [{"$match": which}, {"$addFields": {"age": age}}, {"$sort": {"_id": ASCENDING}}]
            )
            return [_from_document(document) for document in documents]


def _taking(study: str | None) -> dict[str, Any]:
    """Return the condition of workers that would take trials of this study; of any without one."""
    return {} if study is None else {"record.study": {"$in": [None, study]}}


def _from_document(document: Mapping[str, Any]) -> WorkerRecord:
    """Build a record from what a worker wrote, whatever its version is."""
    record = mapping(document.get("record"))
    return WorkerRecord(
        id=str(document["_id"]),
        study=text(record.get("study")),
        device=str(record.get("device")),
        versions=mapping(record.get("versions")),
        trial=text(record.get("trial")),
        undelivered=whole(record.get("undelivered"), 0),
        paused=text(record.get("paused")),
        pace=_pace(record.get("pace")),
        seconds_ago=document["age"] / 1000,
        objectives=_objectives(record.get("objectives")),
        refused=_refused(record.get("refused")),
        order=text(record.get("order")),
    )


def _objectives(reported: Any) -> frozenset[str] | None:
    return frozenset(map(str, reported)) if isinstance(reported, list) else None


def _refused(reported: Any) -> tuple[tuple[str, str], ...]:
    pairs = [sequence(each) for each in sequence(reported)[:MOST_REFUSED]]
    return tuple((str(pair[0]), str(pair[1])) for pair in pairs if len(pair) == 2)


def _as_document(pace: Pace) -> dict[str, Any]:
    """Return a pace for this version, and under its former name for workers of the version before.

    It is the same number: the cost of the trials that they know is their number of epochs.
    """
    return {**asdict(pace), "seconds_per_epoch": pace.seconds_per_unit}


def _pace(reported: Any) -> Pace | None:
    """Return a pace as a worker of this version or the one before reported it, None for no pace."""
    pace = mapping(reported)
    seconds = number(pace.get("seconds_per_unit", pace.get("seconds_per_epoch")))
    return None if seconds is None else Pace(str(pace.get("study")), seconds)
