"""The state of a study as a reader sees it: the same for every view, with one estimate of the time.

The terminal makes it from the trials that its search knows, status and dashboard from those that
``FleetReader`` reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Callable, Iterable, Mapping

from hyperhive.coordinator.ranking import winner_of
from hyperhive.coordinator.results.repeated import Repeated
from hyperhive.coordinator.results.tally import Tally, values
from hyperhive.coordinator.views.time_left import seconds_left
from hyperhive.store.trials.terms import (
    BASELINE,
    REPEAT,
    SEARCH,
    THREE_TUNED_TID,
    UNTUNED_TID,
    USUAL_TID,
    Status,
)
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import WorkerRecord


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
        test_images: how many that is of; 0 if that is not known.
        refit: how many times as long as the best trial its refit takes; 0 without a refit.
        finishing: whether it is to end, or has ended, with the trials that it has.
        repeats: how often each of the best trials is run again.
        winner: the number of the trial that won; None until that is decided.
        repeat_results: what its repeats gave, the winner's first, once it has ended.
        is_experiment: whether it is one of hyperopt's, posted by ``fmin``: it has a name and jobs,
            but no budget, model or end.
        unread: how many trials of the search are done and not among ``trials``, as there is nothing
            else to tell of them, and how many of those were pruned.
        tally: what the trials come to. Given that of an earlier state, as ``dataclasses.replace``
            does, it goes on from there.
    """

    name: str
    budget: int
    trials: tuple[Trial, ...]
    cancelled: bool = False
    has_ended: bool = False
    test_accuracy: float | None = None
    test_images: int = 0
    refit: float = 1.25
    finishing: bool = False
    repeats: int = 0
    winner: int | None = None
    repeat_results: tuple[Repeated, ...] = ()
    is_experiment: bool = False
    unread: tuple[int, int] = (0, 0)
    tally: Tally = field(default_factory=Tally, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.tally.trials is not self.trials:
            object.__setattr__(self, "tally", self.tally.following(self.trials))

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

    @property
    def others(self) -> tuple[Trial, ...]:
        """The trials that are not of the search: the baselines, the repeats and the refit."""
        return self.tally.others

    @property
    def repeated(self) -> tuple[Trial, ...]:
        """The repeats of the best trials, as far as they were posted."""
        return tuple(trial for trial in self.others if trial.purpose == REPEAT)

    @cached_property
    def counts(self) -> Mapping[Status, int]:
        """The number of trials of the search in each state."""
        unfinished = [t.status for t in self.tally.open if t.purpose == SEARCH]
        found = {each: self.tally.counts[each] + unfinished.count(each) for each in Status}
        found[Status.DONE] += self.unread[0]
        return found

    @property
    def pruned(self) -> int:
        """The number of trials of the search that were ended early; they are among the done."""
        return self.tally.pruned + self.unread[1]

    @property
    def ended(self) -> int:
        """The number of trials of the search that have ended, with a result or without."""
        return self.counts[Status.DONE] + self.counts[Status.ERROR]

    def ranked(self, count: int | None = None) -> list[Trial]:
        """Return the trials of the search that have a usable result, the best first.

        Args:
            count: so many of them; None for all.
        """
        return values(self.tally.ranked[:count])

    @cached_property
    def best(self) -> Trial | None:
        """The trial that won or, until that is decided, the best of the search so far."""
        return winner_of(self.ranked(1 if self.winner is None else None), self.winner)

    @property
    def untuned_accuracy(self) -> float | None:
        """The validation accuracy of the untuned baseline, 0 to 1, once it is known."""
        return self._baseline_accuracy(UNTUNED_TID)

    @property
    def usual_accuracy(self) -> float | None:
        """The validation accuracy of the baseline with usual settings, 0 to 1."""
        return self._baseline_accuracy(USUAL_TID)

    @property
    def tuned_accuracy(self) -> float | None:
        """The same of the baseline with three numbers tuned."""
        return self._baseline_accuracy(THREE_TUNED_TID)

    def seconds_left(self) -> float | None:
        """Return the expected time until the study ends, see ``time_left``; None if it is unknown.

        0 if the search is over and it is unknown how long the rest takes.
        """
        unknown = 0.0 if self.ended >= self.budget else None
        if self.is_experiment or not self.is_open:
            return None
        return unknown if self._left is None else self._left

    def _baseline_accuracy(self, tid: int) -> float | None:
        found = (t.accuracy for t in self.others if (t.purpose, t.tid) == (BASELINE, tid))
        return next(found, None)

    @cached_property
    def _left(self) -> float | None:
        left = seconds_left(self.tally, self.budget, self.best, self.refit, self.repeats)
        return left if left is not None and math.isfinite(left) else None


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment of its search in this process.

    Args:
        study: its state. Of trials outside the search it has those that this process has posted.
        phase: what the search does, in words.
        here: the workers that are here, also those of other studies.
        had_workers: whether there has been a worker since the search started.
        is_reachable: whether the store answers.
        are_starting: whether workers were started here that have not reported yet.
    """

    study: StudyState
    phase: str
    here: tuple[WorkerRecord, ...] = ()
    had_workers: bool = False
    is_reachable: bool = True
    are_starting: bool = False

    @property
    def workers(self) -> list[WorkerRecord]:
        """The workers that would take its trials, if they have its objective."""
        return [worker for worker in self.here if worker.takes(self.study.name)]


Watch = Callable[[Snapshot], None]


def refit_length(refits: bool, validation: float, folds: int = 0) -> float:
    """Return how many times as long as a trial its refit takes, which is on all training images.

    Args:
        refits: whether there is a refit.
        validation: the share of the training images that a trial does without, 0 to 1.
        folds: if not 0, a trial trains so often, each time without one part of so many.
    """
    trial = folds - 1 if folds else max(1 - validation, 0.01)
    return 1 / trial if refits else 0.0


def at_work(trials: Iterable[Trial]) -> dict[str, Trial]:
    """Return the trial that each worker runs, by the worker's id; a copy as its worker has it."""
    running = [trial for trial in trials if trial.status is Status.RUNNING]
    held = {str(trial.owner): trial for trial in running}
    copies = [trial.as_copied(trial.copy.token) for trial in running if trial.copy]
    return {**held, **{str(trial.owner): trial for trial in copies}}
