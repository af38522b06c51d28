"""What a search does only every few seconds: it gives up lost trials and looks for workers."""

from __future__ import annotations

import time
from typing import Iterable

from hyperhive.common.errors import InputError
from hyperhive.coordinator.views.waiting import why_waiting
from hyperhive.store.errors import StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status, experiment_keys
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import WorkerRecord

SWEEP_EVERY_S = 2.0
COLLECT_EVERY_S = 60.0


class NoWorker(InputError):
    """Nobody could take a trial for the whole time that the search may wait for a worker."""


class Sweep:
    """Sweeps the trials of a study's search, and knows what came of it.

    Args:
        store: where the trials are.
        study: the name of the study.
        timeout: seconds without a worker that could take a trial, after which ``NoWorker`` is
            raised; None for never.
    """

    def __init__(self, store: Store, study: str, timeout: float | None) -> None:
        self._store = store
        self._study = study
        self._timeout = timeout
        self._swept_at = -SWEEP_EVERY_S
        self._collected_at = -COLLECT_EVERY_S
        self._worker_seen_at = time.monotonic()
        self.finishes = False
        """Whether the study is to end with the trials that it has."""
        self.finish_reason: str | None = None
        """Which rule ended the search, in words; None if none did, or a person."""
        self.refits = True
        """Whether its winner is to be refitted."""
        self.extended: int | None = None  # so often; None for any number
        self.here: tuple[WorkerRecord, ...] = ()
        self.had_workers = False

    @property
    def workers(self) -> list[WorkerRecord]:
        """The workers that would take the study's trials, if they have its objective."""
        return [worker for worker in self.here if worker.takes(self._study)]

    def run_if_due(self, trials: Iterable[Trial]) -> bool:
        """Sweep if the last sweep was long enough ago; return whether it did.

        ``trials`` are those that must end before the study goes on. Raises ``StudyWithdrawn``,
        ``NoWorker``.
        """
        now = time.monotonic()
        if now - self._swept_at < SWEEP_EVERY_S:
            return False
        self._swept_at = now
        self.require_study()
        self._store.sweep()
        self.here = tuple(self._store.workers.present())
        self._require_worker([trial for trial in trials if not trial.is_final])
        if now - self._collected_at >= COLLECT_EVERY_S:
            self._collected_at = now
            self._store.collect_orphans()
            self._store.forget_orders()
        return True

    def require_study(self) -> None:
        """Raise ``StudyWithdrawn`` if the study was cancelled or deleted.

        Trials that were posted meanwhile are cancelled or deleted with it. Raises ``StudyExtended``
        too: see ``Search.expect``.
        """
        stored = self._store.studies.get(self._study)
        if stored is None:
            self._store.delete_study(self._study)
            raise StudyWithdrawn(f"study {self._study} was deleted")
        if stored.cancelled:
            self._store.cancel_study(self._study)
            raise StudyWithdrawn(f"study {self._study} was cancelled")
        stored.require(self.extended)
        self.finishes, self.refits = stored.finishing, stored.refits
        self.finish_reason = stored.finish_reason

    def _require_worker(self, trials: list[Trial]) -> None:
        """Raise ``NoWorker`` if none could go on for longer than the search may wait."""
        self.had_workers = self.had_workers or bool(self.here)
        if any(self._goes_on(worker, trials) for worker in self.workers):
            self._worker_seen_at = time.monotonic()
        seconds_alone = time.monotonic() - self._worker_seen_at
        if self._timeout is not None and seconds_alone > self._timeout:
            if not self.here:
                raise NoWorker(
                    f"no worker for {self._timeout:.0f} s: start a worker and the same study "
                    "again, and it goes on from here"
                )
            why = why_waiting(self._study, trials, self.here, self.had_workers)
            raise NoWorker(
                f"no worker here could go on for {self._timeout:.0f} s "
                f"({why or 'those that did are gone'}); start the same study again, and it goes on "
                "from here"
            )

    def _goes_on(self, worker: WorkerRecord, trials: list[Trial]) -> bool:
        """Return whether a worker runs a trial of the study, or could take what comes next."""
        key, _, _ = (worker.trial or "").rpartition("/")
        waiting = [trial for trial in trials if trial.status is Status.NEW]
        # A worker that its machine pauses goes on by itself; one that was ordered to does not.
        could = not worker.order and any(worker.can_run(trial) for trial in waiting or trials)
        return key in experiment_keys(self._study) or could or not trials
