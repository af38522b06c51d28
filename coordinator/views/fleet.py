"""The fleet as it stands: its studies with their trials, and its workers. It is only read."""

from __future__ import annotations

import bisect
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Callable, Iterable, Mapping, Sequence

from hyperhive.common.values import mapping, number, whole
from hyperhive.coordinator.results.repeated import repeated_of
from hyperhive.coordinator.results.tally import order
from hyperhive.coordinator.views.study_state import StudyState, at_work, refit_length
from hyperhive.coordinator.views.waiting import is_asked_for, why_waiting
from hyperhive.coordinator.views.wording import no_worker
from hyperhive.store.store import Store
from hyperhive.store.studies import StudySummary
from hyperhive.store.trials.reader import Plain
from hyperhive.store.trials.terms import HYPEROPT, SEARCH, experiment_key, experiment_keys
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import WorkerRecord

COMPARE_EVERY_S = 60.0
"""Seconds between two comparisons of finished trials: a late result is seen that much later."""

_SHOWN = ("result.card.test_accuracy", "result.winner", "result.repeats")
"""The parts of a study's result that are shown here, by their names in the study's document."""


@dataclass(frozen=True)
class Fleet:
    """The studies and workers of a store at one moment.

    Args:
        address: of the store.
        studies: hyperopt's experiments by name, then the studies, the oldest first.
        here: the workers that were heard of lately, also those of other studies.
        workers: those of them that would take trials of the studies.
        silent: those that were heard of within a day, but not lately.
        overdue: the ids of the trials whose lease is over.
        notes: what differs once a note was added or removed; None if that was not read.
    """

    address: str
    studies: tuple[StudyState, ...]
    here: tuple[WorkerRecord, ...]
    workers: tuple[WorkerRecord, ...]
    silent: tuple[WorkerRecord, ...]
    overdue: frozenset[Any]
    notes: Any = None

    @property
    def held(self) -> dict[str, Trial]:
        """The trial that each worker runs, see ``at_work``."""
        return at_work(trial for study in self.studies for trial in study.tally.open)

    @property
    def lost(self) -> frozenset[str]:
        """The ids of the workers that are silent, or have lost the trial that they reported last.

        A worker that lives notices within a beat that its trial's lease is over, or that another
        worker has it.
        """
        trials = [trial for study in self.studies for trial in study.tally.notable]
        over = [str(trial.owner) for trial in trials if trial.id in self.overdue]
        owners = {trial.label: {str(trial.owner)} for trial in trials if trial.owner}
        for trial in trials:
            owners.get(trial.label, set()).update([trial.copy.worker] if trial.copy else [])
        taken = [
            worker.id
            for worker in self.here
            if worker.trial is not None and worker.id not in owners.get(worker.trial, {worker.id})
        ]
        return frozenset([*over, *taken, *(worker.id for worker in self.silent)])

    @property
    def waiting(self) -> list[str]:
        """Why trials wait, a line for each study where nobody takes some, or one for them all."""
        studies = [study for study in self.studies if study.is_open]
        together = []
        if not self.here:
            need_workers = [study for study in studies if not is_asked_for(study.tally.telling)]
            studies = [study for study in studies if study not in need_workers]
            objectives = {
                trial.objective for study in need_workers for trial in study.tally.telling
            }
            together = [no_worker(bool(self.silent), objectives)] if need_workers else []
        reasons = [
            (study.title, why_waiting(study.name, study.tally.telling, self.here, True))
            for study in studies
        ]
        return [f"{name}: {reason}" for name, reason in reasons if reason is not None] + together


