"""One search of a table, on a simulated clock.

What is suggested, when, and knowing what, is decided by the classes of a real search:
``Suggestions`` with its history and its demand, and the trials themselves, which have the times of
the simulated clock. Simulated are the devices: each takes the oldest trial that waits, and delivers
its loss when the table's seconds, by its speed, are over. What a suggestion costs is measured, and
takes no simulated time. A device that finds no trial at a study's end begins no second copy of
another's: that changes no suggestion, only when the last trials end.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

import numpy as np

from hyperhive.coordinator.experiments.fleet import Fleet
from hyperhive.coordinator.experiments.runs import Job, Run
from hyperhive.coordinator.experiments.tables import Table
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.searching.suggestions import Suggestions
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_document

_BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
_APART_MS = 1000
"""Workers start one after another, so long apart."""
_BETWEEN_MS = 20
"""A worker takes so long from a result to the next claim."""
_LOST = {"kind": ErrorKind.WORKER_LOST.value, "message": "its devices were lost"}
_NOISE, _LUCK = 0, 1
"""Random streams: of a table's noise, and of what goes wrong on devices."""


class Simulation:
    """A search that runs to its end.

    Args:
        table: what is searched.
        plan: of the study; its seed is that of the noise, and of what goes wrong, too.
        fleet: who works.

    Raises ``UsageError`` for what no study can have.
    """

    def __init__(self, table: Table, plan: Plan, fleet: Fleet) -> None:
        self._table = table
        self._plan = plan
        self._fleet = fleet
        self._suggestions = Suggestions(plan)
        self._now = 0  # milliseconds
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._claimable: list[int] = []
        self._idle: list[int] = []
        self._here: set[int] = set()
        self._attempts: dict[int, int] = {}
        self._suggesting = 0.0
        self.trials: dict[int, Trial] = {}
        """All trials by number, as they are now: at the end all have ended."""

    def run(self) -> Run:
        """Search until all trials have ended; return what came of it."""
        for device in range(self._fleet.workers):
            self._here.add(device)
            self._after(device * _APART_MS, lambda device=device: self._claim(device))  # type: ignore[misc]
        self._post()
        while self._events and not self._is_over():
            self._now, _, happens = heapq.heappop(self._events)
            happens()
            self._post()
        plan = self._plan
        job = Job(plan.algorithm, plan.seed, self._fleet.workers, plan.trials)
        milliseconds = 1000 * self._suggesting / plan.trials
        trials = self.trials.values()
        return Run.of(job, trials, lambda t: self._table.true_loss(t.vals), milliseconds)

    def _is_over(self) -> bool:
        return len(self.trials) == self._plan.trials and all(
            t.is_final for t in self.trials.values()
        )

    def _after(self, milliseconds: float, happens: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self._now + round(milliseconds), self._count, happens))

    # -- the coordinator --------------------------------------------------------------------------

    def _post(self) -> None:
        """Post what is lacking, as ``Search`` does at each of its looks."""
        counts = Counter(trial.status for trial in self.trials.values())
        wanted = self._suggestions.demand.count(len(self._here), counts[Status.RUNNING])
        room = self._plan.trials - len(self.trials)
        count = min(wanted - counts[Status.NEW], room)
        if count <= 0:
            return
        began = time.perf_counter()
        known = self._suggestions.known(self._suggestions.latest_claim)
        drafts = [
            Draft(self._plan.name, tid, {}, self._suggestions.values(tid, known), "table")
            for tid in self._suggestions.numbers.free(count)
        ]
        self._suggesting += time.perf_counter() - began
        for draft in drafts:
            self._take(Trial.from_document({**new_document(draft), "_id": draft.tid}))
            self._offer(draft.tid)

    def _take(self, trial: Trial) -> None:
        self.trials[trial.tid] = trial
        self._suggestions.take(trial)

    # -- the devices ------------------------------------------------------------------------------

    def _offer(self, tid: int) -> None:
        """Let a trial be claimed, at once if a device waits for one."""
        heapq.heappush(self._claimable, tid)
        if self._idle:
            device = self._idle.pop(0)
            self._after(_BETWEEN_MS, lambda: self._claim(device))

    def _claim(self, device: int) -> None:
        if not self._claimable:
            self._idle.append(device)
            return
        tid = heapq.heappop(self._claimable)
        trial = self.trials[tid]
        if trial.status is Status.NEW:
            first_claim = _BEGAN + timedelta(milliseconds=self._now)
            self._take(replace(trial, status=Status.RUNNING, first_claim=first_claim))
        attempt = self._attempts[tid] = self._attempts.get(tid, 0) + 1
        answer = self._table.answer(trial.vals, self._random(_NOISE, tid))
        seconds = answer.seconds / self._fleet.speed(device)
        luck = self._random(_LUCK, tid, attempt)
        lost_at = self._fleet.lost_at(luck)
        if lost_at is None:
            pause = self._fleet.pause(seconds, luck)
            self._after(1000 * seconds, lambda: self._deliver(device, tid, answer.loss, pause))
        else:
            self._after(1000 * seconds * lost_at, lambda: self._leave(device, self._fleet.lease))
            again = 1000 * (seconds * lost_at + self._fleet.lease)
            self._after(again, lambda: self._give_up(tid, attempt))

    def _deliver(self, device: int, tid: int, loss: float, pause: float) -> None:
        self._end(tid, status=Status.DONE, result={"status": "ok", "loss": loss})
        if pause:
            self._leave(device, pause)
        else:
            self._after(_BETWEEN_MS, lambda: self._claim(device))

    def _give_up(self, tid: int, attempt: int) -> None:
        """Let others claim the trial of a lost device, or end it after its last attempt."""
        if attempt < self.trials[tid].max_attempts:
            self._offer(tid)
        else:
            self._end(tid, status=Status.ERROR, error=_LOST)

    def _leave(self, device: int, seconds: float) -> None:
        self._here.discard(device)
        self._after(1000 * seconds, lambda: self._return(device))

    def _return(self, device: int) -> None:
        self._here.add(device)
        self._claim(device)

    def _end(self, tid: int, **how: Any) -> None:
        refresh_time = _BEGAN + timedelta(milliseconds=self._now)
        self._take(replace(self.trials[tid], refresh_time=refresh_time, **how))

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self._plan.seed, *stream])
