"""Which trial a worker takes.

In general a worker takes the oldest trial that waits, or several at once if they are short. But
once the last trial of a study's budget is posted, a slow device that takes a long trial keeps all
others waiting for it. From then on

- a fast device takes the longest trial that waits, a slow device the shortest;
- a device that finds no waiting trial begins a second copy of a running one, if it can finish that
  clearly sooner than the slower device that holds it. The first result counts
  (``store/trials/queue.py``).

A study's teacher comes first, when nobody's pace is known. A device with a GPU that finds no
waiting trial begins a second copy of a teacher that a device without one trains.

Each worker decides alone, from what is in the store: this works without a coordinator too.
"""

from __future__ import annotations

import contextlib
from typing import Any, Collection, Mapping

from hyperhive.common.values import number
from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH, TEACHER
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.store.workers import Pace
from hyperhive.worker.identity import Identity
from hyperhive.worker.running.times import Short

SLOW = 3.0
"""A device is slow if a unit of cost takes it more than this many times as long as the fastest."""


class Claimer:
    """Claims one trial after another for a worker.

    The reply to a claim may get lost with the connection. So the claimer keeps the claim's tokens
    until the caller says that it heard all it needs (``confirm``), and asks for the trials by those
    tokens before it claims others.

    Args:
        identity: the worker.
        objectives: the names of the objectives that it can run, asked for at each claim.
        lease: of each trial, in seconds.
        first_come: always take the oldest trial, and no second copies.
    """

    def __init__(
        self,
        identity: Identity,
        objectives: Collection[str],
        lease: float,
        first_come: bool = False,
    ) -> None:
        self._identity = identity
        self._objectives = objectives
        self._lease = lease
        self._first_come = first_come
        self._tokens: list[str] = []
        self.pace: Pace | None = None
        """How fast this worker is; None while that is unknown."""

    @property
    def may_hold_a_trial(self) -> bool:
        """Whether a trial may already be this worker's, under a claim that is not confirmed."""
        return bool(self._tokens)

    def next_trials(self, store: Store, short: Short | None = None) -> list[Trial]:
        """Claim a trial, or find what an unconfirmed claim took; an empty list if there is nothing.

        If ``short`` says that the next ones are, several may be claimed at once.
        """
        if self._tokens:
            trials = self._found_again(store)
        else:
            # They are kept if the claim raises: it may have happened.
            self._tokens = [new_token() for _ in range(short.most if short else 1)]
            trials = self._take(store, short)
        if not trials:
            self._tokens = []
        return trials

    def next_trial(self, store: Store) -> Trial | None:
        """Do what ``next_trials`` does, with one trial."""
        return next(iter(self.next_trials(store)), None)

    def confirm(self) -> None:
        """Forget the tokens of the last claim: its trials are in hand."""
        self._tokens = []

    def keep(self, *tokens: str) -> None:
        """Return to the trials of these tokens at the next call of ``next_trials``."""
        self._tokens += tokens

    def learn_pace(self, trial: Trial, progress: Mapping[str, Any], seconds: float) -> None:
        """Update ``pace`` from the progress of a run that has worked for ``seconds``.

        A teacher's tells nothing: it is another network than the study's trials train.
        """
        if trial.purpose != TEACHER:
            self.pace = pace_of(trial.study, progress, seconds) or self.pace

    def _found_again(self, store: Store) -> list[Trial]:
        """Return the trials that the tokens hold, and renew their leases: those may be over."""
        trials = []
        for trial in store.queue.claimed_batch(self._tokens):
            with contextlib.suppress(LeaseLost):
                store.queue.heartbeat(trial, lease=self._lease)
                trials.append(trial)
        return trials

    def _take(self, store: Store, short: Short | None) -> list[Trial]:
        pace, token = None if self._first_come else self.pace, self._tokens[0]
        if pace is None or not _is_near_end(store, pace.study):
            batch = self._claim_batch(store, short) if short else []
            first = batch or _those(self._claim(store, token, self._identity.study))
            return first or _those(self._copy_teacher(store, token))
        is_fast = _is_fast(store, self._identity, pace)
        return _those(
            self._claim(store, token, pace.study, is_fast, pace.seconds_per_unit)
            or self._claim(store, token, self._identity.study)
            or self._copy(store, token, pace)
        )

    def _claim_batch(self, store: Store, short: Short) -> list[Trial]:
        return store.queue.claim_batch(
            short.kind,
            self._identity.worker,
            self._tokens,
            sorted(self._objectives),
            self._identity.study,
            self._lease,
        )

    def _claim(
        self,
        store: Store,
        token: str,
        study: str | None,
        longest: bool | None = None,
        pace: float | None = None,
    ) -> Trial | None:
        return store.queue.claim(
            self._identity.worker,
            token,
            sorted(self._objectives),
            study,
            self._lease,
            longest,
            pace,
        )

    def _copy_teacher(self, store: Store, token: str) -> Trial | None:
        own = self._identity
        if self._first_come or _is_cpu(own.device):
            return None
        holders = [each.id for each in store.workers.present() if _is_cpu(each.device)]
        if not holders:
            return None
        return store.queue.copy_teacher(
            own.worker, token, sorted(self._objectives), own.study, holders, self._lease
        )

    def _copy(self, store: Store, token: str, pace: Pace) -> Trial | None:
        return store.queue.copy(
            self._identity.worker,
            token,
            sorted(self._objectives),
            pace.study,
            pace.seconds_per_unit,
            self._lease,
        )


def _is_cpu(device: str) -> bool:
    return device.partition(" ")[0] == "cpu"


def _those(trial: Trial | None) -> list[Trial]:
    return [] if trial is None else [trial]


def pace_of(study: str, progress: Mapping[str, Any], seconds: float) -> Pace | None:
    """Return the pace of a worker that made this progress in this many seconds.

    None for an objective that has done nothing yet, or does not report how much of the trial's
    cost is ``done``.
    """
    done = number(progress.get("done"))
    return None if done is None or done <= 0 else Pace(study, seconds / done)


def _is_near_end(store: Store, study: str) -> bool:
    """Return whether a study still runs and posts no more trials of its search."""
    for summary in store.studies.summaries(study):  # at each poll, so without the model's card
        if not (summary.cancelled or summary.has_ended):
            return summary.finishing or store.trials.is_posted(study, SEARCH, summary.budget - 1)
    return False


def _is_fast(store: Store, identity: Identity, pace: Pace) -> bool:
    """Return whether a worker keeps up with the fastest that works on the study now."""
    others = [
        record.pace.seconds_per_unit
        for record in store.workers.present(pace.study)
        if record.id != identity.worker and record.paused is None
        if record.pace and record.pace.study == pace.study
    ]
    return pace.seconds_per_unit <= SLOW * min(others, default=pace.seconds_per_unit)
