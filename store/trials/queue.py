"""Every transition of a trial. Only ``TrialQueue`` and its bases write to the ``jobs`` collection.

docs/trials.md has the table of all transitions: conditions, effects, timing.

Ownership. A claim has a ``token``, made by the client that claims, and a ``fence``, which rises
with each change of hands. A worker keeps the ``Trial`` that ``claim`` returned and passes it back
with each transition. A transition that finds another token or fence in the store changes nothing
and raises ``LeaseLost``. Only ``finish`` accepts any token that was ever issued for the trial: a
result is valid no matter which worker computed it, and the first one delivered is the ``winner``.
The result of a finished trial never changes.

Atomicity. Each transition is one update of one document by an aggregation pipeline, so it happens
completely or not at all, also on a stand-alone server. A request may change many documents, each
for itself: see ``hyperhive.store.trials.batches``. All time in it is the server's (``$$NOW``): a
device's clock may be decades off. ``version`` rises with each transition but a heartbeat.

Lost replies. An update whose reply was lost raises ``StoreUnavailable``, and may have happened.
Calling again is safe for ``post``, ``cancel`` and their like, ``insert_ended``, ``finish``,
``expire``, ``give_up``, ``withdraw``, ``remove``, ``renew``, ``finish_batch`` and ``delete_all``;
after ``claim`` and ``copy``, ask ``claimed``; after ``claim_batch``, ``claimed_batch``.

Other documents. hyperopt's jobs live in this collection too. Those that ``store/hyperopt/`` posts
have our fields and this life; only that package also writes here, where hyperopt's own API does not
ask who holds a job. Documents without our fields are neither claimed nor ended, listed nor counted.
No transition changes a document whose bookkeeping fields are malformed
(``hyperhive.store.trials.job_schema``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, Iterable, Mapping, Sequence

from pymongo import ASCENDING, DESCENDING

from hyperhive.store.artifacts import file_ids
from hyperhive.store.errors import LeaseLost
from hyperhive.store.trials import copies
from hyperhive.store.trials.batches import TrialBatches
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.reader import A_JOB, A_STUDYS
from hyperhive.store.trials.terms import (
    SEARCH,
    TEACHER,
    ErrorKind,
    Status,
    experiment_key,
    experiment_keys,
)
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import (
    LEASE_IS_OVER,
    OLDEST_FIRST,
    REFUNDED,
    RISE,
    TAKES_RESULT,
    UNENDED,
    asked_to_end,
    at_rung,
    claimable,
    claimed_by,
    either,
    ended,
    ended_document,
    error_of,
    excluding,
    failed,
    finished_by,
    literal,
    new_document,
    reported,
    returned,
    with_late_result,
)

DEFAULT_LEASE_S = 60.0
"""Of callers that choose none. A worker chooses its own: ``worker/settings.py``, ``--lease``."""

_Document = Dict[str, Any]


class TrialQueue(TrialBatches):
    """The trials of a database and their transitions.

    Every method raises ``StoreUnavailable`` when the server does not answer.
    """

    def ensure_indexes(self) -> None:
        """Make the unique index on ``(exp_key, tid)`` and those that claims and sweeps use."""
        with self._guard():
            self._jobs.create_index([("exp_key", ASCENDING), ("tid", ASCENDING)], unique=True)
            self._jobs.create_index([("state", ASCENDING), ("_id", ASCENDING)])
            self._jobs.create_index([("issued.token", ASCENDING)])
            self._jobs.create_index([("artifact.file_id", ASCENDING)], sparse=True)
            self._jobs.create_index([("artifacts.file_id", ASCENDING)], sparse=True)

    # -- taking a trial -------------------------------------------------------------------------

    def post(self, draft: Draft) -> bool:
        """Insert a trial as NEW; return False if its ``(exp_key, tid)`` exists already."""
        return self._insert(new_document(draft))

    def post_all(self, drafts: Sequence[Draft]) -> list[Trial]:
        """Insert trials as NEW; return those whose ``(exp_key, tid)`` did not exist already.

        One that does exist keeps no other from being inserted. After a lost reply some may have
        been, in any order.
        """
        return [
            Trial.from_document(each) for each in self._insert_all([*map(new_document, drafts)])
        ]

    def insert_ended(
        self,
        draft: Draft,
        result: Mapping[str, Any] | None,
        error: Mapping[str, Any] | None,
        booked: datetime | None,
        refreshed: datetime | None,
        owner: str | None,
    ) -> bool:
        """Insert a trial that ended elsewhere; return False if its ``(exp_key, tid)`` exists.

        It is DONE with a ``result``, or in ERROR with an ``error``, whose ``kind`` is one of
        ``ErrorKind``; it never changes again. ``booked`` and ``refreshed`` say when it began and
        ended there, and ``owner`` who ran it; None where that is not known. Raises ``ValueError``
        for another error, and unless there is either a result or an error.
        """
        return self._insert(ended_document(draft, result, error, booked, refreshed, owner))

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

        Only trials whose objective is in ``objectives`` are taken, only of one study if it is
        named, and none that excludes this worker. None means that there is nothing to take now.
        The attempt is charged here, so a trial that kills its worker ends after ``max_attempts``.

        Args:
            token: of this claim, see ``new_token``.
            objectives: the names of the objectives that the worker can run.
            study: the only study to take from.
            lease: seconds.
            longest: take the trial of the highest cost if true, of the lowest if false, before an
                older one.
            pace: seconds that a unit of cost takes this worker, if it knows.
        """
        which = claimable(worker, objectives, study)
        by_cost = [] if longest is None else [("cost", DESCENDING if longest else ASCENDING)]
        changes = claimed_by(worker, token, lease, pace)
        return self._update(which, changes, sort=[*by_cost, OLDEST_FIRST])

    def copy(
        self,
        worker: str,
        token: str,
        objectives: Sequence[str],
        study: str,
        seconds_per_unit: float,
        lease: float = DEFAULT_LEASE_S,
    ) -> Trial | None:
        """Start a second run of the longest trial of a study whose holder will clearly end later.

        This worker is expected to take ``seconds_per_unit`` for each unit of a trial's cost;
        ``hyperhive.store.trials.copies`` estimates the holder's remaining time. None means that no
        trial is worth a copy. The other arguments are those of ``claim``, and the Trial is passed
        back to the transitions as a claimed one is.
        """
        which = copies.worth_a_copy(worker, study, objectives, seconds_per_unit)
        return self._copy(which, worker, token, lease)

    def copy_teacher(
        self,
        worker: str,
        token: str,
        objectives: Sequence[str],
        study: str | None,
        holders: Sequence[str],
        lease: float = DEFAULT_LEASE_S,
    ) -> Trial | None:
        """Start a second run of a teacher that one of these workers runs; see ``copy``."""
        which = copies.held_by(holders, worker, study, TEACHER, objectives)
        return self._copy(which, worker, token, lease)

    def _copy(self, which: _Document, worker: str, token: str, lease: float) -> Trial | None:
        changes = copies.copied_by(worker, token, lease)
        trial = self._update(which, changes, sort=[("cost", DESCENDING), OLDEST_FIRST])
        return None if trial is None else trial.as_copied(token)

    def claimed(self, token: str) -> Trial | None:
        """Return the trial that a claim or copy took whose reply was lost; None if it took none."""
        return next(iter(self.claimed_batch([token])), None)

    # -- running it -----------------------------------------------------------------------------

    def heartbeat(
        self,
        trial: Trial,
        progress: Mapping[str, Any] | None = None,
        lease: float = DEFAULT_LEASE_S,
    ) -> Trial:
        """Extend the lease and store ``progress``; return the trial, which shows a cancel request.

        A lease that is over is renewed if nobody took the trial: a laptop that slept goes on.
        Raises ``LeaseLost`` if the trial has changed hands or ended.
        """
        beaten = {
            "lease_until": copies.renewed(lease),
            "refresh_time": "$$NOW",
            **reported(progress),
        }
        return self._update_held(trial, beaten, copies.heard_of(progress, lease))

    def reach(self, trial: Trial, rung: str, loss: float) -> Trial:
        """Store the best loss that a trial had when it reached a rung: see ``worker/pruning``.

        The worker of its copy calls it too, and the last value stays. Raises ``LeaseLost`` if the
        trial is no longer this worker's.
        """
        changes = at_rung(rung, loss)
        return self._update_held(trial, changes, changes)

    def give_back(self, trial: Trial, device_error: str | None = None) -> Trial:
        """Hand the trial back and refund its attempt: this worker stops, or cannot run it.

        A running copy becomes the holder. ``device_error`` keeps the trial from this worker, and
        says how its device failed (out of memory, for example): that tells nothing about the
        hyperparameters. Raises ``LeaseLost`` if the trial is no longer this worker's.
        """
        handed_on = {**either(copies.IS_COPIED, copies.to_the_copy(), returned()), **REFUNDED}
        copy_ended = {**copies.ENDED, **REFUNDED}
        if device_error is not None:
            handed_on.update(excluding("owner"), error=error_of(ErrorKind.DEVICE, device_error))
            copy_ended.update(excluding("copy.worker"))
        return self._update_held(trial, handed_on, copy_ended)

    def fail(self, trial: Trial, kind: ErrorKind, message: str) -> Trial:
        """Report that the objective failed: another attempt after a back-off, or the end.

        The trial ends in ERROR when no attempt is left, and at once when ``kind`` says that no
        worker could do better (``BAD_PAYLOAD``). If a copy runs, it is the other attempt. A copy
        that fails is over and its attempt refunded: the holder goes on as if it had not existed.
        Raises ``LeaseLost`` if the trial is no longer this worker's.
        """
        changes = failed(kind, message)
        if kind is ErrorKind.OBJECTIVE:
            to_the_copy = {**copies.to_the_copy(), "error": error_of(kind, message)}
            changes = either(copies.IS_COPIED, to_the_copy, changes)
        return self._update_held(trial, changes, {**copies.ENDED, **REFUNDED})

    def confirm_cancel(self, trial: Trial) -> Trial:
        """End a running trial that was asked to end; its worker calls this once it has stopped.

        The worker of its copy calls it too: whichever comes second finds that the trial has ended.
        """
        cancelled = ended(ErrorKind.CANCELLED, "cancelled")
        return self._update_held(trial, cancelled, cancelled, {"cancel_requested": True})

    # -- its result -----------------------------------------------------------------------------

    def finish(
        self,
        trial_id: Any,
        token: str,
        result: Mapping[str, Any],
        artifact: Mapping[str, Any] | None = None,
        artifacts: Sequence[Mapping[str, Any]] = (),
    ) -> bool:
        """Deliver a result; return whether it is the one that counts.

        Takes the trial's id and token, not a Trial: an outbox delivers for processes that ended
        long ago. Any token that was ever issued is accepted while the trial has no result, even if
        the lease has passed to another worker or the trial was given up (``worker_lost``,
        ``device``). Delivering an accepted result again changes nothing and returns True. A result
        that comes after another's, or after a cancel, is kept under ``late`` and never counted.
        Raises ``LeaseLost`` if this token was never issued for this trial, or if the trial was
        deleted.

        ``artifact`` says where its weights are, ``artifacts`` where the files that it saved
        (``Artifact.as_document``). Those of a result that does not count become orphans.
        """
        which = {"_id": trial_id, "issued.token": token, **TAKES_RESULT}
        changes = finished_by(token, literal(result), artifact, artifacts)
        if self._update(which, changes) is not None:
            return True
        return self._late(trial_id, token, result)

    def _late(self, trial_id: Any, token: str, result: Mapping[str, Any]) -> bool:
        """Keep a result that was not accepted; return True if it counted when it came first."""
        which = {
            "_id": trial_id,
            "issued.token": token,
            "late.token": {"$ne": token},
            "winner": {"$ne": token},
        }
        if self._update(which, with_late_result(token, result)) is not None:
            return False
        with self._guard():  # it was delivered before, or its token was never issued
            if self._jobs.count_documents({"_id": trial_id, "winner": token}, limit=1):
                return True
            if self._jobs.count_documents({"_id": trial_id, "late.token": token}, limit=1):
                return False
        raise LeaseLost("a result was delivered for a trial that was never claimed under its token")

    def drop_files(self, trial: Trial) -> Trial:
        """Forget where a finished trial's weights and artifacts are, before they are deleted."""
        which = {"_id": trial.id, "state": int(Status.DONE), "winner": trial.winner}
        updated = self._update(which, {"artifact": None, "artifacts": [], "version": RISE})
        if updated is None:
            raise LeaseLost(f"trial {trial.tid} has no finished result whose files can be dropped")
        return updated

    # -- the end of many ------------------------------------------------------------------------

    def expire(self) -> int:
        """End the trials that dead workers left behind; return how many ended.

        These are trials whose lease is over and that have no attempt left, or were asked to end. A
        trial with attempts left needs no sweep: any worker may claim it as it is, or all of them
        have failed at it: see ``Store.sweep``.
        """
        used_up = {"$gte": ["$attempts", "$max_attempts"]}
        lost = {**LEASE_IS_OVER, "$and": [{"$expr": used_up}], "cancel_requested": False}
        # A holder that had not yet seen the request may have handed the trial back.
        handed_back = {"state": int(Status.NEW)}
        cancelled = {"$or": [LEASE_IS_OVER, handed_back], "cancel_requested": True}
        message = "its workers vanished without a result"
        return self._update_many(lost, ended(ErrorKind.WORKER_LOST, message)) + self._update_many(
            cancelled, ended(ErrorKind.CANCELLED, "cancelled")
        )

    def give_up(self, trial: Trial) -> bool:
        """End a trial that nobody runs, as one at which every worker here has failed.

        Nothing happens, and the answer is False, if the trial has changed since it was read.
        """
        last = (trial.error or {}).get("message", "no reason was given")
        message = f"every worker here failed at it, the last with: {last}"
        nobody_runs_it = [{"state": int(Status.NEW)}, LEASE_IS_OVER]
        which = {"_id": trial.id, "version": trial.version, "$or": nobody_runs_it}
        return self._update(which, ended(ErrorKind.DEVICE, message)) is not None

    def withdraw(self, trial: Trial, reason: str) -> bool:
        """End a trial that waits, because nobody waits for its result any longer.

        Nothing happens, and the answer is False, if the trial has changed since it was read.
        """
        last = (trial.error or {}).get("message")
        message = reason if last is None else f"{reason}; its last error: {last}"
        which = {"_id": trial.id, "version": trial.version, "state": int(Status.NEW)}
        return self._update(which, ended(ErrorKind.CANCELLED, message)) is not None

    def cancel_jobs(self, exp_key: str | None) -> int:
        """Do what ``cancel_all`` does, with the jobs of an experiment of hyperopt's."""
        return self._cancel({"exp_key": exp_key, **A_JOB})

    def cancel_all(self, study: str) -> int:
        """Ask for the end of all unfinished trials of a study; return how many there were.

        A waiting trial ends now, a running one when its worker confirms.
        """
        return self._cancel({"exp_key": {"$in": experiment_keys(study)}, **A_STUDYS})

    def cancel(self, study: str, tid: int) -> bool:
        """Ask for the end of one trial of a search; return False if it had ended, or was asked."""
        return bool(self._cancel({"exp_key": experiment_key(study), "tid": tid, **A_STUDYS}))

    def _cancel(self, which: _Document) -> int:
        return self._update_many({**UNENDED, "cancel_requested": False, **which}, asked_to_end())

    def remove(self, study: str, purpose: str = SEARCH, but: Iterable[int] = ()) -> int:
        """Delete a study's trials of a purpose that have not ended; return how many there were.

        A worker that holds one finds its lease lost. A result that was delivered before stays, and
        so do the trials with the tids ``but``.
        """
        which: _Document = {"exp_key": experiment_key(study, purpose), **UNENDED, **A_STUDYS}
        which["tid"] = {"$nin": list(but)}
        with self._guard():
            return int(self._jobs.delete_many(which).deleted_count)

    def delete_all(self, study: str) -> list[Any]:
        """Delete all trials of a study; return the ids of the files that they refer to.

        A worker that holds one of them finds its lease lost.
        """
        which = {"exp_key": {"$in": experiment_keys(study)}, **A_STUDYS}
        with self._guard():
            found = self._jobs.find(which, ["artifact.file_id", "artifacts.file_id"])
            files = {file for each in found for file in file_ids(Trial.from_document(each))}
            self._jobs.delete_many(which)
        return list(files)
