"""The shapes of every write to the ``jobs`` collection; ``store/trials/queue.py`` fills them."""

from __future__ import annotations

from typing import Any, Dict, Sequence

from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError

from hyperhive.store.errors import LeaseLost
from hyperhive.store.server.client import Guard
from hyperhive.store.trials.job_schema import CAN_LIVE
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import either, literal

_Document = Dict[str, Any]

_IS_THERE = 11000
"""The server's error code for a duplicate key."""


class TrialWriter:
    """Inserts trials, and changes those that meet a condition."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._jobs = database["jobs"]
        self._guard = guard

    def _insert(self, document: _Document) -> bool:
        """Insert a trial; return False if its ``(exp_key, tid)`` exists already."""
        with self._guard():
            try:
                self._jobs.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    def _insert_all(self, documents: Sequence[_Document]) -> list[_Document]:
        """Insert trials; return those whose ``(exp_key, tid)`` did not exist already."""
        with self._guard():
            try:
                self._jobs.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                found = error.details or {}
                codes = {each["code"] for each in found["writeErrors"]}
                if found.get("writeConcernErrors") or codes != {_IS_THERE}:
                    raise
                there = {each["index"] for each in found["writeErrors"]}
                return [each for at, each in enumerate(documents) if at not in there]
        return list(documents)

    def _update(
        self, which: _Document, changes: _Document, sort: list[Any] | None = None
    ) -> Trial | None:
        """Change one trial; return it as it is then, or None if no trial meets the condition."""
        with self._guard():
            document = self._jobs.find_one_and_update(
                {"$and": [which, CAN_LIVE]},
                [{"$set": changes}],
                sort=sort,
                return_document=ReturnDocument.AFTER,
            )
        return None if document is None else Trial.from_document(document)

    def _update_many(self, which: _Document, changes: _Document) -> int:
        """Change all trials that meet the condition; return how many."""
        with self._guard():
            updated = self._jobs.update_many({"$and": [which, CAN_LIVE]}, [{"$set": changes}])
        return int(updated.modified_count)

    def _update_held(
        self,
        trial: Trial,
        changes: _Document,
        changes_of_a_copy: _Document,
        also: _Document | None = None,
    ) -> Trial:
        """Change a trial that is still held under ``trial``'s claim; raise ``LeaseLost`` if not.

        If the claim is a copy's, ``changes_of_a_copy`` are made instead. ``also`` is one more
        condition.
        """
        held = {
            "_id": trial.id,
            "state": int(Status.RUNNING),
            # A copy's Trial names the fence that comes after its holder's: see ``copies``.
            "$or": [
                {"fence": trial.fence, "token": trial.token},
                {"fence": trial.fence - 1, "copy.token": trial.token},
            ],
            **(also or {}),
        }
        is_holder = {"$eq": ["$token", literal(trial.token)]}
        updated = self._update(held, either(is_holder, changes, changes_of_a_copy))
        if updated is None:
            raise LeaseLost(f"trial {trial.tid} is no longer this worker's")
        return updated
