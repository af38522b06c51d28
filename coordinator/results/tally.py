"""What the trials of a study come to: those that have ended are counted once, not at every look.

A study is looked at several times a second, and may have tens of thousands of trials, of which a
few have changed since the last look.
"""

from __future__ import annotations

import bisect
import copy
from collections import Counter
from operator import itemgetter
from typing import Any, Callable, Iterable, List, Sequence, Tuple

from hyperhive.common.memory import no_collection
from hyperhive.coordinator.ranking import usable_loss
from hyperhive.store.trials.terms import SEARCH, TEACHER, Status
from hyperhive.store.trials.trial import Trial

RECENT = 20
"""So many latest trials tell how long the next ones take."""

Sorted = List[Tuple[Any, Any]]
"""Values by a key that no two of them share."""

Change = Callable[[Sorted, Any, Any], None]
"""Puts a key and its value among others, or takes them out."""


def order(tid: Any) -> tuple[bool, Any]:
    """Return the key that sorts tids; those of hyperopt's jobs may be text."""
    return isinstance(tid, str), tid


def measured(trials: Iterable[Trial]) -> list[tuple[Trial, float]]:
    """Return the trials that have a validation accuracy from 0 to 1, with it.

    A trial that diverged has none, whatever its worker reported. Nor has one that was pruned: what
    it had then is not what it could have come to.
    """
    accuracies = [(trial, trial.accuracy) for trial in trials]
    return [
        (trial, accuracy)
        for trial, accuracy in accuracies
        if accuracy is not None and 0 <= accuracy <= 1
        if not (trial.diverged or trial.pruned)
    ]


def tells_time(trial: Trial) -> bool:
    """Return whether a trial is done and says how long others of its cost take.

    One that was imported has another machine's pace. One that has a cost, and was pruned nobody
    knows where, tells nothing. A teacher is another network than the others train.
    """
    if trial.purpose == TEACHER:
        return False
    has_times = trial.refresh_time is not None and trial.book_time is not None
    is_known = trial.share is not None or not (trial.cost and trial.cost > 0)
    return trial.status is Status.DONE and not trial.imported and has_times and is_known


class Tally:
    """The trials of a study, and what those that have ended come to.

    It does not change: ``following`` and ``taking`` make the next one, and copy only lists.
    """

    def __init__(self) -> None:
        self.trials: Sequence[Trial] = ()
        self.open: tuple[Trial, ...] = ()
        """Those that have not ended, of all purposes."""
        self.counts: Counter[Status] = Counter()
        """How many of the search have ended, by how."""
        self.pruned = 0
        """How many of the search were ended early."""
        self.ranked: Sorted = []
        """Those of the search with a usable result, the best first."""
        self.points: Sorted = []
        """The tid and the validation accuracy of those of the search that have one, by tid."""
        self.bad: Sorted = []
        """Those of the search that failed or diverged, by tid."""
        self.beside: Sorted = []
        """Those that are not of the search, by tid."""
        self.incidents: Sorted = []
        """Those that failed, were claimed again or have a late result, by tid."""
        self.costs = Costs()
        self.times = Times()
        self._ended: dict[Any, Trial] = {}
        self._objects: set[int] = set()  # their identities, which are found faster than their ids
        self._last_tid = -1
        self._by_objective: dict[str | None, Trial] = {}

    @property
    def others(self) -> tuple[Trial, ...]:
        """Those that are not of the search, in any state, by tid."""
        unfinished = (trial for trial in self.open if trial.purpose != SEARCH)
        return _by_tid((*values(self.beside), *unfinished))

    @property
    def notable(self) -> tuple[Trial, ...]:
        """Every trial that something may have gone wrong with, by tid."""
        return _by_tid((*values(self.incidents), *self.open))

    @property
    def telling(self) -> tuple[Trial, ...]:
        """Those that have not ended, and one of each objective that has."""
        return (*self.open, *self._by_objective.values())

    @property
    def last_tid(self) -> int:
        """The highest number in the search, -1 without any; text is none."""
        tids = [trial.tid for trial in self.open if trial.purpose == SEARCH]
        return max([self._last_tid, *(tid for tid in tids if isinstance(tid, int))])

    @property
    def latest(self) -> tuple[Trial, ...]:
        """The latest of the search, by tid, in any state: at most ``RECENT``."""
        unfinished = (trial for trial in self.open if trial.purpose == SEARCH)
        return _by_tid((*values(self.costs.latest), *unfinished))[-RECENT:]

    def known(self, trial_id: Any) -> Trial | None:
        """Return the trial of this id as it is here, or None."""
        unfinished = (trial for trial in self.open if trial.id == trial_id)
        return self._ended.get(trial_id) or next(unfinished, None)

    def following(self, trials: Sequence[Trial]) -> Tally:
        """Return the tally of these trials, most of which are the very objects of this one."""
        known, same = self._ended, self._objects
        others = [trial for trial in trials if id(trial) not in same]
        ended = [trial for trial in others if trial.is_final]
        unfinished = tuple(trial for trial in others if not trial.is_final)
        new = sum(trial.id not in known for trial in ended)
        if len(trials) - len(unfinished) != len(known) + new:  # some are gone
            return Tally().following(trials)
        return self._with(trials, ended, unfinished)

    def taking(self, trials: Sequence[Trial], news: Sequence[Trial]) -> Tally:
        """Return the tally of these trials, which are those of this one but for the news."""
        if any(trial.id in self._ended and not trial.is_final for trial in news):
            return Tally().following(trials)
        changed = {trial.id for trial in news}
        unfinished = [trial for trial in self.open if trial.id not in changed]
        unfinished += [trial for trial in news if not trial.is_final]
        return self._with(trials, [each for each in news if each.is_final], _by_tid(unfinished))

    def _with(
        self, trials: Sequence[Trial], ended: Sequence[Trial], unfinished: tuple[Trial, ...]
    ) -> Tally:
        tally = self._copied() if ended else copy.copy(self)
        tally.trials, tally.open = trials, unfinished
        with no_collection():
            if self._ended:
                for trial in ended:
                    tally._take(trial)
            else:
                tally._take_first(ended)
        return tally

    def _copied(self) -> Tally:
        tally = copy.copy(self)
        for name, each in vars(self).items():
            if not isinstance(each, (int, tuple)):
                setattr(tally, name, copy.copy(each))
        return tally

    def _take(self, trial: Trial) -> None:
        """Count a trial that has ended, in place of what was counted of it before."""
        before = self._ended.get(trial.id)
        if before is not None:
            self._count(before, -1, _remove)
            self._objects.remove(id(before))
        self._note(trial)
        self._count(trial, 1, _add)

    def _take_first(self, trials: Iterable[Trial]) -> None:
        """Count the first trials that have ended: sorting them once is faster."""
        for trial in trials:
            self._note(trial)
            self._count(trial, 1, _append)
        for entries in (self.ranked, self.points, self.bad, self.beside, self.incidents):
            entries.sort(key=itemgetter(0))

    def _note(self, trial: Trial) -> None:
        self._objects.add(id(trial))
        self._ended[trial.id] = trial
        self._by_objective[trial.objective] = trial

    def _count(self, trial: Trial, sign: int, change: Change) -> None:
        key = (*order(trial.tid), trial.purpose, str(trial.id))
        if trial.status is Status.ERROR or trial.claims > 1 or trial.late:
            change(self.incidents, key, trial)
        self.times.count(trial, key, sign)
        self.costs.count(trial, key, sign)
        if trial.purpose != SEARCH:
            change(self.beside, key, trial)
            return
        self.counts[trial.status] += sign
        self._last_tid = max(self._last_tid, trial.tid if isinstance(trial.tid, int) else -1)
        self.pruned += sign * (trial.pruned and trial.status is Status.DONE)
        if trial.status is Status.ERROR or trial.diverged:
            change(self.bad, key, trial)
        loss = usable_loss(trial)
        if loss is not None:
            change(self.ranked, (loss, *key), trial)
        for _, accuracy in measured([trial]):
            change(self.points, key, (trial.tid, round(accuracy, 4)))


