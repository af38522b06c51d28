"""Reading trials: every query of the ``jobs`` collection that changes nothing.

hyperopt's jobs are in that collection too, and may have a study's name as their key. They are
neither listed nor counted as the study's trials.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any, Dict, Iterable, Iterator, Mapping, NamedTuple

from pymongo import ASCENDING

from hyperhive.common.memory import no_collection
from hyperhive.store.blobs import referred_to
from hyperhive.store.server.client import Guard
from hyperhive.store.trials.attempts import Attempt, attempts_of
from hyperhive.store.trials.terms import HYPEROPT, Status, command, experiment_key, experiment_keys
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import LEASE_IS_OVER, from_now

_Document = Dict[str, Any]
_NO_NUMBER = 2**63
"""The database's whole numbers are smaller, and its driver refuses to look for another."""

_OURS: _Document = {"fence": {"$type": "number"}}
A_STUDYS: _Document = {**_OURS, "misc.cmd.0": "objective"}
"""The condition of trials of studies; hyperopt's jobs may have our fields too, but not this."""

A_JOB: _Document = {**_OURS, "misc.cmd.0": command(HYPEROPT)[0]}
"""The condition of hyperopt's jobs that have our fields."""

# A worker may have written anything there, and the server would refuse the whole request.
_COMMAND = {"$cond": [{"$isArray": "$misc.cmd"}, "$misc.cmd", []]}
_IS_A_JOB = {"$in": [A_JOB["misc.cmd.0"], _COMMAND]}
_LOSS = {"status": "$result.status", "loss": "$result.loss"}
_HISTORY = "$result.history"
_LAST = {"$cond": [{"$isArray": [_HISTORY]}, {"$slice": [_HISTORY, -1]}, "$$REMOVE"]}
_UNREAD = dict.fromkeys(
    ("spec", "late.result", "misc.idxs", "misc.tid", "issued.token", "issued.worker", "pace"), 0
)
_IN_SHORT: list[_Document] = [
    {"$project": _UNREAD},
    {"$addFields": {"result.history": _LAST}},
    {"$addFields": {"result": {"$cond": [_IS_A_JOB, _LOSS, "$result"]}}},
]
"""The stages that leave out most of a trial's bytes: its history but for the last entry, results
that do not count, and whatever the function of a job returned beside its loss."""

_A_STUDYS_IN_SHORT = {**_UNREAD, "result.history": {"$slice": -1}}
"""The same of a study's trial, as a projection."""

_BATCH = 500
"""Documents of a reply: a batch of 16 MB, which is the most, would be in memory as a whole."""

_PLAIN: _Document = {
    "state": {
        "$eq": int(Status.DONE),
        "$type": ["int", "long", "double"],
        "$not": {"$type": "array"},
    },
    "issued.1": {"$exists": False},
    "late.0": {"$exists": False},
    **A_STUDYS,
}
"""The condition of trials of which there is nothing to tell but their results."""

_IS_USABLE = {
    "$and": [
        {"$in": [{"$type": "$result.loss"}, ["int", "long", "double"]]},
        {"$gt": ["$result.loss", -math.inf]},  # a NaN is not
        {"$lt": ["$result.loss", math.inf]},
        {"$ne": ["$result.status", "fail"]},
        {"$ne": ["$result.pruned", True]},
        {"$not": ["$result.diverged"]},
    ]
}
"""The expression for a result that ``ranking`` of a coordinator takes."""


class Plain(NamedTuple):
    """Trials of a search that were claimed once, are done and have no late result.

    ``done`` is how many there are, ``pruned`` how many of them were pruned, ``best`` the id of the
    best one; of any, if none has a usable result.
    """

    done: int
    pruned: int
    best: Any


class AtRung(NamedTuple):
    """How a trial stands among the others that have reached a rung.

    ``others`` is how many have a loss there, ``better`` how many of them a lower one, ``equal`` the
    same.
    """

    others: int = 0
    better: int = 0
    equal: int = 0


