"""Every transition of a trial. Nobody else writes to the ``jobs`` collection.

Ownership. A claim is a ``token``, made by the client that claims, and a ``fence`` that rises with
each change of hands. Whoever holds a trial passes back the Trial that ``claim`` returned; a
transition that finds another token or fence in the store changes nothing and raises ``LeaseLost``.
``finish`` alone looks only at whether its token was ever issued: a result is worth having from
whoever got it first, and the first to deliver is the ``winner``. A finished trial is immutable.

Copies. An idle worker may run a trial a second time, beside its holder: the first result counts. A
copy has a token of its own, issued as a claim's is, and is charged as an attempt. It takes nothing
from the holder. The lease is the trial's: either of the two keeps it, and it is over when both are
gone. A holder that gives up hands the trial to its copy, if there is one. A copy notes the fence of
its holder and is void as soon as that rises, so nothing else has to end it; the Trial that its
worker has names the fence that comes next, under which it would be the holder. One that is silent
for a lease is given up: another may take its place, and until then it may come back. A worker
copies a trial once, so that one which cannot run it does not try for ever.

Each transition is one update of one document, with an aggregation pipeline, so it happens whole or
not at all, on a stand-alone server too. All time in it is the server's (``$$NOW``): a device's
clock may be decades off. ``version`` rises with each transition and not with a heartbeat.

hyperopt's jobs live in this collection too. Those that ``store/hyperopt/`` posts have our fields
and this life; it alone writes here besides, where hyperopt's own API does not ask who holds a job.
Documents that lack our fields are neither claimed nor ended, neither listed nor counted. Those with
rubbish in them (``hyperhive.store.job_schema``) are changed by no transition.

An update whose reply got lost raises ``StoreUnavailable``; it may have happened. Calling again is
safe for ``post``, ``finish``, ``cancel`` and ``expire``; after ``claim`` and ``copy``, ask
``claimed``.
"""

from __future__ import annotations

import uuid
from typing import Any, Dict, Mapping, Sequence

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from hyperhive.store.errors import LeaseLost
from hyperhive.store.job_schema import CAN_LIVE
from hyperhive.store.server.mongo import Guard
from hyperhive.store.trial import (
    Draft,
    ErrorKind,
    Status,
    Trial,
    command,
    experiment_key,
    experiment_keys,
)
from hyperhive.store.trials import A_STUDYS
from hyperhive.store.updates import (
    IS_COPIED,
    LEASE_IS_OVER,
    RISE,
    asked_to_end,
    claim_by,
    end,
    ends_later_than,
    error_of,
    extended,
    from_now,
    issued,
    literal,
    new_document,
    one_of,
    renewed,
    to_the_copy,
    up_for_claiming,
)

DEFAULT_LEASE_S = 60.0
RETRY_BACKOFF_LIMIT_S = 60
"""A failed attempt waits 2, 4, 8 ... seconds, at most this long."""

_Document = Dict[str, Any]
_UNFINISHED = {"state": {"$in": [int(Status.NEW), int(Status.RUNNING)]}, **A_STUDYS}

_REFUNDED: _Document = {"attempts": {"$subtract": ["$attempts", 1]}, "version": RISE}


def new_token() -> str:
    """Return a token for one claim; the client makes it, so that it can ask what became of it."""
    return uuid.uuid4().hex


