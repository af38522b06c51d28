"""The search: post trials, watch them, keep the best; then refit the winner and test it, once."""

from __future__ import annotations

import dataclasses
import threading
import time
from dataclasses import dataclass
from typing import (
    Any,
    Callable,
    Iterable,
    Mapping,
    Sequence,
    TypeVar,
)

from hyperhive.common.errors import InputError
from hyperhive.coordinator.history import known_at, latest_claim
from hyperhive.coordinator.ranking import best_of, ranking
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.suggest import Suggester
from hyperhive.model.config import TrainConfig
from hyperhive.store.errors import LeaseLost, NotFound, StoreUnavailable, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trial import BASELINE, REFIT, SEARCH, Draft, Status, Trial
from hyperhive.store.workers import WorkerRecord

POLL_S = 0.1
_SWEEP_EVERY_S = 2.0
_COLLECT_EVERY_S = 60.0
_RECONNECT_S = 1.0
WEIGHTS_KEPT = 10
"""The best trials keep their weights in the store; the rest are dropped as better ones come."""


class NoWorker(InputError):
    """No worker was there for as long as the search was to wait for one."""


class Interrupted(Exception):
    """The search was stopped on request; it can be resumed by starting it again."""


@dataclass(frozen=True)
class Snapshot:
    """The state of a search at one moment: what a person watching it wants to know."""

    study: str
    phase: str
    budget: int
    finished: tuple[Trial, ...]
    unfinished: tuple[Trial, ...]
    workers: tuple[WorkerRecord, ...]
    seconds: float
    finished_before: int
    had_workers: bool = False
    is_reachable: bool = True

    @property
    def running(self) -> list[Trial]:
        """The trials that a worker holds."""
        return [trial for trial in self.unfinished if trial.status is Status.RUNNING]

    @property
    def waiting(self) -> list[Trial]:
        """The trials that wait for a worker."""
        return [trial for trial in self.unfinished if trial.status is Status.NEW]

    @property
    def best(self) -> Trial | None:
        """The best trial so far."""
        return best_of(self.finished)

    def seconds_left(self) -> float | None:
        """The time left at the pace so far; None until a trial has finished in this run."""
        done = len(self.finished) - self.finished_before
        if done < 1:
            return None
        return self.seconds / done * (self.budget - len(self.finished))


Watch = Callable[[Snapshot], None]
_T = TypeVar("_T")