class TrialReader:
    """The trials of a database, as they are now.

    Every method raises ``StoreUnavailable`` when the server does not answer.
    """

    def __init__(self, database: Any, guard: Guard) -> None:
        self._jobs = database["jobs"]
        self._guard = guard

    def get(self, trial_id: Any) -> Trial | None:
        """Return one trial by its id, or None."""
        with self._guard():
            document = self._jobs.find_one({"_id": trial_id, **_OURS})
        return None if document is None else Trial.from_document(document)

    def labelled(self, label: str) -> Trial | None:
        """Return the trial of a study that a worker's record names by its ``label``, or None."""
        key, _, tid = label.rpartition("/")
        if not re.fullmatch("[0-9]{1,9}", tid):
            return None
        with self._guard():
            document = self._jobs.find_one({"exp_key": key, "tid": int(tid), **_OURS})
        return None if document is None else Trial.from_document(document)

    def find(
        self,
        study: str,
        purpose: str | None = None,
        tids: Iterable[int] | None = None,
        in_short: bool = False,
    ) -> list[Trial]:
        """Return a study's trials by tid.

        Args:
            study: its name.
            purpose: the only one, if given.
            tids: the only ones, if given.
            in_short: without most of their bytes: results have only the last entry of their
                ``history``.
        """
        with no_collection():
            return list(self.each(study, purpose, tids, in_short))

    def each(
        self,
        study: str,
        purpose: str | None = None,
        tids: Iterable[int] | None = None,
        in_short: bool = False,
    ) -> Iterator[Trial]:
        """Yield what ``find`` returns, as it arrives: thousands need not be in memory at once."""
        keys = experiment_keys(study) if purpose is None else [experiment_key(study, purpose)]
        which: _Document = {"exp_key": {"$in": keys}, **A_STUDYS}
        if tids is not None:
            which["tid"] = {"$in": [tid for tid in tids if tid < _NO_NUMBER]}
        with self._guard():
            found = self._jobs.find(which, _A_STUDYS_IN_SHORT if in_short else None)
            for document in found.sort("tid", ASCENDING).batch_size(_BATCH):
                yield Trial.from_document(document)

    def again(
        self,
        study: str,
        purpose: str,
        known: Iterable[Trial],
        free: Iterable[tuple[int, int | None]],
        only_changed: bool,
    ) -> list[Trial]:
        """Return known trials of a study as they are now and new ones, in short and by tid.

        An index leads to them, so the others, which have ended, cost nothing.

        Args:
            study: its name.
            purpose: of the trials.
            known: unfinished ones.
            free: ranges of tids that no trial has had so far: the first, and the one after the
                last, or None for no end.
            only_changed: leave out the known ones whose state is as it was.
        """
        tids: dict[Status, list[int]] = {}
        for trial in known:
            tids.setdefault(trial.status, []).append(trial.tid)
        parts: list[_Document] = [
            {"tid": {"$in": each}, **({"state": {"$ne": int(status)}} if only_changed else {})}
            for status, each in tids.items()
        ]
        for first, end in free:
            parts.append({"tid": {"$gte": first, **({} if end is None else {"$lt": end})}})
        key = experiment_key(study, purpose)
        which = {"$or": [{"exp_key": key, **part} for part in parts], **A_STUDYS}
        with self._guard():
            trials = _as_trials(self._jobs.find(which, _A_STUDYS_IN_SHORT))
        return sorted(trials, key=lambda trial: trial.tid)

    def at_rung(self, trial: Trial, rung: str, loss: float, only_full: bool) -> AtRung:
        """Compare a trial's loss with those of the other trials of its study at a rung.

        The server counts, so this takes some milliseconds with thousands of trials. What is no
        number does not count: a worker may have written anything.

        Args:
            trial: the one that has reached the rung.
            rung: its name in the field ``rungs``.
            loss: of the trial; it may be infinite.
            only_full: compare only with trials that are done and were not pruned.
        """
        # Not {"_id": {"$ne": ...}}: the server would go through the trials of all studies by _id.
        is_other = {"$ne": ["$_id", {"$literal": trial.id}]}
        which: _Document = {"exp_key": trial.exp_key, "$expr": is_other, **A_STUDYS}
        if only_full:
            which.update({"state": int(Status.DONE), "result.pruned": {"$ne": True}})
        is_number = {"$in": [{"$type": "$loss"}, ["int", "long", "double"]]}
        better, equal = ({"$cond": [{how: ["$loss", loss]}, 1, 0]} for how in ("$lt", "$eq"))
        counts = {"others": {"$sum": 1}, "better": {"$sum": better}, "equal": {"$sum": equal}}
        stages: list[_Document] = [
            {"$match": which},
            {"$project": {"_id": 0, "loss": "$rungs." + rung}},
            {"$match": {"$expr": is_number, "loss": {"$gte": -math.inf}}},  # a NaN is not
            {"$group": {"_id": None, **counts}},
            {"$project": {"_id": 0}},
        ]
        with self._guard():
            counted = list(self._jobs.aggregate(stages))
        return AtRung(**counted[0]) if counted else AtRung()

    def is_posted(self, study: str, purpose: str, tid: int) -> bool:
        """Return whether a trial was posted, whatever its state is now."""
        which = {"exp_key": experiment_key(study, purpose), "tid": tid, **A_STUDYS}
        with self._guard():
            return self._jobs.find_one(which, {"_id": 1}) is not None

    def changed(
        self, above: Mapping[str, int], ids: Iterable[Any], but_plain: bool = False
    ) -> list[Trial]:
        """Return new trials and those with these ids, and jobs of hyperopt's too, in short.

        Results have only the last entry of their ``history``, those of jobs only ``status`` and
        ``loss``. A viewer keeps the trials that it has read, so this one indexed read is enough to
        follow studies of any size.

        Args:
            above: for each experiment key, the tid above which trials are new; the key "" stands
                for no key.
            ids: of unfinished trials, to be read again.
            but_plain: leave out new ones that ``plain`` counts.
        """
        less = {"$nor": [_PLAIN]} if but_plain else {}
        since = [
            {**_of([key]), "tid": {"$gt": tid}, **({} if "/" in key else less)}
            for key, tid in above.items()
        ]
        which = {"$or": [{"_id": {"$in": list(ids)}}, *since], **_OURS}
        stages = [{"$match": which}, *_IN_SHORT]
        with self._guard():
            return _as_trials(self._jobs.aggregate(stages, batchSize=_BATCH))

    def plain(self, studies: Iterable[str], but: Iterable[Any]) -> dict[str, Plain]:
        """Return what the server counts of trials of these studies' searches, by study.

        So a look at thousands of trials need not read them.

        Args:
            studies: their names.
            but: the ids of trials that do not count.
        """
        which = {**_PLAIN, "exp_key": {"$in": list(studies)}, "_id": {"$nin": list(but)}}
        loss = {"$cond": [_IS_USABLE, "$result.loss", math.inf]}
        counts = {
            "done": {"$sum": 1},
            "pruned": {"$sum": {"$cond": [{"$eq": ["$result.pruned", True]}, 1, 0]}},
            "best": {"$min": {"loss": loss, "tid": "$tid", "id": "$_id"}},
        }
        with self._guard():
            stages = [{"$match": which}, {"$group": {"_id": "$exp_key", **counts}}]
            groups = list(self._jobs.aggregate(stages))
        return {g["_id"]: Plain(g["done"], g["pruned"], g["best"]["id"]) for g in groups}

    def versions(self, studies: Iterable[str]) -> dict[Any, Any]:
        """Return the version of every trial of these studies or experiments, by the trial's id."""
        which = {**_of([key for study in studies for key in experiment_keys(study)]), **_OURS}
        with self._guard():
            documents = self._jobs.find(which, {"version": 1})
            return {document["_id"]: document.get("version") for document in documents}

    def attempts(
        self, study: str, ids: Iterable[Any] | None = None
    ) -> dict[Any, tuple[Attempt, ...]]:
        """Return the attempts at those trials of a study or experiment that had more than one.

        They are by the trial's id, and so are those of trials that wait for a further attempt. Of
        any other, ``owner`` and ``book_time`` tell of its one attempt. With ``ids``, only those
        trials are asked for.
        """
        waits = {"state": int(Status.NEW), "issued.0": {"$exists": True}}
        several = {"$or": [{"issued.1": {"$exists": True}}, waits]}
        those = {} if ids is None else {"_id": {"$in": list(ids)}}
        which = {"$and": [_of(experiment_keys(study)), several, _OURS, those]}
        with self._guard():
            documents = list(self._jobs.find(which, {"issued": 1}))
        return {document["_id"]: attempts_of(document) for document in documents}

    def overdue(self) -> list[Trial]:
        """Return the trials of all studies whose lease is over, by the server's clock."""
        with self._guard():
            documents = list(self._jobs.find(LEASE_IS_OVER))
        return [Trial.from_document(document) for document in documents]

    def kept_from_workers(self, seconds: float) -> list[Trial]:
        """Return the trials that some workers may not take, and nobody has run for ``seconds``."""
        last_change = {"$lte": ["$refresh_time", from_now(-seconds)]}
        which = {
            "$and": [
                {"$or": [{"state": int(Status.NEW)}, LEASE_IS_OVER]},
                {"$expr": last_change},
            ],
            "excluded.0": {"$exists": True},
            "refresh_time": {"$type": "date"},
        }
        with self._guard():
            documents = list(self._jobs.find(which))
        return [Trial.from_document(document) for document in documents]

    def waiting_for_others(
        self, objectives: Iterable[str], study: str | None
    ) -> list[tuple[str, str, int]]:
        """Return how many trials wait for other objectives than these: study, objective, count.

        A job of hyperopt's has its experiment in place of a study. If one is named, only its trials
        count.
        """
        which: _Document = {
            "state": int(Status.NEW),
            "misc.cmd": {"$nin": [command(name) for name in objectives]},
            **_OURS,
        }
        if study is not None:
            which.update(_of(experiment_keys(study)))
        same = {"exp_key": "$exp_key", "misc": {"cmd": "$misc.cmd"}}
        with self._guard():
            groups = list(
                self._jobs.aggregate(
                    [{"$match": which}, {"$group": {"_id": same, "count": {"$sum": 1}}}]
                )
            )
        found: Counter[tuple[str, str]] = Counter()
        for group in groups:
            trial = Trial.from_document({"_id": None, **group["_id"]})
            if trial.objective is not None:
                found[trial.study, trial.objective] += group["count"]
        return [(study, objective, count) for (study, objective), count in sorted(found.items())]

    def keys(self) -> list[str]:
        """Return the keys of all experiments and studies that have trials; "" stands for no key."""
        with self._guard():
            keys = self._jobs.distinct("exp_key")
        return sorted({key or "" for key in keys if key is None or isinstance(key, str)})

    def has_jobs(self, exp_key: str | None) -> bool:
        """Return whether an experiment of hyperopt's has jobs with our fields."""
        with self._guard():
            return self._jobs.find_one({"exp_key": exp_key, **A_JOB}, {"_id": 1}) is not None

    def unfinished_jobs(self, exp_key: str | None) -> list[Trial]:
        """Return the jobs of hyperopt's experiment that wait or run, the oldest first."""
        states = {"$in": [int(Status.NEW), int(Status.RUNNING)]}
        with self._guard():
            jobs = self._jobs.find({"state": states, "exp_key": exp_key, **A_JOB})
            documents = list(jobs.sort("_id", ASCENDING))
        return [Trial.from_document(document) for document in documents]

    def cancel_requests(self, ids: Iterable[Any]) -> dict[Any, bool]:
        """Return for each of these trials that exists whether somebody asked for its end."""
        with self._guard():
            documents = self._jobs.find({"_id": {"$in": list(ids)}}, {"cancel_requested": 1})
            return {each["_id"]: each.get("cancel_requested") is True for each in documents}

    def referred_to(self, file_ids: Iterable[Any]) -> set[Any]:
        """Return those of these files that have a trial's weights, or an artifact of it."""
        with self._guard():
            return referred_to(self._jobs, ["artifact.file_id", "artifacts.file_id"], file_ids)


def _as_trials(documents: Iterable[_Document]) -> list[Trial]:
    """Return the trials of documents as they arrive."""
    with no_collection():
        return [Trial.from_document(document) for document in documents]


def _of(keys: Iterable[str]) -> _Document:
    """Return the condition of the trials of these experiment keys; "" stands for no key, too."""
    those: list[str | None] = list(keys)
    return {"exp_key": {"$in": [*those, None] if "" in those else those}}
