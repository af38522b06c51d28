"""The state of a study as a reader sees it: the same for every view, with one estimate of the time.

The terminal makes it from the trials that its search knows, status and dashboard from those that
``FleetReader`` reads.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Callable, Iterable, Mapping

from hyperhive.coordinator.ranking import ranking
from hyperhive.store.trial import BASELINE, SEARCH, Status, Trial
from hyperhive.store.workers import WorkerRecord

_RECENT = 20
"""The number of latest trials whose mean time is the estimate for the next ones."""


@dataclass(frozen=True)
class StudyState:
    """A study at one moment.

    Args:
        name: of the study.
        budget: how many trials it searches.
        trials: those of all purposes, by tid.
        cancelled: whether it was cancelled.
        has_ended: whether it has its result.
        test_accuracy: of its model, 0 to 1, once the study has ended.
        is_experiment: whether it is one of hyperopt's, posted by ``fmin``: it has a name and jobs,
            but no budget, model or end.
    """

    name: str
    budget: int
    trials: tuple[Trial, ...]
    cancelled: bool = False
    has_ended: bool = False
    test_accuracy: float | None = None
    is_experiment: bool = False

    @property
    def title(self) -> str:
        """Its name for people: hyperopt's jobs may have no key."""
        return self.name or "(no exp_key)"

    @property
    def is_open(self) -> bool:
        """Whether trials may still be posted or, of an experiment, whether some are unfinished."""
        if self.is_experiment:
            return self.ended < len(self.trials)
        return not (self.has_ended or self.cancelled)

    @cached_property
    def searched(self) -> tuple[Trial, ...]:
        """The trials of the search, by tid."""
        return tuple(trial for trial in self.trials if trial.purpose == SEARCH)

    @cached_property
    def others(self) -> tuple[Trial, ...]:
        """The trials that are not of the search: the baseline, and the refit of the best."""
        return tuple(trial for trial in self.trials if trial.purpose != SEARCH)

    @cached_property
    def counts(self) -> Mapping[Status, int]:
        """The number of trials of the search in each state."""
        counted = Counter(trial.status for trial in self.searched)
        return {status: counted[status] for status in Status}

    @property
    def ended(self) -> int:
        """The number of trials of the search that have ended, with a result or without."""
        return self.counts[Status.DONE] + self.counts[Status.ERROR]

    @cached_property
    def ranked(self) -> list[Trial]:
        """The trials of the search that have a usable result, the best first."""
        return ranking(self.searched)

    @property
    def best(self) -> Trial | None:
        """The best trial of the search so far."""
        return self.ranked[0] if self.ranked else None

    @property
    def untuned_accuracy(self) -> float | None:
        """The validation accuracy of the baseline, 0 to 1, once it is known."""
        baseline = [trial for trial in self.trials if trial.purpose == BASELINE]
        return baseline[0].accuracy if baseline else None

    def seconds_left(self) -> float | None:
        """Return the expected time until the search ends; None if nothing tells it.

        That is (mean time of the latest trials, from claim to result) * (trials left) / (trials
        running). By Little's law, running trials / mean time is the number of trials that end per
        second. This also holds for unlike workers: a fast one ends more trials, so its times weigh
        more in the mean, by as much as it contributes. Time in which nobody worked does not count.

        Two limits: until a slow worker has ended its first trial, the estimate is too short; and
        it knows nothing of the last trials, which may all wait for the slowest worker.
        """
        running = self.counts[Status.RUNNING]
        left = self.budget - self.ended
        seconds = self._recent_seconds()
        if self.is_experiment or not (self.is_open and running and seconds and left > 0):
            return None
        return sum(seconds) / len(seconds) * left / min(running, left)

    def _recent_seconds(self) -> list[float]:
        """Return how long each of the latest trials took, from its last claim to its result."""
        done = (
            (trial.refresh_time, trial.book_time)
            for trial in self.searched
            if trial.status is Status.DONE and trial.refresh_time and trial.book_time
        )
        return [(end - start).total_seconds() for end, start in heapq.nlargest(_RECENT, done)]


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment of its search in this process.

    Args:
        study: its state. Of trials outside the search it has those that this process has posted.
        phase: what the search does, in words.
        workers: those that would take its trials.
        had_workers: whether there has been a worker since the search started.
        is_reachable: whether the store answers.
    """

    study: StudyState
    phase: str
    workers: tuple[WorkerRecord, ...] = ()
    had_workers: bool = False
    is_reachable: bool = True


Watch = Callable[[Snapshot], None]


def at_work(trials: Iterable[Trial]) -> dict[str, Trial]:
    """Return the trial that each worker runs, by the worker's id; a copy as its worker has it."""
    running = [trial for trial in trials if trial.status is Status.RUNNING]
    held = {str(trial.owner): trial for trial in running}
    copies = [trial.as_copied(trial.copy.token) for trial in running if trial.copy]
    return {**held, **{str(trial.owner): trial for trial in copies}}


def measured(trials: Iterable[Trial]) -> list[tuple[Trial, float]]:
    """Return the trials that have a validation accuracy from 0 to 1, with it.

    A trial that diverged has none, whatever its worker reported.
    """
    accuracies = [(trial, trial.accuracy) for trial in trials if not trial.diverged]
    return [
        (trial, accuracy)
        for trial, accuracy in accuracies
        if accuracy is not None and 0 <= accuracy <= 1
    ]
