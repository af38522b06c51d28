"""Reading trials: every question about the ``jobs`` collection that changes nothing.

hyperopt's jobs live in that collection too, and may have a study's name as their key: documents
without our fields are neither listed nor counted.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping

from pymongo import ASCENDING

from hyperhive.store.server.mongo import Guard
from hyperhive.store.trial import Trial, experiment_key, experiment_keys
from hyperhive.store.updates import LEASE_IS_OVER

_Document = Dict[str, Any]

_OURS: _Document = {"fence": {"$type": "number"}}
A_STUDYS: _Document = {**_OURS, "misc.cmd.0": "objective"}
"""The condition of a study's trials: not hyperopt's jobs, which have our fields too."""

_IN_SHORT = {"spec": 0, "result.history": 0, "late.result": 0}
"""Omits most of a trial's bytes: its training history, and results that never counted."""


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
            found = self._jobs.find_one({"_id": trial_id, **_OURS})
        return None if found is None else Trial.from_document(found)

    def find(
        self, study: str, purpose: str | None = None, tids: Iterable[int] | None = None
    ) -> list[Trial]:
        """Return a study's trials, by tid: of one purpose if given, and only those ``tids``."""
        keys = experiment_keys(study) if purpose is None else [experiment_key(study, purpose)]
        which: _Document = {"exp_key": {"$in": keys}, **A_STUDYS}
        if tids is not None:
            which["tid"] = {"$in": list(tids)}
        with self._guard():
            found = list(self._jobs.find(which).sort("tid", ASCENDING))
        return [Trial.from_document(document) for document in found]

    def is_posted(self, study: str, purpose: str, tid: int) -> bool:
        """Return whether a trial is there, in whatever state."""
        which = {"exp_key": experiment_key(study, purpose), "tid": tid, **A_STUDYS}
        with self._guard():
            return self._jobs.find_one(which, {"_id": 1}) is not None

    def changed(self, above: Mapping[str, int], ids: Iterable[Any]) -> list[Trial]:
        """Return trials in short: those with these ids, and those posted since.

        That is one read, by indexes, for who watches studies of any size: it knows the others.
        A result's ``history`` is left out.

        Args:
            above: experiment keys, each with the tid that those posted since are above.
            ids: of the trials that are to be looked at again.
        """
        since = [{"exp_key": key, "tid": {"$gt": tid}} for key, tid in above.items()]
        which = {"$or": [{"_id": {"$in": list(ids)}}, *since], **A_STUDYS}
        with self._guard():
            return [Trial.from_document(found) for found in self._jobs.find(which, _IN_SHORT)]

    def versions(self, studies: Iterable[str]) -> dict[Any, Any]:
        """Return the version of every trial of these studies, by the trial's id."""
        keys = [key for study in studies for key in experiment_keys(study)]
        which = {"exp_key": {"$in": keys}, **A_STUDYS}
        with self._guard():
            found = self._jobs.find(which, {"version": 1})
            return {document["_id"]: document.get("version") for document in found}

    def overdue(self) -> list[Trial]:
        """Return the trials of all studies whose lease is over, by the server's clock."""
        with self._guard():
            found = list(self._jobs.find(LEASE_IS_OVER))
        return [Trial.from_document(document) for document in found]

    def refers_to(self, file_id: Any) -> bool:
        """Return whether a finished trial's weights lie in that file."""
        with self._guard():
            found = self._jobs.find_one({"artifact.file_id": file_id}, {"_id": 1})
        return found is not None
