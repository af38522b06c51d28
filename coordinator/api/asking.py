"""Ask and tell: a program takes a study's trials one by one, and says what each has given."""

from __future__ import annotations

import functools
import threading
import time
from pathlib import Path
from typing import Any, Mapping

from hyperhive.common.errors import UsageError
from hyperhive.common.text import storable
from hyperhive.coordinator.api.connection import patiently
from hyperhive.coordinator.api.leases import DEVICE, Leases
from hyperhive.coordinator.search_trials import SearchTrials
from hyperhive.coordinator.searching.sweep import COLLECT_EVERY_S
from hyperhive.coordinator.searching.teaching import as_taught
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.study_run import StudyFailed, StudyRun
from hyperhive.coordinator.views.study_state import Snapshot
from hyperhive.model.data.cache import DatasetCache
from hyperhive.store.blobs import BlobRef
from hyperhive.store.encoding import LARGEST_RESULT, encoded
from hyperhive.store.errors import LeaseLost, StoreUnavailable, StudyExtended, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import ASK, ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import LONGEST_MESSAGE
from hyperhive.worker.claiming import Claimer
from hyperhive.worker.heartbeat import Held
from hyperhive.worker.objectives.api import Context, Outcome
from hyperhive.worker.objectives.function import RunningTrial, result_of
from hyperhive.worker.objectives.goal import scored
from hyperhive.worker.objectives.saving import Content, SavedFiles, forget_collected, upload
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.pruning.pruner import Pruner
from hyperhive.worker.trial_run import LARGEST_PROGRESS

_POLL_S = 0.2
_TOLD = "the program told"


class AskedTrial(RunningTrial):
    """A trial that a program has asked for: ``config``, ``number``, ``report``, ``save`` ...

    It is what a function of ``(config, trial)`` gets from a worker.
    """

    def __init__(self, held: Held, context: Context, saved: SavedFiles, pruner: Pruner) -> None:
        super().__init__(context, "the program")
        self.config: dict[str, Any] = dict(held.trial.config)
        self.held = held
        self.saved = saved
        self.uploaded: dict[str, BlobRef] = {}
        """What of that the store has: see ``upload``."""
        self.pruner = pruner
        self.told: dict[str, Any] | None = None
        """What its study was told of it, once that has arrived."""
        self.study: Any = None
        """The study, which must not be collected, and give its trials back, while one is in use."""

    def save(self, name: str, content: Content) -> None:
        """Keep a file, as a function does; raises ``UsageError`` once the study was closed."""
        self.study.require_open()
        super().save(name, content)

    def __repr__(self) -> str:
        return f"<trial {self.number}: {self.config}>"


def _require_server(snapshot: Snapshot) -> None:
    """Raise ``StoreUnavailable`` where a coordinator would wait for ever: see ``patiently``."""
    if not snapshot.is_reachable:
        raise StoreUnavailable(snapshot.phase)