class FleetReader:
    """Reads the fleet again and again, but of the trials only those that may have changed.

    Those are the unfinished ones, and the ones posted since the last reading. A finished trial can
    still change (a late result, say); every ``COMPARE_EVERY_S`` seconds the versions tell which
    did.

    Args:
        store: where the fleet is; its user needs no right but to read.
        only: the one study or experiment of hyperopt's to read, with the workers that would take
            its trials; by default all.
        clock: gives seconds.
        briefly: of the trials that are done without an incident, read only the best of each study,
            and have the server count the others.
    """

    def __init__(
        self,
        store: Store,
        only: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        briefly: bool = False,
    ) -> None:
        self._store = store
        self._only = only
        self._clock = clock
        self._briefly = briefly
        self._states: dict[str, StudyState] = {}
        self._created: dict[str, datetime] = {}
        self._closed: set[str] = set()
        self._compared_at = clock()

    def read(self) -> Fleet:
        """Return the fleet as it is now.

        Raises ``StoreError``, and ``NotFound`` if the one study is not there; what was read before
        is not lost by that.
        """
        summaries = self._store.studies.summaries(self._only, _SHOWN)
        states = self._experiments(summaries)
        if self._only is not None and not summaries and not states:
            self._store.study(self._only)  # raises NotFound, which names the studies that exist
        states.update((each.name, self._known(each)) for each in summaries)
        # A study that closed since the last read may have ended trials that were never seen.
        self._merge(states, self._store.trials.changed(*self._question(states), self._briefly))
        if self._briefly:
            self._count(states)
        if self._clock() - self._compared_at >= COMPARE_EVERY_S:
            self._compare(states)
            self._compared_at = self._clock()
        self._states = states
        self._created = {each.name: each.created for each in summaries}
        self._closed = {name for name, state in states.items() if not state.is_open}
        here = tuple(self._store.workers.present())
        return Fleet(
            self._store.address,
            tuple(map(_shown, states.values())),
            here,
            tuple(each for each in here if self._only is None or each.takes(self._only)),
            tuple(self._store.workers.silent(self._only)),
            frozenset(trial.id for trial in self._store.trials.overdue()),
            None if self._briefly else self._store.mark_of_notes(),
        )

    def _experiments(self, summaries: Iterable[StudySummary]) -> dict[str, StudyState]:
        """Return hyperopt's experiments with the trials that are known of them, by name.

        One that has the name of a study is left out.
        """
        studies = {key for each in summaries for key in experiment_keys(each.name)}
        keys = self._store.trials.keys() if self._only is None else [self._only]
        before = {name for name, state in self._states.items() if state.is_experiment}
        return {
            key: self._states[key] if key in before else StudyState(key, 0, (), is_experiment=True)
            for key in keys
            if key not in studies and (key in before or self._store.trials.has_jobs(key or None))
        }

    def _known(self, summary: StudySummary) -> StudyState:
        """Return a study with the trials that are known of it, as its summary now describes it.

        The state is the same object while nothing changed, so that it is ranked only once.
        """
        known = self._states.get(summary.name)
        if known is None or self._created.get(summary.name) != summary.created:
            self._closed.discard(summary.name)  # it was deleted and started again
            return _state_of(summary, StudyState(summary.name, 0, ()))
        state = _state_of(summary, known)
        return known if state == known else state

    def _question(self, states: Mapping[str, StudyState]) -> tuple[dict[str, int], list[Any]]:
        """Return what to ask the store for: see ``TrialReader.changed``."""
        above: dict[str, int] = {}
        unfinished: list[Any] = []
        for name, state in states.items():
            if state.is_experiment or name not in self._closed or state.is_open:
                # Trials of the other purposes are few, and their tids have no order: read them all.
                above.update(
                    {} if state.is_experiment else dict.fromkeys(experiment_keys(name), -1)
                )
                above[experiment_key(name)] = state.tally.last_tid
            unfinished += [trial.id for trial in state.tally.open]
        return above, unfinished

    def _count(self, states: dict[str, StudyState]) -> None:
        """Have the server count the trials that were not read, and read the best of them."""
        trials = self._store.trials
        searches = [name for name, state in states.items() if not state.is_experiment]
        read = [trial.id for state in states.values() for trial in state.trials]
        counted = trials.plain(searches, read)
        found = trials.changed({}, [each.best for each in counted.values()])
        shown = [trial for trial in found if trial.exp_key in counted]  # not written into meanwhile
        best = {trial.study: trial.tid for trial in shown}
        for name in counted:
            winner = states[name].winner
            if winner is not None and winner not in (best.get(name), *_tids(states[name])):
                shown += trials.find(name, SEARCH, [winner], in_short=True)
        for trial in shown:
            done, pruned, _ = counted[trial.study]
            counted[trial.study] = Plain(done - 1, pruned - trial.pruned, None)
        self._merge(states, shown)
        for name, each in counted.items():
            states[name] = replace(states[name], unread=(each.done, each.pruned))

    def _compare(self, states: dict[str, StudyState]) -> None:
        """Read the finished trials that changed, and forget those that are gone."""
        versions = self._store.trials.versions(states)
        known = {trial.id: trial.version for state in states.values() for trial in state.trials}
        differing = [id for id, version in versions.items() if known.get(id) != version]
        for name, state in states.items():
            remaining = tuple(trial for trial in state.trials if trial.id in versions)
            if len(remaining) < len(state.trials):
                states[name] = replace(state, trials=remaining)
        if differing:
            self._merge(states, self._store.trials.changed({}, differing))

    def _merge(self, states: dict[str, StudyState], trials: list[Trial]) -> None:
        """Replace what was known of these trials by what was read now."""
        name_of = {key: name for name in states for key in experiment_keys(name)}
        read: dict[str, list[Trial]] = {}
        for trial in trials:
            name = name_of.get(trial.exp_key)  # its worker may have written another meanwhile
            if name is not None and states[name].is_experiment == (trial.objective == HYPEROPT):
                read.setdefault(name, []).append(trial)
        for name, changed in read.items():
            state = states[name]
            newest = {trial.id: trial for trial in changed}
            known = {each: state.tally.known(each) for each in newest}
            news = [trial for trial in newest.values() if trial != known[trial.id]]
            if news:
                merged = _with(state.trials, news, known)
                tally = state.tally.taking(merged, news)
                states[name] = replace(state, trials=merged, tally=tally)


