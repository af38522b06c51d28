"""Second copies of a trial: all that conditions and updates say about them.

Near the end of a study an idle worker may run a trial a second time, in parallel with the worker
that holds it. The first result counts. These rules keep a copy from doing harm:

- A copy has a token of its own, issued as a claim's token is, and is charged as an attempt. The
  holder's token, fence and progress stay as they are.
- The trial has one lease. Holder and copy both extend it, so it is over when both are gone. The
  copy also has a time limit of its own, ``copy.until``. A copy that is silent for that long is
  given up: another may start in its place. Until one does, its next heartbeat brings it back.
- A holder that gives up hands the trial to its running copy.
- A copy notes the fence of its holder. Any change of hands and any end raises the fence, and that
  makes the copy void; nothing else has to end it. The ``Trial`` that the copy's worker has names
  the next fence, the one under which it would be the holder.
- A worker copies a trial only once, so a worker that cannot run it does not try indefinitely.

``worth_a_copy`` is the rule of which trials may be copied, ``held_by`` that of a teacher, before
anybody's pace is known; ``worker/claiming.py`` decides when a worker asks for one.
``store/trials/queue.py`` has the transitions; docs/trials.md has the table of them.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence

from hyperhive.store.trials.terms import Status, command, experiment_key, experiment_keys
from hyperhive.store.trials.updates import CHANGES_HANDS, RISE, from_now, issued, literal

_Document = Dict[str, Any]

CLEARLY_LATER = 1.25
"""A copy is worth it if its holder is expected to need at least this many times as long."""

IS_COPIED: _Document = {
    "$and": [{"$eq": ["$copy.fence", "$fence"]}, {"$gt": ["$copy.until", "$$NOW"]}]
}
"""The expression for a running copy: of the present holder, and heard of within a lease."""

ENDED: _Document = {"copy": None}
"""The changes that end a copy and leave its holder alone."""


def worth_a_copy(
    worker: str, study: str, objectives: Sequence[str], seconds_per_unit: float
) -> _Document:
    """Return the condition of the trials that this worker may copy and would end clearly sooner.

    ``seconds_per_unit`` is the time that the worker expects per unit of a trial's cost.
    """
    may_copy = _may_copy(worker, objectives, _ends_later_than(1000 * seconds_per_unit))
    return {"exp_key": {"$in": experiment_keys(study)}, "cost": {"$gt": 0}, **may_copy}


def held_by(
    holders: Sequence[str], worker: str, study: str | None, purpose: str, objectives: Sequence[str]
) -> _Document:
    """Return the condition of the trials of one purpose that these hold and this worker may copy.

    They are of one study if it is named.
    """
    its: Any = {"$regex": f"/{purpose}$"} if study is None else experiment_key(study, purpose)
    which = {"exp_key": its, **_may_copy(worker, objectives)}
    return {"$and": [which, {"owner": {"$in": list(holders)}}]}


def _may_copy(worker: str, objectives: Sequence[str], *also: _Document) -> _Document:
    return {
        "misc.cmd": {"$in": [command(name) for name in objectives]},
        "state": int(Status.RUNNING),
        "owner": {"$ne": worker},
        "excluded": {"$ne": worker},
        "issued": {"$not": {"$elemMatch": {"worker": worker, "copy": True}}},
        "cancel_requested": False,
        "$expr": {
            "$and": [
                {"$lt": ["$attempts", "$max_attempts"]},
                {"$gt": ["$lease_until", "$$NOW"]},
                {"$not": [IS_COPIED]},
                *also,
            ]
        },
    }


def _ends_later_than(ms_per_unit: float) -> _Document:
    """Return whether a trial's holder ends clearly later than a worker that starts it now.

    ``progress.done`` is how much of ``cost`` the holder has done, ``pace`` the seconds per unit of
    cost that it expected when it claimed the trial. The holder reports each finished unit, so at
    its last heartbeat (``refresh_time``) it was working on unit ``done + 1``: one unit takes it at
    least ``(refresh_time - book_time) / (done + 1)``. If ``done`` is missing, only ``pace`` counts;
    if both are, the holder seems to end at once. With the larger of both as the time per unit:

        left = time per unit * cost - (now - book_time)
    """
    cost, claimed_at, heard_at = _number("$cost"), _date("$book_time"), _date("$refresh_time")
    started_units = {"$max": [1, {"$add": [_number("$progress.done"), 1]}]}
    has_done = {"$in": [{"$type": "$progress.done"}, ["int", "long", "double"]]}
    observed = {"$divide": [{"$subtract": [heard_at, claimed_at]}, started_units]}
    expected = {"$multiply": [1000, _number("$pace")]}
    per_unit = {"$max": [{"$cond": [has_done, observed, 0]}, expected]}
    elapsed = {"$subtract": ["$$NOW", claimed_at]}
    left = {"$subtract": [{"$multiply": [per_unit, cost]}, elapsed]}
    return {"$gte": [left, {"$multiply": [CLEARLY_LATER * ms_per_unit, cost]}]}


def _number(field: str) -> _Document:
    """Return a field as a number, 0 if it is not one: any worker may have written into it."""
    return {"$convert": {"input": field, "to": "double", "onError": 0, "onNull": 0}}


def _date(field: str) -> _Document:
    """Return a field as a date, null if it is not one."""
    return {"$convert": {"input": field, "to": "date", "onError": None, "onNull": None}}


def copied_by(worker: str, token: str, lease: float) -> _Document:
    """Return the changes that start a copy."""
    copy = {
        "token": literal(token),
        "worker": literal(worker),
        "fence": "$fence",
        "progress": None,
        "until": from_now(lease),
    }
    return {
        "copy": copy,
        "attempts": {"$add": ["$attempts", 1]},
        "issued": {"$concatArrays": ["$issued", [{**issued(worker, token), "copy": True}]]},
        "lease_until": extended(lease),
        "version": RISE,
    }


def heard_of(progress: Mapping[str, Any] | None, lease: float) -> _Document:
    """Return the changes that a heartbeat of a copy makes."""
    copy = {"progress": literal(progress), "until": from_now(lease)}
    return {"lease_until": extended(lease), "copy": {"$mergeObjects": ["$copy", copy]}}


def extended(seconds: float) -> _Document:
    """Return the end of a lease that another worker keeps too: never sooner than that one asked."""
    return {"$max": ["$lease_until", from_now(seconds)]}


def renewed(seconds: float) -> _Document:
    """Return the end of a lease that its holder renews.

    With no copy running, the lease ends exactly when this heartbeat says, so that a heartbeat that
    was stamped by a fast clock does not linger.
    """
    return {"$cond": [IS_COPIED, extended(seconds), from_now(seconds)]}


def to_the_copy() -> _Document:
    """Return the changes that make the worker of the copy the trial's holder."""
    return {
        "token": "$copy.token",
        "owner": "$copy.worker",
        "progress": "$copy.progress",
        "curve": None,
        "pace": None,
        "book_time": "$$NOW",
        **CHANGES_HANDS,
    }
