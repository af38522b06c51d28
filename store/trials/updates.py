"""The building blocks of a trial's transitions: new documents, conditions, and changes.

Changes are parts of an aggregation pipeline, in which ``$$NOW`` is the server's time.
``store/trials/queue.py`` puts them together.
"""

from __future__ import annotations

import itertools
import uuid
from dataclasses import asdict
from datetime import datetime
from typing import Any, Dict, Mapping, Sequence

from pymongo import ASCENDING

from hyperhive.common.text import storable
from hyperhive.common.values import numbers
from hyperhive.store.trials.attempts import before_this_claim
from hyperhive.store.trials.draft import NO_PRUNER, Draft, Goal
from hyperhive.store.trials.terms import (
    LOST_KINDS,
    ErrorKind,
    Status,
    command,
    experiment_key,
    experiment_keys,
)

_Document = Dict[str, Any]

RETRY_BACKOFF_LIMIT_S = 60
"""A failed attempt waits 2, 4, 8 ... seconds for the next one, but never longer than this."""

LONGEST_MESSAGE = 4000
"""Characters of an error's text. An assertion may quote a whole data set."""

CURVE_POINTS = 60
"""The most reports that are kept of a trial that runs."""

_POINT_NUMBERS = 10

RISE: _Document = {"$add": ["$version", 1]}
"""``version`` as it is after a transition."""

CHANGES_HANDS: _Document = {
    "fence": {"$add": ["$fence", 1]},
    "refresh_time": "$$NOW",
    "version": RISE,
}
"""The changes that make every earlier claim and copy of the trial void."""

REFUNDED: _Document = {"attempts": {"$subtract": ["$attempts", 1]}, "version": RISE}
"""The changes that take back the charge of an attempt."""

LEASE_IS_OVER: _Document = {
    "state": int(Status.RUNNING),
    "lease_until": {"$type": "date"},
    "$expr": {"$lte": ["$lease_until", "$$NOW"]},
}
"""The condition of running trials whose lease is over, by the server's clock."""

UNENDED: _Document = {"state": {"$in": [int(Status.NEW), int(Status.RUNNING)]}}

TAKES_RESULT: _Document = {
    "$or": [UNENDED, {"state": int(Status.ERROR), "error.kind": {"$in": list(LOST_KINDS)}}]
}
"""The condition of trials in which a result would count."""

OLDEST_FIRST = ("_id", ASCENDING)


def new_token() -> str:
    """Return a token for one claim; the client makes it, so it can ask what became of the claim."""
    return uuid.uuid4().hex


def new_document(draft: Draft) -> _Document:
    """Return a NEW trial: the fields of hyperopt's schema (``hyperopt.base.Trials``) and ours."""
    values = {label: [] if value is None else [value] for label, value in draft.vals.items()}
    also: _Document = {} if draft.goal == Goal() else {"goal": asdict(draft.goal)}
    if draft.pruner != NO_PRUNER:
        also["pruner"] = draft.pruner
    if draft.seed is not None:
        also["seed"] = draft.seed
    return {
        "tid": draft.tid,
        "exp_key": experiment_key(draft.study, draft.purpose),
        "state": int(Status.NEW),
        "spec": None,
        "result": {"status": "new"},
        "misc": {
            "tid": draft.tid,
            "cmd": command(draft.objective),
            "idxs": {label: [draft.tid] * len(value) for label, value in values.items()},
            "vals": values,
            **also,
        },
        "owner": None,
        "version": 0,
        "book_time": None,
        "refresh_time": None,
        "config": dict(draft.config),
        "cost": draft.cost,
        **new_life(draft.max_attempts),
    }


def ended_document(
    draft: Draft,
    result: Mapping[str, Any] | None,
    error: Mapping[str, Any] | None,
    booked: datetime | None,
    refreshed: datetime | None,
    owner: str | None,
) -> _Document:
    """Return a trial that has ended elsewhere: see ``TrialQueue.insert_ended``."""
    document = new_document(draft)
    document["misc"]["imported"] = True
    document.update(version=1, fence=1, owner=owner, book_time=booked, refresh_time=refreshed)
    if result is not None and error is None:
        # hyperopt reads the status of every trial that is done.
        return {**document, "state": int(Status.DONE), "result": {"status": "ok", **result}}
    if error is not None and result is None:
        kind, message = ErrorKind(error["kind"]), storable(error["message"], LONGEST_MESSAGE)
        failure = {"kind": kind.value, "message": message}
        return {**document, "state": int(Status.ERROR), "error": failure}
    raise ValueError("a trial that has ended has either a result or an error")


