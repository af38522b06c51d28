"""The newest state of the fleet for any number of viewers, and what changed since before."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Callable, Mapping

from hyperhive.coordinator.figures.numbers import text
from hyperhive.coordinator.views.fleet import Fleet, FleetReader
from hyperhive.coordinator.views.study_state import StudyState
from hyperhive.store.errors import StoreError
from hyperhive.store.workers import WorkerRecord

REFRESH_S = 2.0
"""Seconds between two readings. The store is read no more often, for all viewers together."""


@dataclass(frozen=True)
class Changes:
    """At which revision the trials of a study changed for the last time.

    Args:
        state: of the study, at the last of them.
        whole: the revision before which nothing is known: a viewer that has an earlier one needs
            all of the study.
        at: of the trials that changed after that, by the trial's id.
    """

    state: StudyState
    whole: int
    at: Mapping[Any, int] = field(default_factory=dict)

    def following(self, state: StudyState, revision: int) -> Changes:
        """Return the changes up to a revision, at which the study is as given."""
        if state.trials is self.state.trials:
            return replace(self, state=state)
        before = {trial.id: trial for trial in self.state.trials}
        changed = [trial.id for trial in state.trials if before.pop(trial.id, None) is not trial]
        if before:  # trials are gone: no viewer is told of single ones
            return Changes(state, revision)
        return Changes(state, self.whole, {**self.at, **dict.fromkeys(changed, revision)})

    def since(self, revision: int | None) -> set[Any] | None:
        """Return the ids of the trials that changed after a revision; None for all of them."""
        if revision is None or revision < self.whole:
            return None
        return {trial_id for trial_id, at in self.at.items() if at > revision}


@dataclass(frozen=True)
class Reading:
    """What the last readings found; ``fleet`` is of an earlier one if the store has a problem.

    Args:
        revision: rises when anything changed that is shown. It begins with the time of the start,
            so that a page which was open before does not take old figures for new ones.
        asked_at: when the store was last asked, by the clock of the readings.
        fleet: as it was when the store last answered.
        at: when that was.
        problem: what is wrong with the store, in a sentence.
        changes: of each study, by its name.
    """

    revision: int
    asked_at: float
    fleet: Fleet | None = None
    at: datetime | None = None
    problem: str | None = None
    changes: Mapping[str, Changes] = field(default_factory=dict)

    @property
    def descriptions(self) -> dict[str, str]:
        """Of the devices of the workers that were heard of within a day, by the worker's id."""
        workers = () if self.fleet is None else (*self.fleet.here, *self.fleet.silent)
        return {worker.id: worker.device for worker in workers}


class Readings:
    """Reads the store when somebody asks and the last reading is older than ``REFRESH_S``.

    So it is read once for all viewers, and never while nobody watches. Only the first viewer, and
    the one whose question begins a reading, wait for it.

    Args:
        reader: reads the fleet.
        clock: gives seconds.
    """

    def __init__(self, reader: FleetReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._asking = threading.Lock()
        self._last = Reading(int(time.time()), -REFRESH_S)

    def read(self) -> None:
        """Read the store now. Raises ``StoreError``, and keeps what was read before."""
        now, before = self._clock(), self._last
        try:
            fleet = self._reader.read()
        except StoreError as error:
            problem = text(error)
            news = int(problem != before.problem)
            self._last = replace(
                before, asked_at=now, problem=problem, revision=before.revision + news
            )
            raise
        shown = before.fleet if before.problem is None else None
        is_new = shown is None or _shown(shown) != _shown(fleet)
        revision = before.revision + is_new
        changes = {}
        for state in fleet.studies:
            known = before.changes.get(state.name)
            changes[state.name] = (
                Changes(state, revision) if known is None else known.following(state, revision)
            )
        self._last = Reading(revision, now, fleet, datetime.now(timezone.utc), None, changes)

    def newest(self) -> Reading:
        """Return the newest reading, after one that is due."""
        is_first = self._last.fleet is None and self._last.problem is None
        if self._asking.acquire(blocking=is_first):
            try:
                # A little less than REFRESH_S: a viewer's timer is not exact.
                if self._clock() - self._last.asked_at >= 0.9 * REFRESH_S:
                    self.read()
            except StoreError:
                pass  # the reading has it as its problem
            finally:
                self._asking.release()
        return self._last


def _shown(fleet: Fleet) -> Any:
    """Return what a viewer sees of a fleet: of a worker that is here, not when it last reported."""
    return (
        fleet.studies,
        tuple(map(_timeless, fleet.workers)),
        tuple(worker.id for worker in fleet.here),
        tuple(replace(worker, seconds_ago=worker.seconds_ago // 60) for worker in fleet.silent),
        fleet.overdue,
        fleet.notes,
    )


def _timeless(worker: WorkerRecord) -> WorkerRecord:
    return replace(worker, seconds_ago=0.0)
