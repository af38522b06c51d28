"""Fitting the work to the device: which trial a worker takes, near the end of a study.

Anywhere else the oldest that waits, whoever comes. But once the last trial of a budget is posted, a
slow device that takes a long one keeps all others waiting for it. Then

- a fast device takes the longest trial that waits, a slow one the shortest;
- a device that finds nothing to take begins a second copy of a trial that it can end clearly sooner
  than the slower device that holds it. The first result counts (``store/queue.py``).

A worker decides by itself, by what is in the store: no coordinator need be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from hyperhive.store.store import Store
from hyperhive.store.trial import SEARCH, Trial
from hyperhive.store.workers import Pace
from hyperhive.worker.identity import Identity

SLOW = 3.0
"""A device is slow that takes more than this many times as long as the fastest of the study's."""


@dataclass(frozen=True)
class Claimant:
    """A worker that asks for a trial: who it is, under which token, what it can run, the lease."""

    identity: Identity
    token: str
    objectives: list[str]
    lease: float


def take(store: Store, claimant: Claimant, pace: Pace | None) -> Trial | None:
    """Claim the trial that fits; None if there is none to be had now.

    ``pace`` is the worker's own, None if it is not known or not to be looked at.
    """
    if pace is None or not _is_near_end(store, pace.study):
        return _claim(store, claimant, claimant.identity.study)
    is_fast = _is_fast(store, claimant.identity, pace)
    return (
        _claim(store, claimant, pace.study, is_fast, pace.seconds_per_unit)
        or _claim(store, claimant, claimant.identity.study)
        or _copy(store, claimant, pace)
    )


def pace_of(study: str, progress: Mapping[str, Any], seconds: float) -> Pace | None:
    """Return the pace of a worker that has come so far in so many seconds.

    None for an objective that counts no epochs, or is in its first.
    """
    epoch = progress.get("epoch")
    return Pace(study, seconds / epoch) if isinstance(epoch, int) and epoch > 0 else None


def _is_near_end(store: Store, study: str) -> bool:
    """Whether all trials of a study's budget are posted, and it goes on."""
    for found in store.studies.summaries(study):  # asked at each poll: none of a model's card
        if not (found.cancelled or found.has_ended):
            return store.trials.is_posted(study, SEARCH, found.budget - 1)
    return False


def _is_fast(store: Store, identity: Identity, pace: Pace) -> bool:
    others = [
        record.pace.seconds_per_unit
        for record in store.workers.present(pace.study)
        if record.id != identity.worker and record.paused is None
        if record.pace and record.pace.study == pace.study
    ]
    return pace.seconds_per_unit <= SLOW * min(others, default=pace.seconds_per_unit)


def _claim(
    store: Store,
    claimant: Claimant,
    study: str | None,
    longest: bool | None = None,
    pace: float | None = None,
) -> Trial | None:
    return store.queue.claim(
        claimant.identity.worker,
        claimant.token,
        claimant.objectives,
        study,
        claimant.lease,
        longest,
        pace,
    )


def _copy(store: Store, claimant: Claimant, pace: Pace) -> Trial | None:
    return store.queue.copy(
        claimant.identity.worker,
        claimant.token,
        claimant.objectives,
        pace.study,
        pace.seconds_per_unit,
        claimant.lease,
    )