def _tids(state: StudyState) -> list[Any]:
    return [trial.tid for trial in state.searched]


def _with(
    trials: tuple[Trial, ...], news: list[Trial], known: Mapping[Any, Trial | None]
) -> tuple[Trial, ...]:
    """Return trials by tid, with news in place of what was known of the same."""
    if not trials:
        return tuple(sorted(news, key=lambda trial: order(trial.tid)))
    found = list(trials)
    for trial in news:
        before = known[trial.id]
        if before is not None:
            at = bisect.bisect_left(_Orders(found), order(before.tid))
            while found[at] is not before:  # one of another purpose has its number
                at += 1
            del found[at]
        found.insert(bisect.bisect_right(_Orders(found), order(trial.tid)), trial)
    return tuple(found)


class _Orders(Sequence[Any]):
    """What trials are sorted by; only the few that a search asks for are made."""

    def __init__(self, trials: list[Trial]) -> None:
        self._trials = trials

    def __len__(self) -> int:
        return len(self._trials)

    def __getitem__(self, index: Any) -> Any:
        return order(self._trials[index].tid)


def _shown(state: StudyState) -> StudyState:
    """Return a study as it is shown: one that is to finish early searches nothing more."""
    return replace(state, budget=state.ended) if state.finishing and state.is_open else state


def _state_of(summary: StudySummary, known: StudyState) -> StudyState:
    result = summary.result or {}
    winner = whole(result.get("winner"), -1)
    return StudyState(
        name=summary.name,
        budget=summary.budget,
        trials=known.trials,
        tally=known.tally,
        cancelled=summary.cancelled,
        has_ended=summary.has_ended,
        test_accuracy=number(mapping(result.get("card")).get("test_accuracy")),
        refit=refit_length(summary.refits, summary.validation, summary.folds),
        test_images=summary.test_images,
        finishing=summary.finishing,
        repeats=summary.repeats,
        winner=None if winner < 0 else winner,
        repeat_results=repeated_of(result),
    )
