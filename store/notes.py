"""Notes that people write on a study, or on a trial of it. Coordinators write and remove them."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping

from pymongo import ASCENDING

from hyperhive.common.text import storable
from hyperhive.common.values import date, text
from hyperhive.store.server.client import Guard

LONGEST_NOTE = 2000
"""Characters of a note."""
MOST_NOTES = 1000
"""Notes of a study: a page that shows it reads all of them."""
NOTE_ID = re.compile(r"[A-Za-z0-9]{8,32}")
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Note:
    """What somebody wrote: on a trial of the search, by its number, or on the study if None.

    ``id`` tells it from the study's others; ``by`` says who wrote it, for people; ``at`` is the
    server's time.
    """

    id: str
    trial: int | None
    text: str
    by: str
    at: datetime


class Notes:
    """The notes of a database, by study, or by the ``exp_key`` of hyperopt's jobs."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._notes = database["notes"]
        self._guard = guard

    def ensure_indexes(self) -> None:
        """Make the index by which the notes of a study are found."""
        with self._guard():
            self._notes.create_index([("study", ASCENDING), ("at", ASCENDING)])

    def add(
        self,
        study: str,
        note_id: str,
        words: str,
        by: str,
        trial: int | None = None,
        at: datetime | None = None,
    ) -> None:
        """Keep a note, unless the study has one of this id; it can be repeated.

        Args:
            study: its name; whether there is one is not looked at.
            note_id: from ``new_note_id``.
            words: the text; of more than ``LONGEST_NOTE`` characters the rest is cut.
            by: who writes it.
            trial: the number of a trial; None for the study.
            at: when it was written elsewhere; None for now.
        """
        new = {
            "study": {"$literal": study},
            "note": {"$literal": note_id},
            "trial": trial,
            "text": {"$literal": storable(words, LONGEST_NOTE)},
            "by": {"$literal": storable(by, _LONGEST_NAME)},
            "at": at or "$$NOW",
        }
        keep_existing = [{"$replaceWith": {"$mergeObjects": [new, "$$ROOT"]}}]
        with self._guard():
            self._notes.update_one({"_id": f"{study}/{note_id}"}, keep_existing, upsert=True)

    def of(self, study: str) -> list[Note]:
        """Return the notes of a study, oldest first."""
        with self._guard():
            found = self._notes.find({"study": study}).sort("at").limit(MOST_NOTES)
            notes = [_from_document(document) for document in found]
        return [note for note in notes if note is not None]

    def mark(self) -> Any:
        """Return what differs once a note was added or removed: their number, the newest's time."""
        stages = [
            {"$sort": {"study": ASCENDING, "at": ASCENDING}},  # so that the index has all of it
            {"$group": {"_id": None, "notes": {"$sum": 1}, "newest": {"$max": "$at"}}},
        ]
        with self._guard():
            return next(self._notes.aggregate(stages), None)

    def remove(self, study: str, note_id: str) -> bool:
        """Delete a note; return whether there was one."""
        with self._guard():
            return bool(self._notes.delete_one({"study": study, "note": note_id}).deleted_count)

    def delete_all(self, study: str) -> None:
        """Delete the notes of a study; safe to repeat."""
        with self._guard():
            self._notes.delete_many({"study": study})


def new_note_id() -> str:
    """Return an id for a note: 8 characters, which a person can type, of 2**32."""
    return uuid.uuid4().hex[:8]


def _from_document(document: Mapping[str, Any]) -> Note | None:
    """Return a note; None for a document that is none."""
    note_id, words = text(document.get("note")), text(document.get("text"))
    at, trial = date(document.get("at")), document.get("trial")
    if note_id is None or words is None or at is None:
        return None
    of = trial if isinstance(trial, int) and not isinstance(trial, bool) else None
    return Note(note_id, of, words, text(document.get("by")) or "somebody", at)