def new_life(max_attempts: int = 3) -> _Document:
    """Return the fields that the transitions need and hyperopt's schema does not have."""
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
        "artifacts": [],
        "rungs": None,
        "progress": None,
        "curve": None,
        "pace": None,
        "copy": None,
    }


def claimable(worker: str, objectives: Sequence[str], study: str | None) -> _Document:
    """Return the condition of trials that a worker may claim, of one study if it is named."""
    which: _Document = {
        "misc.cmd": {"$in": [command(name) for name in objectives]},
        **up_for_claiming(worker),
    }
    if study is not None:
        which["exp_key"] = {"$in": experiment_keys(study)}
    return which


def up_for_claiming(worker: Any) -> _Document:
    """Return the condition of trials that this worker may claim: waiting, or with a lease over."""
    return {
        "excluded": {"$ne": worker},
        "cancel_requested": False,
        "$expr": {"$lt": ["$attempts", "$max_attempts"]},
        "$or": [
            {"state": int(Status.NEW), "$expr": {"$lte": ["$not_before", "$$NOW"]}},
            LEASE_IS_OVER,
        ],
    }


def claimed_by(
    worker: Any, token: str | _Document, lease: float, pace: float | None = None
) -> _Document:
    """Return the changes that a claim makes; ``pace`` is seconds per unit of cost.

    Here and below ``token`` may be an expression, see ``each_its_own``.
    """
    claimed = {**issued(worker, token), "before": before_this_claim()}
    return {
        "state": int(Status.RUNNING),
        "token": _expression(token),
        "owner": literal(worker),
        "attempts": {"$add": ["$attempts", 1]},
        "issued": {"$concatArrays": ["$issued", [claimed]]},
        "lease_until": from_now(lease),
        "book_time": "$$NOW",
        "progress": None,
        "curve": None,
        "pace": pace,
        "rungs": None,
        **CHANGES_HANDS,
    }


def issued(worker: Any, token: str | _Document) -> _Document:
    """Return the entry of ``issued`` for a token that a worker was given."""
    return {"token": _expression(token), "worker": literal(worker), "at": "$$NOW"}


def finished_by(
    token: str | _Document,
    result: _Document,
    artifact: Mapping[str, Any] | None = None,
    artifacts: Sequence[Mapping[str, Any]] = (),
) -> _Document:
    """Return the changes that a result makes; the owner becomes the worker that had the token.

    ``result`` is an expression.
    """
    is_the_winner = {"$eq": ["$$this.token", _expression(token)]}
    winner = {
        "input": "$issued",
        "initialValue": "$owner",
        "in": {"$cond": [is_the_winner, "$$this.worker", "$$value"]},
    }
    return {
        "state": int(Status.DONE),
        "winner": _expression(token),
        "owner": {"$reduce": winner},
        "result": result,
        "artifact": literal(artifact),
        "artifacts": literal(list(artifacts)),
        "error": None,
        "curve": None,  # the result has its own history
        "lease_until": None,
        **CHANGES_HANDS,
    }


def reported(progress: Mapping[str, Any] | None) -> _Document:
    """Return the changes that a holder's heartbeat makes, beside those of the lease.

    ``curve`` has the numbers of each progress that differs from the one before. Every second is
    forgotten once there are ``CURVE_POINTS``, so that it stays a few kilobytes.
    """
    point = dict(itertools.islice(numbers(progress).items(), _POINT_NUMBERS))
    # Any worker may have written anything there, and the server would refuse the whole update.
    known = {"$cond": [{"$isArray": ["$curve"]}, "$curve", []]}
    every_second = {
        "input": {"$range": [0, {"$size": known}, 2]},
        "in": {"$arrayElemAt": [known, "$$this"]},
    }
    kept = {"$cond": [{"$lt": [{"$size": known}, CURVE_POINTS]}, known, {"$map": every_second}]}
    is_new = {"$ne": ["$progress", literal(progress)]}
    longer = {"$cond": [is_new, {"$concatArrays": [kept, [literal(point)]]}, "$curve"]}
    return {"progress": literal(progress), **({"curve": longer} if point else {})}