class TrialQueue:
    """The trials of a database and their transitions.

    Every method raises ``StoreUnavailable`` when the server does not answer.
    """

    def __init__(self, database: Any, guard: Guard) -> None:
        self._jobs = database["jobs"]
        self._guard = guard

    def ensure_indexes(self) -> None:
        """Make the unique index on ``(exp_key, tid)`` and those that claims and sweeps use."""
        with self._guard():
            self._jobs.create_index([("exp_key", ASCENDING), ("tid", ASCENDING)], unique=True)
            self._jobs.create_index([("state", ASCENDING), ("_id", ASCENDING)])
            self._jobs.create_index([("issued.token", ASCENDING)])
            self._jobs.create_index([("artifact.file_id", ASCENDING)], sparse=True)

    # -- transitions ----------------------------------------------------------------------------

    def post(self, draft: Draft) -> bool:
        """Insert a trial as NEW; return False if its ``(exp_key, tid)`` is there already."""
        with self._guard():
            try:
                self._jobs.insert_one(new_document(draft))
            except DuplicateKeyError:
                return False
        return True

    def claim(
        self,
        worker: str,
        token: str,
        objectives: Sequence[str],
        study: str | None = None,
        lease: float = DEFAULT_LEASE_S,
        longest: bool | None = None,
        pace: float | None = None,
    ) -> Trial | None:
        """Take the oldest trial that waits, or whose lease is over, for ``lease`` seconds.

        The attempt is charged here, so that a trial that kills its worker ends after
        ``max_attempts``. Only trials whose objective is in ``objectives`` are taken, of one study
        if one is named, and none that excludes this worker. None means nothing is to be had now.
        ``longest`` prefers the trial of the highest cost if true, of the lowest if false. ``pace``
        is how many seconds a unit of cost takes this worker, if it knows.
        """
        which: _Document = {
            "misc.cmd": {"$in": [command(name) for name in objectives]},
            **up_for_claiming(worker),
        }
        if study is not None:
            which["exp_key"] = {"$in": experiment_keys(study)}
        order = [] if longest is None else [("cost", DESCENDING if longest else ASCENDING)]
        oldest = ("_id", ASCENDING)
        return self._update(which, claim_by(worker, token, lease, pace), sort=[*order, oldest])

    def copy(
        self,
        worker: str,
        token: str,
        objectives: Sequence[str],
        study: str,
        seconds_per_unit: float,
        lease: float = DEFAULT_LEASE_S,
    ) -> Trial | None:
        """Begin a second run of the longest trial of a study whose holder will clearly end later.

        One copy a trial at a time, one a worker, and an attempt is charged for it. How long the
        holder still takes is estimated from how much it last said was done (``progress.done``)
        and from its pace; this worker is expected to take ``seconds_per_unit`` for each unit of
        the trial's cost.
        None means that no trial is worth it. The Trial is to be passed back to the transitions as
        one that was claimed.
        """
        which: _Document = {
            "exp_key": {"$in": experiment_keys(study)},
            "misc.cmd": {"$in": [command(name) for name in objectives]},
            "state": int(Status.RUNNING),
            "cost": {"$gt": 0},
            "owner": {"$ne": worker},
            "excluded": {"$ne": worker},
            "issued": {"$not": {"$elemMatch": {"worker": worker, "copy": True}}},
            "cancel_requested": False,
            "$expr": {
                "$and": [
                    {"$lt": ["$attempts", "$max_attempts"]},
                    {"$gt": ["$lease_until", "$$NOW"]},
                    {"$not": [IS_COPIED]},
                    ends_later_than(1000 * seconds_per_unit),
                ]
            },
        }
        entry = {**issued(worker, token), "copy": True}
        copied = {
            "copy": {
                "token": literal(token),
                "worker": literal(worker),
                "fence": "$fence",
                "progress": None,
                "until": from_now(lease),
            },
            "attempts": {"$add": ["$attempts", 1]},
            "issued": {"$concatArrays": ["$issued", [entry]]},
            "lease_until": extended(lease),
            "version": RISE,
        }
        longest_first = [("cost", DESCENDING), ("_id", ASCENDING)]
        trial = self._update(which, copied, sort=longest_first)
        return None if trial is None else trial.as_copied(token)

    def claimed(self, token: str) -> Trial | None:
        """Return the trial that a claim or copy took whose reply was lost; None if it took none."""
        with self._guard():
            found = self._jobs.find_one({"issued.token": token, "state": int(Status.RUNNING)})
        trial = None if found is None else Trial.from_document(found).as_copied(token)
        return None if trial is None or trial.token != token else trial

    def heartbeat(
        self,
        trial: Trial,
        progress: Mapping[str, Any] | None = None,
        lease: float = DEFAULT_LEASE_S,
    ) -> Trial:
        """Extend the lease and store ``progress``; return the trial, where a cancel can be seen.

        An expired lease that nobody took is renewed: a laptop that slept goes on. Raises
        ``LeaseLost`` if the trial has changed hands or ended.
        """
        said = literal(progress)
        holds = {"lease_until": renewed(lease), "refresh_time": "$$NOW", "progress": said}
        goes_on = {"progress": said, "until": from_now(lease)}
        copies = {
            "lease_until": extended(lease),
            "copy": {"$mergeObjects": ["$copy", goes_on]},
        }
        return self._update_held(trial, holds, copies)

    def finish(
        self,
        trial_id: Any,
        token: str,
        result: Mapping[str, Any],
        artifact: Mapping[str, Any] | None = None,
    ) -> bool:
        """Deliver a result; return whether it is the one that counts.

        Takes the trial's id and token, not a Trial: the outbox delivers for processes long gone.
        Accepted from any token ever issued, while the trial has no result: also when the lease has
        passed to another, or the trial was given up as ``worker_lost``. Delivering again what was
        already accepted changes nothing and returns True. A result that comes after another's, or
        after a cancel, is kept under ``late`` and never counted. Raises ``LeaseLost`` if this token
        was never issued for this trial.
        """
        lost = {"state": int(Status.ERROR), "error.kind": ErrorKind.WORKER_LOST.value}
        which = {
            "_id": trial_id,
            "issued.token": token,
            "$or": [{"state": {"$in": [int(Status.NEW), int(Status.RUNNING)]}}, lost],
        }
        # The one who did it, not the one who holds it now.
        does_it_name = {"$eq": ["$$this.token", literal(token)]}
        winner = {
            "input": "$issued",
            "initialValue": "$owner",
            "in": {"$cond": [does_it_name, "$$this.worker", "$$value"]},
        }
        done = {
            "state": int(Status.DONE),
            "winner": literal(token),
            "owner": {"$reduce": winner},
            "result": literal(result),
            "artifact": literal(artifact),
            "error": None,
            "lease_until": None,
            "refresh_time": "$$NOW",
            "fence": {"$add": ["$fence", 1]},
            "version": RISE,
        }
        if self._update(which, done) is not None:
            return True
        return self._late(trial_id, token, result)

    def _late(self, trial_id: Any, token: str, result: Mapping[str, Any]) -> bool:
        """Keep a result that no longer counts; True if it is in truth the one that counts."""
        entry = {"token": literal(token), "at": "$$NOW", "result": literal(result)}
        which = {
            "_id": trial_id,
            "issued.token": token,
            "late.token": {"$ne": token},
            "winner": {"$ne": token},
        }
        kept = {"late": {"$concatArrays": ["$late", [entry]]}, "version": RISE}
        if self._update(which, kept) is not None:
            return False
        with self._guard():
            if self._jobs.count_documents({"_id": trial_id, "winner": token}, limit=1):
                return True
            if self._jobs.count_documents({"_id": trial_id, "late.token": token}, limit=1):
                return False
        raise LeaseLost("the result of a trial that was never claimed under this token")

    def fail(self, trial: Trial, kind: ErrorKind, message: str) -> Trial:
        """Report that the objective failed: another attempt after a back-off, or the end.

        It ends in ERROR when its attempts are used up, and at once when ``kind`` says that no
        worker could do better (``BAD_PAYLOAD``). If a copy runs, that is its other attempt. A copy
        that fails is over, its attempt refunded: the holder goes on as if there had been none.
        Raises ``LeaseLost`` if it is another's by now.
        """
        hopeless = kind is not ErrorKind.OBJECTIVE
        ends: Any = True if hopeless else {"$gte": ["$attempts", "$max_attempts"]}
        seconds = {"$min": [RETRY_BACKOFF_LIMIT_S, {"$pow": [2, "$attempts"]}]}
        failed = {
            "state": {"$cond": [ends, int(Status.ERROR), int(Status.NEW)]},
            "error": error_of(kind, message),
            "owner": {"$cond": [ends, "$owner", None]},
            "token": None,
            "lease_until": None,
            "refresh_time": "$$NOW",
            "not_before": {"$add": ["$$NOW", {"$multiply": [1000, seconds]}]},
            "fence": {"$add": ["$fence", 1]},
            "version": RISE,
        }
        if not hopeless:
            failed = one_of(IS_COPIED, {**to_the_copy(), "error": failed["error"]}, failed)
        return self._update_held(trial, failed, {"copy": None, **_REFUNDED})

    def give_back(self, trial: Trial, exclude: bool = False) -> Trial:
        """Hand the trial back unharmed, its attempt refunded: this worker stops, or cannot run it.

        It goes to the worker that runs a copy, if there is one. ``exclude`` keeps it from this
        worker: its device failed (out of memory, say), which says nothing about the
        hyperparameters. Raises ``LeaseLost`` if it is another's by now.
        """

        def excluding(whom: str) -> _Document:
            return {"excluded": {"$setUnion": ["$excluded", [whom]]}} if exclude else {}

        returned = {
            "state": int(Status.NEW),
            "owner": None,
            "token": None,
            "lease_until": None,
            "not_before": "$$NOW",
            "refresh_time": "$$NOW",
            "fence": {"$add": ["$fence", 1]},
        }
        return self._update_held(
            trial,
            {
                **one_of(IS_COPIED, to_the_copy(), returned),
                **excluding("$owner"),
                **_REFUNDED,
            },
            {"copy": None, **excluding("$copy.worker"), **_REFUNDED},
        )

    def expire(self) -> int:
        """End what the dead left: leases over with no attempt left, or whose cancel was asked.

        Returns how many trials ended. A lease that is over with attempts left needs no sweep: it
        is up for claiming as it stands.
        """
        used_up = {"$gte": ["$attempts", "$max_attempts"]}
        lost = {**LEASE_IS_OVER, "$and": [{"$expr": used_up}], "cancel_requested": False}
        message = "its workers vanished without a result"
        handed_back = {"state": int(Status.NEW)}  # in the moment between the asking and the seeing
        cancelled = {"$or": [LEASE_IS_OVER, handed_back], "cancel_requested": True}
        with self._guard():
            ended: int = self._jobs.update_many(
                {"$and": [lost, CAN_LIVE]}, [{"$set": end(ErrorKind.WORKER_LOST, message)}]
            ).modified_count
            ended += self._jobs.update_many(
                {"$and": [cancelled, CAN_LIVE]}, [{"$set": end(ErrorKind.CANCELLED, "cancelled")}]
            ).modified_count
        return ended

    def cancel(self, study: str, purpose: str, tid: int) -> Trial | None:
        """Ask for a trial's end: a waiting one ends now, a running one when its worker confirms.

        Returns the trial as it is afterwards; None if there is none or it had ended before.
        """
        return self._update(
            {"exp_key": experiment_key(study, purpose), "tid": tid, **_UNFINISHED}, asked_to_end()
        )

    def cancel_all(self, study: str) -> int:
        """Ask for the end of all unfinished trials of a study; return how many there were."""
        which = {"exp_key": {"$in": experiment_keys(study)}, **_UNFINISHED}
        unasked = {**which, "cancel_requested": False, **CAN_LIVE}
        with self._guard():
            asked: int = self._jobs.update_many(unasked, [{"$set": asked_to_end()}]).modified_count
        return asked

    def confirm_cancel(self, trial: Trial) -> Trial:
        """End a running trial whose cancel was asked; its worker calls this once it has stopped.

        So does the worker of its copy: whoever is first, the other finds the trial ended.
        """
        ended = end(ErrorKind.CANCELLED, "cancelled")
        return self._update_held(trial, ended, ended, {"cancel_requested": True})

    def delete_all(self, study: str) -> list[Any]:
        """Delete all trials of a study; return the ids of the files their weights lie in.

        A worker that holds one of them finds its lease lost.
        """
        which = {"exp_key": {"$in": experiment_keys(study)}, **A_STUDYS}
        with self._guard():
            # Of the kind that an id has: where weights lie is a worker's word.
            with_weights = {**which, "artifact.file_id": {"$type": "objectId"}}
            files = list(self._jobs.distinct("artifact.file_id", with_weights))
            self._jobs.delete_many(which)
        return files

    def drop_artifact(self, trial: Trial) -> Trial:
        """Forget where a finished trial's weights are; call it before the weights are deleted."""
        which = {"_id": trial.id, "state": int(Status.DONE), "winner": trial.winner}
        updated = self._update(which, {"artifact": None, "version": RISE})
        if updated is None:
            raise LeaseLost(f"trial {trial.tid} has no finished result to drop weights of")
        return updated

    # -- the two shapes of an update ------------------------------------------------------------

    def _update(
        self, which: _Document, changes: _Document, sort: list[Any] | None = None
    ) -> Trial | None:
        with self._guard():
            document = self._jobs.find_one_and_update(
                {"$and": [which, CAN_LIVE]},
                [{"$set": changes}],
                sort=sort,
                return_document=ReturnDocument.AFTER,
            )
        return None if document is None else Trial.from_document(document)

    def _update_held(
        self,
        trial: Trial,
        changes: _Document,
        changes_of_a_copy: _Document,
        also: _Document | None = None,
    ) -> Trial:
        """Update a trial that is held under ``trial``'s claim, or raise ``LeaseLost``.

        ``changes_of_a_copy`` are made instead if the claim is of a copy.
        """
        held = {
            "_id": trial.id,
            "state": int(Status.RUNNING),
            "$or": [
                {"fence": trial.fence, "token": trial.token},
                {"fence": trial.fence - 1, "copy.token": trial.token},
            ],
        }
        holds = {"$eq": ["$token", literal(trial.token)]}
        which, how = {**held, **(also or {})}, one_of(holds, changes, changes_of_a_copy)
        updated = self._update(which, how)
        if updated is None:
            raise LeaseLost(f"trial {trial.tid} is no longer this worker's")
        return updated
