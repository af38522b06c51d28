"""The fleet as it stands: its studies with their trials, its workers. Only ever read."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Callable, Iterable, Mapping

from hyperhive.common.values import mapping, number
from hyperhive.coordinator.ranking import ranking
from hyperhive.store.store import Store
from hyperhive.store.studies import StudySummary
from hyperhive.store.trial import BASELINE, SEARCH, Status, Trial, experiment_key, experiment_keys
from hyperhive.store.workers import WorkerRecord

COMPARE_EVERY_S = 60.0
"""How old what is known of finished trials may be: a late result is seen within a minute."""

_RECENT = 20
"""So many trials tell how long one takes."""


@dataclass(frozen=True)
class StudyState:
    """A study and its trials of all purposes, by tid, at one moment."""

    summary: StudySummary
    trials: tuple[Trial, ...]

    @property
    def name(self) -> str:
        """The study's name."""
        return self.summary.name

    @property
    def is_open(self) -> bool:
        """Whether trials may still be posted."""
        return not (self.summary.has_ended or self.summary.cancelled)

    @cached_property
    def searched(self) -> tuple[Trial, ...]:
        """The trials of the search."""
        return tuple(trial for trial in self.trials if trial.purpose == SEARCH)

    @cached_property
    def counts(self) -> Mapping[Status, int]:
        """How many trials of the search are in each state."""
        counted = Counter(trial.status for trial in self.searched)
        return {status: counted[status] for status in Status}

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
        return number(baseline[0].result.get("validation_accuracy")) if baseline else None

    @property
    def test_accuracy(self) -> float | None:
        """The test accuracy on the card of the study's model, 0 to 1, once it has ended."""
        card = mapping((self.summary.result or {}).get("card"))
        return number(card.get("test_accuracy"))

    def seconds_left(self) -> float | None:
        """Return the time left for the search; None where nothing tells it.

        That is the mean time that the latest trials took from being taken to their result, times
        the trials left, over those that run now: how long nobody worked does not count.
        """
        running = self.counts[Status.RUNNING]
        left = self.summary.budget - self.counts[Status.DONE] - self.counts[Status.ERROR]
        done = sorted(
            (trial.refresh_time, trial.book_time)
            for trial in self.searched
            if trial.status is Status.DONE and trial.refresh_time and trial.book_time
        )
        took = [(ended - taken).total_seconds() for ended, taken in done[-_RECENT:]]
        if not (self.is_open and running and took and left > 0):
            return None
        return sum(took) / len(took) * left / min(running, left)


@dataclass(frozen=True)
class Fleet:
    """What is there. ``overdue`` has the ids of the trials whose lease is over."""

    address: str
    studies: tuple[StudyState, ...]
    workers: tuple[WorkerRecord, ...]
    silent: tuple[WorkerRecord, ...]
    overdue: frozenset[Any]

    @property
    def held(self) -> dict[str, Trial]:
        """The trial that each worker is at, see ``at_work``."""
        trials = (trial for study in self.studies for trial in study.trials)
        return at_work(trial for trial in trials if trial.status is Status.RUNNING)


def at_work(running: Iterable[Trial]) -> dict[str, Trial]:
    """Return the trial that each worker is at, by the worker's id; a copy as its worker has it."""
    running = list(running)
    held = {str(trial.owner): trial for trial in running}
    copies = [trial.as_copied(trial.copy.token) for trial in running if trial.copy]
    return {**held, **{str(trial.owner): trial for trial in copies}}


class FleetReader:
    """Reads the fleet again and again, and of the trials only what may have changed.

    Those are the unfinished ones, and the ones posted since. What may still become of a finished
    one (a late result, say) is found every ``COMPARE_EVERY_S`` seconds, by its version alone.

    Args:
        store: where the fleet is; reading is all that its user must be allowed.
        only: the one study to read, with the workers that would take its trials; by default all.
        clock: gives seconds.
    """

    def __init__(
        self, store: Store, only: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._only = only
        self._clock = clock
        self._states: dict[str, StudyState] = {}
        self._closed: set[str] = set()
        self._compared = clock()

    def read(self) -> Fleet:
        """Return the fleet as it is now.

        Raises ``StoreError``, and ``NotFound`` if the one study is not there; what was read before
        is not lost by that.
        """
        summaries = self._store.studies.summaries(self._only, ("result.card.test_accuracy",))
        if self._only is not None and not summaries:
            self._store.study(self._only)  # says that it is not there, and what is
        states = {each.name: self._before(each) for each in summaries}
        # A study that closed since the last read may have ended trials that were never seen.
        self._take_in(states, self._store.trials.changed(*self._question(states)))
        if self._clock() - self._compared >= COMPARE_EVERY_S:
            self._compare(states)
            self._compared = self._clock()
        self._states = states
        self._closed = {name for name, state in states.items() if not state.is_open}
        return Fleet(
            self._store.address,
            tuple(states.values()),
            tuple(self._store.workers.present(self._only)),
            tuple(self._store.workers.silent(self._only)),
            frozenset(trial.id for trial in self._store.trials.overdue()),
        )

    def _before(self, summary: StudySummary) -> StudyState:
        """Return what was known of a study, under its new summary."""
        known = self._states.get(summary.name)
        if known is None or known.summary.created != summary.created:
            self._closed.discard(summary.name)
            return StudyState(summary, ())
        return known if known.summary == summary else StudyState(summary, known.trials)

    def _question(self, states: Mapping[str, StudyState]) -> tuple[dict[str, int], list[Any]]:
        """Return what to ask the store for: see ``TrialQueue.changed``."""
        above: dict[str, int] = {}
        unfinished: list[Any] = []
        for name, state in states.items():
            if name not in self._closed or state.is_open:
                # Of the other purposes there are a few at most, in no order.
                above.update(dict.fromkeys(experiment_keys(name), -1))
                above[experiment_key(name)] = max((t.tid for t in state.searched), default=-1)
            unfinished += [trial.id for trial in state.trials if not trial.is_final]
        return above, unfinished

    def _compare(self, states: dict[str, StudyState]) -> None:
        """Find what changed of finished trials, and what is gone."""
        versions = self._store.trials.versions(states)
        known = {trial.id: trial.version for state in states.values() for trial in state.trials}
        differ = [id for id, version in versions.items() if known.get(id) != version]
        for name, state in states.items():
            there = tuple(trial for trial in state.trials if trial.id in versions)
            if len(there) < len(state.trials):
                states[name] = StudyState(state.summary, there)
        if differ:
            self._take_in(states, self._store.trials.changed({}, differ))

    def _take_in(self, states: dict[str, StudyState], found: list[Trial]) -> None:
        """Put trials that were read in the place of what was known of them."""
        name_of = {key: name for name in states for key in experiment_keys(name)}
        news: dict[str, list[Trial]] = {}
        for trial in found:
            if trial.exp_key in name_of:  # its worker may have written another meanwhile
                news.setdefault(name_of[trial.exp_key], []).append(trial)
        for name, changed in news.items():
            state = states[name]
            merged = {trial.id: trial for trial in (*state.trials, *changed)}
            trials = tuple(sorted(merged.values(), key=lambda trial: trial.tid))
            if trials != state.trials:
                states[name] = StudyState(state.summary, trials)
