"""Reading trials: every query of the ``jobs`` collection that changes nothing.

hyperopt's jobs are in that collection too, and may have a study's name as their key. They are
neither listed nor counted as the study's trials.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping

from pymongo import ASCENDING

from hyperhive.store.server.client import Guard
from hyperhive.store.trial import (
    HYPEROPT,
    Status,
    Trial,
    command,
    experiment_key,
    experiment_keys,
)
from hyperhive.store.updates import LEASE_IS_OVER, from_now

_Document = Dict[str, Any]

_OURS: _Document = {"fence": {"$type": "number"}}
A_STUDYS: _Document = {**_OURS, "misc.cmd.0": "objective"}
"""The condition of trials of studies; hyperopt's jobs may have our fields too, but not this."""

A_JOB: _Document = {**_OURS, "misc.cmd.0": command(HYPEROPT)[0]}
"""The condition of hyperopt's jobs that have our fields."""

_IN_SHORT = {"spec": 0, "result.history": 0, "late.result": 0}
"""The projection without most of a trial's bytes: its history, and results that do not count."""


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

    def find(
        self, study: str, purpose: str | None = None, tids: Iterable[int] | None = None
    ) -> list[Trial]:
        """Return a study's trials by tid, only of one purpose and only these tids if given."""
        keys = experiment_keys(study) if purpose is None else [experiment_key(study, purpose)]
        which: _Document = {"exp_key": {"$in": keys}, **A_STUDYS}
        if tids is not None:
            which["tid"] = {"$in": list(tids)}
        with self._guard():
            documents = list(self._jobs.find(which).sort("tid", ASCENDING))
        return [Trial.from_document(document) for document in documents]

    def is_posted(self, study: str, purpose: str, tid: int) -> bool:
        """Return whether a trial was posted, whatever its state is now."""
        which = {"exp_key": experiment_key(study, purpose), "tid": tid, **A_STUDYS}
        with self._guard():
            return self._jobs.find_one(which, {"_id": 1}) is not None

    def changed(self, above: Mapping[str, int], ids: Iterable[Any]) -> list[Trial]:
        """Return new trials and those with these ids, without the ``history`` of their results.

        A viewer keeps the trials that it has read, so this one indexed read is enough to follow
        studies of any size.

        Args:
            above: for each experiment key, the tid above which trials are new.
            ids: of unfinished trials, to be read again.
        """
        since = [{"exp_key": key, "tid": {"$gt": tid}} for key, tid in above.items()]
        which = {"$or": [{"_id": {"$in": list(ids)}}, *since], **A_STUDYS}
        with self._guard():
            documents = self._jobs.find(which, _IN_SHORT)
            return [Trial.from_document(document) for document in documents]

    def versions(self, studies: Iterable[str]) -> dict[Any, Any]:
        """Return the version of every trial of these studies, by the trial's id."""
        keys = [key for study in studies for key in experiment_keys(study)]
        which = {"exp_key": {"$in": keys}, **A_STUDYS}
        with self._guard():
            documents = self._jobs.find(which, {"version": 1})
            return {document["_id"]: document.get("version") for document in documents}

    def overdue(self) -> list[Trial]:
        """Return the trials of all studies whose lease is over, by the server's clock."""
        with self._guard():
            documents = list(self._jobs.find(LEASE_IS_OVER))
        return [Trial.from_document(document) for document in documents]

    def kept_from_workers(self, seconds: float) -> list[Trial]:
        """Return the trials that nobody runs and some workers may not take, for ``seconds`` now."""
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

    def unfinished_jobs(self, exp_key: str | None) -> list[Trial]:
        """Return the jobs of hyperopt's experiment that wait or run, the oldest first."""
        states = {"$in": [int(Status.NEW), int(Status.RUNNING)]}
        with self._guard():
            documents = list(self._jobs.find({"state": states, "exp_key": exp_key, **A_JOB}))
        documents.sort(key=lambda document: str(document["_id"]))
        return [Trial.from_document(document) for document in documents]

    def cancel_requests(self, ids: Iterable[Any]) -> dict[Any, bool]:
        """Return for each of these trials that exists whether somebody asked for its end."""
        with self._guard():
            documents = self._jobs.find({"_id": {"$in": list(ids)}}, {"cancel_requested": 1})
            return {each["_id"]: each.get("cancel_requested") is True for each in documents}

    def refers_to(self, file_id: Any) -> bool:
        """Return whether a trial's weights are in this file."""
        with self._guard():
            return self._jobs.find_one({"artifact.file_id": file_id}, {"_id": 1}) is not None