def at_rung(rung: str, loss: float) -> _Document:
    """Return the changes that keep a loss, by which others may be pruned, under a rung's name."""
    # Any worker may have written anything there, and the server would refuse the whole update.
    known = {"$cond": [{"$eq": [{"$type": "$rungs"}, "object"]}, "$rungs", {}]}
    return {"rungs": {"$mergeObjects": [known, literal({rung: loss})]}, "version": RISE}


def with_late_result(token: str, result: Mapping[str, Any]) -> _Document:
    """Return the changes that keep a result that does not count."""
    entry = {"token": literal(token), "at": "$$NOW", "result": literal(result)}
    return {"late": {"$concatArrays": ["$late", [entry]]}, "version": RISE}


def failed(kind: ErrorKind, message: str) -> _Document:
    """Return the changes that a failure makes: back to NEW after a back-off, or ERROR.

    It is ERROR if no attempt is left, or if no other worker could do better.
    """
    is_hopeless = kind is not ErrorKind.OBJECTIVE
    ends: Any = True if is_hopeless else {"$gte": ["$attempts", "$max_attempts"]}
    seconds = {"$min": [RETRY_BACKOFF_LIMIT_S, {"$pow": [2, "$attempts"]}]}
    return {
        "state": {"$cond": [ends, int(Status.ERROR), int(Status.NEW)]},
        "error": error_of(kind, message),
        "owner": {"$cond": [ends, "$owner", None]},
        "token": None,
        "lease_until": None,
        "not_before": {"$add": ["$$NOW", {"$multiply": [1000, seconds]}]},
        **CHANGES_HANDS,
    }


def returned() -> _Document:
    """Return the changes that make a trial wait again, at once."""
    return {
        "state": int(Status.NEW),
        "owner": None,
        "token": None,
        "lease_until": None,
        "not_before": "$$NOW",
        **CHANGES_HANDS,
    }


def excluding(worker_field: str) -> _Document:
    """Return the changes that keep the trial from the worker that a field names."""
    return {"excluded": {"$setUnion": ["$excluded", ["$" + worker_field]]}}


def ended(kind: ErrorKind, message: str) -> _Document:
    """Return the changes that end a trial without a result."""
    return {
        "state": int(Status.ERROR),
        "error": error_of(kind, message),
        "lease_until": None,
        **CHANGES_HANDS,
    }


def asked_to_end() -> _Document:
    """Return the changes that end a waiting trial and flag a running one."""
    is_waiting = {"$eq": ["$state", int(Status.NEW)]}
    changes = either(is_waiting, ended(ErrorKind.CANCELLED, "cancelled"), {})
    return {**changes, "cancel_requested": True, "version": RISE}


def error_of(kind: ErrorKind, message: str) -> _Document:
    """Return the field ``error``: why a trial ended, or why its last attempt did.

    The text comes from whatever failed, so it is cut and made fit for the database.
    """
    return {"kind": kind.value, "message": literal(storable(message, LONGEST_MESSAGE))}


def either(condition: _Document, changes: _Document, otherwise: _Document) -> _Document:
    """Return ``changes`` where the condition holds for a document, else ``otherwise``."""
    return {
        name: {"$cond": [condition, changes.get(name, "$" + name), otherwise.get(name, "$" + name)]}
        for name in {**changes, **otherwise}
    }


def from_now(seconds: float) -> _Document:
    """Return the server's time in ``seconds`` from now."""
    return {"$add": ["$$NOW", round(seconds * 1000)]}


def literal(value: Any) -> _Document:
    """Return a value that the server does not evaluate: text may start with ``$``."""
    return {"$literal": value}


def each_its_own(ids: Sequence[Any], values: Sequence[Any]) -> _Document:
    """Return the expression that has, in the document of the n-th id, the n-th value.

    So one update of many documents gives each its own value. It has a wrong one in a document of
    none of these ids.
    """
    return {"$arrayElemAt": [literal(values), {"$indexOfArray": [literal(ids), "$_id"]}]}


def _expression(token: str | _Document) -> _Document:
    return literal(token) if isinstance(token, str) else token