class Costs:
    """What trials that have ended cost, in the unit of their study."""

    def __init__(self) -> None:
        self.missing = 0
        """How many have no cost."""
        self.highest = 0.0
        self.latest: Sorted = []
        """Those of the search with the highest tids."""

    def count(self, trial: Trial, key: Any, sign: int) -> None:
        """Add a trial, or take it away if ``sign`` is -1."""
        cost = trial.cost or 0.0
        self.missing += sign * (cost <= 0)
        self.highest = max(self.highest, cost)
        if trial.purpose == SEARCH:
            self.latest = _latest(self.latest, key, trial, sign)


class Times:
    """The latest trials that tell how long others take, by when they ended."""

    def __init__(self) -> None:
        self.all: Sorted = []
        self.searched: Sorted = []
        self.whole: Sorted = []
        """Those that were not pruned."""
        self.by_worker: dict[str | None, Sorted] = {}

    def __copy__(self) -> Times:
        """Return a copy that can be counted on."""
        copied = Times()
        vars(copied).update(vars(self), by_worker=dict(self.by_worker))
        return copied

    def count(self, trial: Trial, key: Any, sign: int) -> None:
        """Add a trial, or take it away if ``sign`` is -1."""
        if not tells_time(trial):
            return
        entry = (trial.refresh_time, *key), trial, sign
        self.all = _latest(self.all, *entry)
        self.by_worker[trial.owner] = _latest(self.by_worker.get(trial.owner, []), *entry)
        if trial.purpose == SEARCH:
            self.searched = _latest(self.searched, *entry)
        if not trial.pruned:
            self.whole = _latest(self.whole, *entry)


def values(entries: Sorted) -> list[Any]:
    """Return values by their keys."""
    return [value for _, value in entries]


def _by_tid(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    return tuple(sorted(trials, key=lambda trial: order(trial.tid)))


def _append(entries: Sorted, key: Any, value: Any) -> None:
    entries.append((key, value))


def _add(entries: Sorted, key: Any, value: Any) -> None:
    bisect.insort(entries, (key, value))


def _remove(entries: Sorted, key: Any, value: Any) -> None:
    index = bisect.bisect_left(entries, (key,))
    if entries[index : index + 1] and entries[index][0] == key:
        del entries[index]


def _latest(entries: Sorted, key: Any, trial: Trial, sign: int) -> Sorted:
    """Return the last ``RECENT`` entries, with one more or without one; the list is not changed."""
    if sign > 0 and (not entries or entries[-1][0] < key):  # as most come
        return [*entries[1 - RECENT :], (key, trial)]
    changed = list(entries)
    (_add if sign > 0 else _remove)(changed, key, trial)
    return changed[-RECENT:]
