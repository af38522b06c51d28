"""Transitions of many short trials in one request.

A trial that takes a millisecond must not cost four requests. Each trial still changes for itself,
by one atomic update under its own condition, with a token of its own: a request that the server
does not complete has changed some trials, and the others not at all.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any, Callable, Dict, Mapping, NamedTuple, Sequence

from hyperhive.store.trials import copies
from hyperhive.store.trials.job_schema import CAN_LIVE
from hyperhive.store.trials.terms import Status, command
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import (
    OLDEST_FIRST,
    TAKES_RESULT,
    claimable,
    claimed_by,
    each_its_own,
    finished_by,
)
from hyperhive.store.trials.writer import TrialWriter

_Document = Dict[str, Any]
_RUNNING = {"state": int(Status.RUNNING)}


class Kind(NamedTuple):
    """Which trials are expected to take as long as one another: see ``Trial.exp_key``."""

    exp_key: str
    objective: str | None

    @classmethod
    def of(cls, trial: Trial) -> Kind:
        """Return the kind of a trial."""
        return cls(trial.exp_key, trial.objective)


class ShortResult(NamedTuple):
    """A result without weights and files: its trial's id, its claim's token, what was found."""

    trial_id: Any
    token: str
    result: Mapping[str, Any]


class TrialBatches(TrialWriter):
    """The transitions of many trials at once."""

    def claim_batch(
        self,
        kind: Kind,
        worker: str,
        tokens: Sequence[str],
        objectives: Sequence[str],
        study: str | None,
        lease: float,
    ) -> list[Trial]:
        """Take the oldest trials, one for each token, as long as each is of this kind and new.

        A trial that was claimed before ends the row, because it may kill its worker: each trial of
        a batch is charged an attempt. So does one that has only one attempt, as another could cost
        it that, and one of another kind, because the oldest go first. A row of one is not taken:
        ``claim`` is cheaper. The other arguments are those of ``claim``.
        """
        which = {"$and": [claimable(worker, objectives, study), CAN_LIVE]}
        parts = ["exp_key", "misc.cmd", "state", "attempts", "max_attempts"]
        with self._guard():
            oldest = self._jobs.find(which, parts).sort(*OLDEST_FIRST).limit(len(tokens))
            row = [document["_id"] for document in takewhile(_may_join(kind), oldest)]
        if len(row) < 2:
            return []
        its_token = each_its_own(row, tokens[: len(row)])
        still = {"$and": [which, {"_id": {"$in": row}, "state": int(Status.NEW), "attempts": 0}]}
        if not self._update_many(still, claimed_by(worker, its_token, lease)):
            return []  # others took them all
        return self.claimed_batch(tokens[: len(row)])

    def claimed_batch(self, tokens: Sequence[str]) -> list[Trial]:
        """Return the trials that are held under these tokens: after a claim whose reply was lost.

        They are in the order of the tokens.
        """
        with self._guard():
            found = self._jobs.find({"issued.token": {"$in": list(tokens)}, **_RUNNING})
            trials = [Trial.from_document(document) for document in found]
        pairs = [(token, trial.as_copied(token)) for token in tokens for trial in trials]
        return [trial for token, trial in pairs if trial.token == token]

    def renew(self, trials: Sequence[Trial], lease: float) -> list[Trial]:
        """Extend the leases of trials as ``heartbeat`` does; return those that are still held.

        It is for claims, not for copies, and leaves ``progress`` as it is.
        """
        tokens = [trial.token for trial in trials]
        held = {"_id": {"$in": [trial.id for trial in trials]}, "token": {"$in": tokens}}
        beaten = {"lease_until": copies.renewed(lease), "refresh_time": "$$NOW"}
        self._update_many({**held, **_RUNNING}, beaten)
        with self._guard():
            return [Trial.from_document(each) for each in self._jobs.find({**held, **_RUNNING})]

    def finish_batch(self, results: Sequence[ShortResult]) -> bool:
        """Deliver results; return whether all of them were accepted now.

        If not, ``finish`` tells of each whether it counts, and is safe to repeat.
        """
        ids = [each.trial_id for each in results]
        tokens = [each.token for each in results]
        # A token was issued for one trial only, so a trial and its own token are found.
        which = {"_id": {"$in": ids}, "issued.token": {"$in": tokens}, **TAKES_RESULT}
        found = each_its_own(ids, [each.result for each in results])
        changes = finished_by(each_its_own(ids, tokens), found)
        return self._update_many(which, changes) == len(results)


def _may_join(kind: Kind) -> Callable[[Mapping[str, Any]], bool]:
    def may_join(document: Mapping[str, Any]) -> bool:
        found = document.get("exp_key"), document["misc"]["cmd"]
        never_claimed = (document["state"], document.get("attempts")) == (int(Status.NEW), 0)
        has_more_attempts = document["max_attempts"] > 1
        is_of_the_kind = found == (kind.exp_key, command(str(kind.objective)))
        return never_claimed and has_more_attempts and is_of_the_kind

    return may_join
