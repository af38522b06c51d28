"""What an update of a trial writes, as parts of the aggregation pipelines in ``store/queue.py``."""

from __future__ import annotations

from typing import Any, Dict

from hyperhive.store.trial import Draft, ErrorKind, Status, command, experiment_key

_Document = Dict[str, Any]

CLEARLY_LATER = 1.25
"""A copy must be expected to end its trial in four fifths of the time that its holder needs."""

LEASE_IS_OVER = {
    "state": int(Status.RUNNING),
    "lease_until": {"$type": "date"},
    "$expr": {"$lte": ["$lease_until", "$$NOW"]},
}
"""Which trials a worker holds no more, by the server's clock: it vanished."""

RISE: _Document = {"$add": ["$version", 1]}
"""``version`` as it is after a transition."""

IS_COPIED: _Document = {
    "$and": [{"$eq": ["$copy.fence", "$fence"]}, {"$gt": ["$copy.until", "$$NOW"]}]
}
"""Whether a copy runs now: one beside an earlier claim is void, one silent for a lease given up."""


def new_document(draft: Draft) -> _Document:
    """Return a NEW trial in hyperopt's schema (``hyperopt.base.Trials``) plus ours."""
    return {
        "tid": draft.tid,
        "exp_key": experiment_key(draft.study, draft.purpose),
        "state": int(Status.NEW),
        "spec": None,
        "result": {"status": "new"},
        "misc": {
            "tid": draft.tid,
            "cmd": command(draft.objective),
            "idxs": {label: [draft.tid] for label in draft.vals},
            "vals": {label: [value] for label, value in draft.vals.items()},
        },
        "owner": None,
        "version": 0,
        "book_time": None,
        "refresh_time": None,
        "config": dict(draft.config),
        "cost": draft.cost,
        **new_life(draft.max_attempts),
    }


def new_life(max_attempts: int = 3) -> _Document:
    """Return the fields by which a trial lives here, beside hyperopt's own and ``config``."""
    return {
        "fence": 0,
        "token": None,
        "issued": [],
        "lease_until": None,
        "attempts": 0,
        "max_attempts": max_attempts,
        "excluded": [],
        "not_before": None,
        "cancel_requested": False,
        "winner": None,
        "late": [],
        "error": None,
        "artifact": None,
        "progress": None,
        "pace": None,
        "copy": None,
    }


def up_for_claiming(worker: Any) -> _Document:
    """Return the condition of what this worker may claim: it waits, or its lease is over."""
    return {
        "excluded": {"$ne": worker},
        "cancel_requested": False,
        "$expr": {"$lt": ["$attempts", "$max_attempts"]},
        "$or": [
            {"state": int(Status.NEW), "$expr": {"$lte": ["$not_before", "$$NOW"]}},
            LEASE_IS_OVER,
        ],
    }


def claim_by(worker: Any, token: str, lease: float, pace: float | None = None) -> _Document:
    """Return the changes that a claim makes, for a pipeline."""
    return {
        "state": int(Status.RUNNING),
        "token": literal(token),
        "owner": literal(worker),
        "fence": {"$add": ["$fence", 1]},
        "attempts": {"$add": ["$attempts", 1]},
        "issued": {"$concatArrays": ["$issued", [issued(worker, token)]]},
        "lease_until": from_now(lease),
        "book_time": "$$NOW",
        "refresh_time": "$$NOW",
        "progress": None,
        "pace": pace,
        "version": RISE,
    }


def issued(worker: Any, token: str) -> _Document:
    """Return the note that a token was given to a worker."""
    return {"token": literal(token), "worker": literal(worker), "at": "$$NOW"}


def ends_later_than(ms_per_unit: float) -> _Document:
    """Return whether a trial's holder ends clearly later than a worker that starts it now.

    ``progress.done`` is how much of ``cost`` the holder has done, ``pace`` the seconds per unit of
    cost that it expected when it claimed the trial. The holder reports each finished unit, so at
    its last heartbeat (``refresh_time``) it was working on unit ``done + 1``: one unit takes it at
    least ``(refresh_time - book_time) / (done + 1)``. If ``done`` is missing, only ``pace`` counts.
    With the larger of both as the time per unit:

        left = time per unit * cost - (now - book_time)
    """
    cost, claimed_at, heard_at = _number("$cost"), _date("$book_time"), _date("$refresh_time")
    started_units = {"$max": [1, {"$add": [_number("$progress.done"), 1]}]}
    has_done = {"$in": [{"$type": "$progress.done"}, ["int", "long", "double"]]}
    observed = {"$divide": [{"$subtract": [heard_at, claimed_at]}, started_units]}
    expected = {"$multiply": [1000, _number("$pace")]}
    per_unit = {"$max": [{"$cond": [has_done, observed, 0]}, expected]}
    left = {"$subtract": [{"$multiply": [per_unit, cost]}, {"$subtract": ["$$NOW", claimed_at]}]}
    return {"$gte": [left, {"$multiply": [CLEARLY_LATER * ms_per_unit, cost]}]}


def _number(field: str) -> _Document:
    """Return a field that a stranger wrote as a number; 0 if it is none."""
    return {"$convert": {"input": field, "to": "double", "onError": 0, "onNull": 0}}


def _date(field: str) -> _Document:
    return {"$convert": {"input": field, "to": "date", "onError": None, "onNull": None}}


def one_of(condition: _Document, changes: _Document, otherwise: _Document) -> _Document:
    """Return the changes that are one or the other, by what holds of the document."""
    return {
        name: {"$cond": [condition, changes.get(name, "$" + name), otherwise.get(name, "$" + name)]}
        for name in {**changes, **otherwise}
    }


def to_the_copy() -> _Document:
    """Return the changes that make the worker of the copy the trial's holder."""
    return {
        "token": "$copy.token",
        "owner": "$copy.worker",
        "progress": "$copy.progress",
        "pace": None,
        "book_time": "$$NOW",
        "refresh_time": "$$NOW",
        "fence": {"$add": ["$fence", 1]},
        "version": RISE,
    }


def end(kind: ErrorKind, message: str) -> _Document:
    """Return the changes that end a trial without a result."""
    return {
        "state": int(Status.ERROR),
        "error": error_of(kind, message),
        "lease_until": None,
        "refresh_time": "$$NOW",
        "fence": {"$add": ["$fence", 1]},
        "version": RISE,
    }


def asked_to_end() -> _Document:
    """Return the changes that end a waiting trial, and flag a running one."""
    waiting = {"$eq": ["$state", int(Status.NEW)]}
    changes = one_of(waiting, end(ErrorKind.CANCELLED, "cancelled"), {})
    changes.update(cancel_requested=True, version=RISE)
    return changes


def error_of(kind: ErrorKind, message: str) -> _Document:
    """Return why a trial ended, or an attempt at it."""
    return {"kind": kind.value, "message": literal(message)}


def from_now(seconds: float) -> _Document:
    """Return the moment so many seconds from now."""
    return {"$add": ["$$NOW", round(seconds * 1000)]}


def extended(seconds: float) -> _Document:
    """Return when a lease is over that another keeps too: not sooner than that one has said."""
    return {"$max": ["$lease_until", from_now(seconds)]}


def renewed(seconds: float) -> _Document:
    """Return when its holder's lease is over.

    Without a copy that is what the holder says, so that no beat of a server's clock that was ahead
    lasts.
    """
    return {"$cond": [IS_COPIED, extended(seconds), from_now(seconds)]}


def literal(value: Any) -> _Document:
    """Keep a pipeline from reading a user's text that starts with ``$`` as a field."""
    return {"$literal": value}
