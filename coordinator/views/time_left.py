"""How long a study still takes: search, baselines, repeats and refit, from its trials alone."""

from __future__ import annotations

import heapq
from collections import Counter
from typing import Iterable, Mapping, NamedTuple, Sequence

from hyperhive.common.values import number
from hyperhive.coordinator.planning.recipes import refit_of
from hyperhive.coordinator.results.repeated import finalists
from hyperhive.coordinator.results.tally import Sorted, Tally, tells_time, values
from hyperhive.store.trials.copies import CLEARLY_LATER
from hyperhive.store.trials.terms import REFIT, REPEAT, REPEATS_END, SEARCH, TEACHER, Status
from hyperhive.store.trials.trial import Trial

_DEALT = 200
"""So many trials to come are dealt out one by one; what is beyond them is shared out by pace."""

_OVERDUE = 0.25
"""A trial that takes longer than expected, and does not say how far it is, is expected to take this
share of its time again."""


class _Hand(NamedTuple):
    """A worker at work: in how many seconds it is free, and how many a unit of cost takes it."""

    free_in: float
    pace: float


def seconds_left(
    tally: Tally, budget: int, best: Trial | None, refit: float, repeats: int = 0
) -> float | None:
    """Return the expected time until a study ends; None if no trial runs or nothing tells it.

    A worker's *pace* is its time per unit of cost, over its latest trials. What is to come is dealt
    out as the workers would take it: each trial goes to the worker that is free first. Trials that
    are not posted yet are expected to cost as much as the latest that were, and of the search's no
    more to be run than of those that ended last, some of which were pruned. A slow worker does not
    count in full at the end: a fast one would start a second copy (``store/trials/copies.py``).
    Then the refit of the best trial follows. The test of the model, some seconds, is left out.

    Args:
        tally: of all trials that the study has posted.
        budget: how many trials it searches.
        best: its winner or, until that is known, the best so far.
        refit: how many times as long as the best trial its refit takes; 0 without a refit.
        repeats: how often each of the best trials is run again.
    """
    paces = _Paces(tally)
    running = [trial for trial in tally.open if trial.status is Status.RUNNING]
    if not running or paces.general is None:
        return None
    hands = [hand for trial in running for hand in _hands(trial, paces, refit)]
    others = tally.others
    posted = Counter(each.tid // REPEATS_END for each in others if each.purpose == REPEAT)
    again = finalists(values(tally.ranked)) if repeats else []
    extra = [paces.cost(trial) for trial in again for _ in range(repeats - posted[trial.tid])]
    unposted = budget - (len(tally.trials) - len(others))
    left = _search_left(tally, unposted, extra, hands, paces)
    if any(trial.purpose == REFIT and trial.status is not Status.NEW for trial in others):
        return left
    return left + refit * _seconds_of_best(best, tally, hands, paces)


class _Paces:
    """How fast workers are, by the trials that they have finished, or run in part.

    Where not all trials have a cost, each counts as 1. One that has a cost, and was pruned nobody
    knows where, tells nothing.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.have_costs = not tally.costs.missing and all(
            trial.cost is not None and trial.cost > 0 for trial in tally.open
        )
        self._known: dict[str | None, float] = {}
        self.general = self._pace(tally.times.all) or self._told_by_progress(tally.open)
        """The pace of all workers together; None if nothing tells it."""

    def cost(self, trial: Trial) -> float:
        """Return a trial's relative work."""
        return float(trial.cost or 1) if self.have_costs else 1.0

    def run(self, trial: Trial) -> float:
        """Return how much of a finished trial's relative work was run."""
        return self.cost(trial) * (1.0 if trial.share is None else trial.share)

    @property
    def usual_share(self) -> float:
        """How much of a trial of the search is run before it ends: of the latest that ended."""
        latest = values(self._tally.times.searched)
        cost = sum(map(self.cost, latest))
        return sum(map(self.run, latest)) / cost if cost else 1.0

    def of(self, worker: str | None) -> float:
        """Return a worker's pace; that of all together if it has finished nothing."""
        if worker not in self._known:
            own = self._pace(self._tally.times.by_worker.get(worker, []))
            self._known[worker] = own or self.general or 0.0
        return self._known[worker]

    def done(self, progress: Mapping[str, object] | None) -> float | None:
        """Return how much of a trial's cost is done; None if that is not known."""
        return number((progress or {}).get("done")) if self.have_costs else None

    @property
    def highest_cost(self) -> float:
        """The highest cost of a trial."""
        costs = map(self.cost, self._tally.open)
        return max(self._tally.costs.highest, *costs) if self.have_costs else 1.0

    def seconds(self, trial: Trial | None) -> float:
        """Return how long a trial took, but no less than the latest whole ones; 0 without any."""
        latest = _mean(map(_took, values(self._tally.times.whole)))
        return max(latest, _took(trial)) if trial is not None and tells_time(trial) else latest

    def _pace(self, timed: Sorted) -> float | None:
        latest = values(timed)
        cost = sum(map(self.run, latest))
        return sum(map(_took, latest)) / cost if cost else None

    def _told_by_progress(self, trials: Sequence[Trial]) -> float | None:
        """Return the pace of the slowest of the first trials, none of which has ended."""
        begun = [
            (_elapsed(trial), self.done(trial.progress) or 0.0)
            for trial in trials
            if trial.status is Status.RUNNING and trial.purpose != TEACHER
        ]
        return max((elapsed / done for elapsed, done in begun if done > 0), default=None)


def _hands(trial: Trial, paces: _Paces, refit: float) -> list[_Hand]:
    """Return the workers that run a trial, holder and copy's: the first result frees both."""
    longer = (refit or 1.0) if trial.purpose == REFIT else 1.0
    cost, pace, elapsed = paces.cost(trial), paces.of(trial.owner), _elapsed(trial)
    done = paces.done(trial.progress)
    if done is None:
        left = max(longer * pace * cost - elapsed, _OVERDUE * elapsed)
    else:
        left = (elapsed / done if done > 0 else max(longer * pace, elapsed)) * max(cost - done, 0)
    if trial.copy is None:
        return [_Hand(left, pace)]
    its_pace, its_done = paces.of(trial.copy.worker), paces.done(trial.copy.progress) or 0.0
    left = min(left, longer * its_pace * max(cost - its_done, 0))
    return [_Hand(left, pace), _Hand(left, its_pace)]


def _search_left(
    tally: Tally,
    unposted: int,
    extra: Sequence[float],
    hands: list[_Hand],
    paces: _Paces,
) -> float:
    """Return the time until all trials have ended but a refit that waits.

    ``extra`` are the costs of trials that come after the ``unposted`` ones of the search.
    """
    share = paces.usual_share
    usual = share * _mean(map(paces.cost, tally.latest or tally.others))
    waiting = [each for each in tally.open if each.status is Status.NEW and each.purpose != REFIT]
    one_by_one = min(max(unposted, 0), _DEALT)
    coming = [
        *(paces.cost(each) * (share if each.purpose == SEARCH else 1.0) for each in waiting),
        *[usual] * one_by_one,
        *extra,
    ]
    rate = sum(1 / max(hand.pace, 1e-9) for hand in hands)
    shared_out = usual * (max(unposted, 0) - one_by_one) / rate
    queue = list(hands)
    heapq.heapify(queue)
    for cost in coming:
        first = queue[0]
        heapq.heapreplace(queue, _Hand(first.free_in + first.pace * cost, first.pace))
    last = max(hand.free_in for hand in queue)
    if paces.have_costs:
        last = min(last, _with_copies(queue, paces.highest_cost))
    return shared_out + last


def _with_copies(hands: Sequence[_Hand], longest: float) -> float:
    """Return when the fastest workers would have run again what slower ones end later."""
    fastest = min(hands, key=lambda hand: hand.pace)
    fast = sum(hand.pace <= CLEARLY_LATER * fastest.pace for hand in hands)
    later = sum(hand.free_in > fastest.free_in for hand in hands)
    return fastest.free_in + CLEARLY_LATER * fastest.pace * longest * -(-later // fast)


def _seconds_of_best(
    best: Trial | None, tally: Tally, hands: Sequence[_Hand], paces: _Paces
) -> float:
    """Return how long the best trial would take again, on a worker that may be a slow one.

    0 if its objective has no refit.
    """
    if best is not None and refit_of(best) is None:
        return 0.0
    pace = max(hand.pace for hand in hands)
    if paces.have_costs:
        pace = min(pace, CLEARLY_LATER * min(hand.pace for hand in hands))
    its = paces.of(best.owner if best else None)
    seconds = paces.seconds(best) or pace * _mean(map(paces.cost, tally.latest))
    return seconds * (pace / its if its else 1.0)


def _elapsed(trial: Trial) -> float:
    """Return how long a trial had run when it was last heard of."""
    return max(0.0, _took(trial))


def _took(trial: Trial) -> float:
    """Return the seconds from a trial's claim to the last that was heard of it; 0 if unknown."""
    if trial.book_time is None or trial.refresh_time is None:
        return 0.0
    return (trial.refresh_time - trial.book_time).total_seconds()


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0
