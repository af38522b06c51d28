"""The attempts at a trial: who had it when, and how each ended, as far as the store knows.

A claim notes in its own entry of ``issued`` how the attempt before it ended, and when. The last
attempt ends with its trial, and so do its second copies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Dict, Mapping

from hyperhive.common.values import date, mapping, sequence, text
from hyperhive.store.trials.terms import Status

FAILED, LOST, RETURNED = "failed", "lost", "returned"
"""How an attempt ended without a result: its objective failed, its worker was not heard of until
the lease was over, or its worker handed it back, as one that stops or pauses does."""

_Document = Dict[str, Any]


@dataclass(frozen=True)
class Attempt:
    """One claim of a trial.

    Args:
        worker: the id of the worker; None if the document does not tell.
        began: the server's time.
        is_copy: whether it was a second copy, parallel to another attempt.
        ended: when it ended; None if it is not known, or has not.
        how: one of ``FAILED``, ``LOST``, ``RETURNED``; None of one that ended with its trial, and
            of one that a worker of an earlier version followed.
    """

    worker: str | None
    began: datetime
    is_copy: bool = False
    ended: datetime | None = None
    how: str | None = None


def before_this_claim() -> _Document:
    """Return the expression of what a claim notes of the attempt before it: nothing of the first.

    Of a trial whose worker was lost, ``lease_until`` is when it was given up. ``fail`` lets a trial
    wait for its next attempt, and a trial that is handed back waits for nothing.
    """
    failed = {"$gt": ["$not_before", "$refresh_time"]}
    waiting = {"at": "$refresh_time", "how": {"$cond": [failed, FAILED, RETURNED]}}
    lost = {"at": "$lease_until", "how": LOST}
    was_running = {"$eq": ["$state", int(Status.RUNNING)]}
    is_first = {"$eq": ["$issued", []]}
    return {"$cond": [is_first, "$$REMOVE", {"$cond": [was_running, lost, waiting]}]}


def attempts_of(document: Mapping[str, Any]) -> tuple[Attempt, ...]:
    """Return the attempts that a trial's document tells of, the earliest first.

    An attempt whose end nobody noted ended at the latest when the next one began.
    """
    entries = [mapping(each) for each in sequence(document.get("issued"))]
    found: list[Attempt] = []
    holder: int | None = None
    for entry in entries:
        began = date(entry.get("at"))
        if began is None:
            continue
        is_copy = bool(entry.get("copy"))
        if not is_copy:
            if holder is not None:
                before = mapping(entry.get("before"))
                ended = date(before.get("at")) or began
                how = text(before.get("how"))
                found[holder] = replace(found[holder], ended=ended, how=how)
            holder = len(found)
        found.append(Attempt(text(entry.get("worker")), began, is_copy))
    return tuple(found)