class Asker:
    """Takes the trials of one study for this program.

    Whatever it does to the study is in the store at once, so that the program may be killed at any
    moment, and any number of programs may ask.

    Args:
        store: where the study is.
        name: of the study.
        leases: keeps what is asked.
        outbox: has the files that trials save until they are told.
    """

    def __init__(self, store: Store, name: str, leases: Leases, outbox: Outbox) -> None:
        self._outbox = outbox
        self._store = store
        self._name = name
        self._leases = leases
        objectives = leases.identity.objectives or ()
        self._claimer = Claimer(leases.identity, objectives, leases.lease, first_come=True)
        self._study: Study | None = None
        self._trials: SearchTrials | None = None
        self._collected_at = -COLLECT_EVERY_S

    def ask(self) -> AskedTrial | None:
        """Return a trial to run, None once there is none left for this program; see ``Study``."""
        while True:
            self._leases.raise_failure()
            trials = patiently(self._look)
            if trials is None:
                return None
            claimed = patiently(lambda: self._claimer.next_trial(self._store))
            if claimed is not None:
                self._claimer.confirm()
                return self._held(claimed)
            if patiently(lambda: self._post_next(trials)):  # noqa: B023 - it is called at once
                continue
            if not any(trial.status is Status.NEW for trial in trials.unfinished):
                return None
            time.sleep(_POLL_S)  # a trial that has failed waits some seconds for its next attempt

    def tell(self, trial: AskedTrial, found: Any) -> None:
        """Deliver a result: see ``Study.tell``."""
        goal = trial.held.trial.goal
        if trial.pruner.has_pruned:
            ended = trial.pruner.outcome({"history": trial.history})
        else:
            ended = Outcome(result_of(_TOLD, found, goal, trial.history))
        outcome = scored(ended, trial.held.trial, _TOLD).result
        encoded("the result", outcome, LARGEST_RESULT)
        if self._was_told(trial, outcome):
            return
        held = trial.held.trial
        try:
            counts = patiently(lambda: self._delivered(trial, outcome))
        except LeaseLost as error:
            self._release(trial)
            raise LeaseLost(
                f"{held.full_title} is no longer in the store: it was deleted, or its study ended "
                "without it"
            ) from error
        self._release(trial)
        if not counts:
            raise LeaseLost(
                f"{held.full_title} has ended already, with another's result or because it was "
                "cancelled: this one is kept, and does not count"
            )
        trial.told = outcome
        patiently(self._look)

    def tell_error(self, trial: AskedTrial, why: str) -> None:
        """Report that an attempt has failed: see ``Study.tell``."""
        error = {"error": storable(why, LONGEST_MESSAGE)}
        if self._was_told(trial, error):
            return
        is_repeated = False

        def fail() -> None:
            nonlocal is_repeated
            try:
                self._store.queue.fail(trial.held.trial, ErrorKind.OBJECTIVE, error["error"])
            except StoreUnavailable:
                is_repeated = True
                raise
            except LeaseLost:
                # The first request may have arrived, and only its reply was lost.
                if not (is_repeated and self._has_failed(trial.held.trial, error["error"])):
                    self._release(trial)
                    raise

        patiently(fail)
        self._release(trial)
        trial.told = error
        patiently(self._look)

    def _delivered(self, trial: AskedTrial, outcome: Mapping[str, Any]) -> bool:
        """Deliver a result and what was saved with it; return whether it counts."""
        held, saved = trial.held.trial, trial.saved
        files = () if outcome.get("pruned") is True else saved.all()
        now = self._store.trials.get(held.id) if files else None
        artifacts = []
        if now is not None and now.takes_result:
            forget_collected(self._store, trial.uploaded)
            artifacts = upload(self._store, now, files, saved.where, trial.uploaded)
        return self._store.queue.finish(held.id, str(held.token), outcome, None, artifacts)

    def _release(self, trial: AskedTrial) -> None:
        self._leases.release(trial.held)
        trial.saved.discard()

    def _was_told(self, trial: AskedTrial, what: Mapping[str, Any]) -> bool:
        if trial.told is not None and trial.told != what:
            raise UsageError(f"{trial.held.trial.full_title} was told before, and with another end")
        return trial.told is not None

    def _has_failed(self, trial: Trial, why: str) -> bool:
        now = self._store.trials.get(trial.id)
        return now is not None and now.error is not None and now.error["message"] == why

    def _look(self) -> SearchTrials | None:
        """Read the study again; return its trials, None if it has ended, and end it if it must.

        Raises ``NotFound``, ``StudyWithdrawn``, ``UsageError`` before its teacher is trained.
        """
        stored = self._store.study(self._name)
        if stored.cancelled:
            raise StudyWithdrawn(f"study {self._name} was cancelled")
        study = as_taught(self._store, Study.stored(self._name, stored.spec))
        if self._trials is None or study != self._study:
            self._study, self._trials = study, SearchTrials(self._store, study)
            self._trials.load()
        if stored.result is not None:
            return None
        self._store.sweep()
        self._trials.look()
        self._clean_up(self._trials)
        try:
            is_finishing = stored.finishing or self._stops(study, self._trials, stored.extended)
            if is_finishing or self._trials.ended >= study.plan.trials:
                self._conclude(study)
                return None
        except StudyExtended:  # since it was read: it goes on
            return self._look()
        self._trials.post_known()
        return self._trials

    def _clean_up(self, trials: SearchTrials) -> None:
        """Delete the files that no result needs, as a coordinator does."""
        if not trials.drop_files():
            trials.load()
        now = time.monotonic()
        if now - self._collected_at >= COLLECT_EVERY_S:
            self._collected_at = now
            self._store.collect_orphans()

    def _stops(self, study: Study, trials: SearchTrials, extended: int) -> bool:
        """Return whether a rule of the study ends it, and note that in the store."""
        rules = study.plan.rules
        spent = 0.0 if rules.max_time is None else self._store.studies.spend(self._name)
        why = trials.why_stop(spent)
        if why is not None:
            self._store.studies.finish(self._name, why, extended)
        return why is not None

    def _conclude(self, study: Study) -> None:
        """Give a study that no coordinator runs its result, as a coordinator would."""
        if study.plan.objective != ASK:
            return
        nobody = threading.Event()
        run = StudyRun(
            self._store, study, None, Path(), refit=False, watch=_require_server, stop=nobody
        )
        try:
            run.run(goes_on=False)
        except StudyFailed:  # there is no best trial, and the failed ones say why
            return

    def _post_next(self, trials: SearchTrials) -> bool:
        """Post a trial if the budget has room; return whether it had."""
        has_room = self._study is not None and trials.posted < self._study.plan.trials
        if has_room:
            trials.post_next()
        return has_room

    def _held(self, trial: Trial) -> AskedTrial:
        held, leases = self._leases.hold(trial), self._leases
        pruner = Pruner(held, self._store)
        saved = self._outbox.files(str(trial.token))

        def report(progress: Mapping[str, Any], _: float) -> None:
            encoded("the reported progress", progress, LARGEST_PROGRESS)
            leases.report(held, progress)
            pruner.take_report(progress)

        context = Context(
            device=DEVICE,
            dataset=functools.partial(DatasetCache().get, fetch=self._store.datasets.fetch),
            report=report,
            should_stop=lambda: held.lost.is_set() or held.cancelled.is_set() or pruner.has_pruned,
            trial=trial,
            store=self._store,
            files=saved,
            is_pruned=lambda: pruner.has_pruned,
        )
        return AskedTrial(held, context, saved, pruner)