class Search:
    """The loop of one study in this process.

    Everything it knows it can read from the store, so it may be killed at any moment and started
    again. Two of them on one study do no harm: a trial can be posted once only.

    Args:
        store: where the trials are.
        study: what to search.
        watch: told how things stand, several times a second.
        stop: ends the search with ``Interrupted``, when set.
        timeout: seconds without any worker that end it with ``NoWorker``; None waits for ever.

    Every method raises ``StudyWithdrawn`` once somebody has cancelled or deleted the study.
    """

    def __init__(
        self,
        store: Store,
        study: Study,
        watch: Watch,
        stop: threading.Event,
        timeout: float | None = None,
    ) -> None:
        self._store = store
        self._study = study
        self._watch = watch
        self._stop = stop
        self._timeout = timeout
        plan = study.plan
        self._suggester = Suggester(plan.algorithm, plan.space, plan.seed, plan.startup)
        self._finished: dict[int, Trial] = {}
        self._unfinished: dict[int, Trial] = {}
        self._not_ours: set[int] = set()
        self._workers: tuple[WorkerRecord, ...] = ()
        self._last_sweep = -_SWEEP_EVERY_S
        self._last_collect = -_COLLECT_EVERY_S
        self._begun = self._last_worker = time.monotonic()
        self._had_workers = False
        self._finished_before = 0

    def run(self) -> list[Trial]:
        """Search until every trial of the budget has ended; return them all.

        Raises ``Interrupted``.
        """
        self.persist(self._load)
        self._finished_before = len(self._finished)
        self.persist(self._post_baseline)
        while len(self._finished) < self._study.plan.trials:
            self.persist(self._step)
            self._watch(self._snapshot(self._phase("searching", self._unfinished.values())))
            self._pause(POLL_S)
        # A lost worker's result may have come after its trial was given up: read all once more.
        self.persist(self._load)
        self.persist(self._prune)
        return list(self._finished.values())

    def refit(self, winner: Trial) -> Trial:
        """Have a worker train the winner's configuration on all training data; return that trial.

        It may end in ERROR. Raises ``Interrupted``.
        """
        config = dataclasses.replace(TrainConfig.from_json(winner.config), train_on_all=True)
        draft = self._draft(REFIT, winner.tid, config, winner.vals)
        return self._run_extra(draft, "refitting the best on all training data")

    def baseline(self) -> Trial:
        """Return the trial of the untuned configuration, once it has ended."""
        return self._run_extra(self._baseline_draft(), "waiting for the untuned baseline")

    # -- one step -------------------------------------------------------------------------------

    def _load(self) -> None:
        trials = self._store.trials.find(self._study.name, SEARCH)
        self._finished = {trial.tid: trial for trial in trials if trial.is_final}
        self._unfinished = {trial.tid: trial for trial in trials if not trial.is_final}

    def _step(self) -> None:
        self._sweep()
        self._look_at(self._unfinished)
        plan = self._study.plan
        # As many waiting as the workers can take at once: a worker that finishes finds the next
        # trial there, and no suggestion is made before its time.
        while len(self._finished) + len(self._unfinished) < plan.trials:
            if self._waiting() >= max(1, len(self._workers)):
                break
            self._post_next()

    def _sweep(self) -> None:
        """What need not happen at every poll."""
        if time.monotonic() - self._last_sweep < _SWEEP_EVERY_S:
            return
        self._last_sweep = time.monotonic()
        self._require_study()
        self._store.queue.expire()
        self._workers = tuple(self._store.workers.present(self._study.name))
        self._require_worker()
        if time.monotonic() - self._last_collect >= _COLLECT_EVERY_S:
            self._last_collect = time.monotonic()
            self._store.collect_orphans()
        self._prune()

    def _require_worker(self) -> None:
        """Raise ``NoWorker`` if there has been none for longer than the search is to wait."""
        if self._workers:
            self._had_workers = True
            self._last_worker = time.monotonic()
        alone = time.monotonic() - self._last_worker
        if self._timeout is not None and alone > self._timeout:
            raise NoWorker(
                f"no worker for {self._timeout:.0f} s: start one and the same study again, "
                "and it goes on from "
                "here"
            )

    def _require_study(self) -> None:
        """Raise ``StudyWithdrawn`` if it was, after taking back what was posted meanwhile."""
        name = self._study.name
        stored = self._store.studies.get(name)
        if stored is None:
            self._store.delete_study(name)
            raise StudyWithdrawn(f"study {name} was deleted")
        if stored.cancelled:
            self._store.cancel_study(name)
            raise StudyWithdrawn(f"study {name} was cancelled")

    def _prune(self) -> None:
        """Drop the weights of all trials but the best."""
        changed = False
        for trial in ranking(self._finished.values())[WEIGHTS_KEPT:]:
            if trial.artifact is not None:
                try:
                    self._finished[trial.tid] = self._store.drop_weights(trial)
                except LeaseLost:
                    self._require_study()  # it was deleted, and its trials with it
                    changed = True  # or somebody wrote into this one, though it had ended
        if changed:
            self._load()

    def _look_at(self, unfinished: Mapping[int, Trial]) -> None:
        """Read the unfinished trials again; a study's finished ones are never read twice.

        What is not there any more was deleted, or somebody wrote into it: another is posted.
        """
        if not unfinished:
            return
        asked = list(unfinished)
        found = {
            trial.tid: trial for trial in self._store.trials.find(self._study.name, SEARCH, asked)
        }
        for tid in asked:
            trial = found.get(tid)
            if trial is not None and not trial.is_final:
                self._unfinished[tid] = trial
                continue
            del self._unfinished[tid]
            if trial is not None:
                self._finished[tid] = trial

    def _post_next(self) -> None:
        tid = self._next_tid()
        moment = latest_claim(self._trials())
        self._look_at(self._unfinished)  # all that had ended at that moment is there to be seen now
        vals = self._suggester.suggest(tid, known_at(moment, self._trials()))
        self._store.queue.post(self._draft(SEARCH, tid, self._study.config(vals), vals))
        # Read back: another coordinator may have been first, or hyperopt itself.
        found = self._store.trials.find(self._study.name, SEARCH, [tid])
        if found:
            self._unfinished[tid] = found[0]
        else:
            self._not_ours.add(tid)

    def _next_tid(self) -> int:
        taken: set[int] = set(self._finished) | set(self._unfinished) | self._not_ours
        return next(tid for tid in range(len(taken) + 1) if tid not in taken)

    def _trials(self) -> list[Trial]:
        return [*self._finished.values(), *self._unfinished.values()]

    def _waiting(self) -> int:
        waiting = [t for t in self._unfinished.values() if t.status is Status.NEW]
        return sum(not self._fits_nobody(trial) for trial in waiting)

    def _fits_nobody(self, trial: Trial) -> bool:
        """Whether the device of every worker here has failed at a trial."""
        here = [worker.id for worker in self._workers]
        return trial.status is Status.NEW and bool(here) and set(here) <= set(trial.excluded)

    def _phase(self, phase: str, trials: Iterable[Trial]) -> str:
        stuck = [str(trial.tid) for trial in trials if self._fits_nobody(trial)]
        if not stuck:
            return phase
        return "{}; trial {} waits for another worker: the devices here failed at it".format(
            phase, ", ".join(stuck)
        )

    # -- trials beside the search ---------------------------------------------------------------

    def _post_baseline(self) -> None:
        self._store.queue.post(self._baseline_draft())

    def _baseline_draft(self) -> Draft:
        return self._draft(BASELINE, 0, self._study.untuned_config())

    def _run_extra(self, draft: Draft, phase: str) -> Trial:
        """Post a trial that is not part of the search, and wait for its end."""
        trial: list[Trial] = []

        def step() -> None:
            self._store.queue.post(draft)
            self._sweep()
            found = self._store.trials.find(draft.study, draft.purpose, [draft.tid])
            if not found:
                self._require_study()  # it was deleted, and this trial with it
                raise NotFound(
                    f"the {draft.purpose} trial of study {draft.study} cannot be read any "
                    "more: somebody wrote into "
                    "it"
                )
            trial[:] = found

        self.persist(step)
        while not trial[0].is_final:
            self._watch(self._snapshot(self._phase(phase, trial), trial))
            self._pause(POLL_S)
            self.persist(step)
        return trial[0]

    def _draft(
        self, purpose: str, tid: int, config: TrainConfig, vals: Mapping[str, Any] | None = None
    ) -> Draft:
        return Draft(
            study=self._study.name,
            purpose=purpose,
            tid=tid,
            config=config.to_json(),
            vals=vals or {},
            objective=self._study.plan.objective,
            max_attempts=self._study.plan.max_attempts,
            cost=config.epochs,
        )

    # -- keeping on -----------------------------------------------------------------------------

    def persist(self, step: Callable[[], _T]) -> _T:
        """Do a step that is safe to do again, until the server lets it through."""
        while True:
            try:
                return step()
            except StoreUnavailable as error:
                snapshot = self._snapshot(f"{error}; waiting for it")
                self._watch(dataclasses.replace(snapshot, is_reachable=False))
                self._pause(_RECONNECT_S)

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Interrupted

    def _snapshot(self, phase: str, extra: Sequence[Trial] = ()) -> Snapshot:
        return Snapshot(
            study=self._study.name,
            phase=phase,
            budget=self._study.plan.trials,
            finished=tuple(self._finished.values()),
            unfinished=(*self._unfinished.values(), *extra),
            workers=self._workers,
            seconds=time.monotonic() - self._begun,
            finished_before=self._finished_before,
            had_workers=self._had_workers,
        )
