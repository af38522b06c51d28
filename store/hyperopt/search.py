"""One call of ``fmin``: its time limit, and what becomes of it while its jobs wait.

``hyperopt.fmin`` waits for the jobs that it has posted, whatever its time limit is, and says
nothing. Here a job that waits when the time is over is withdrawn, a job that nobody here can run
is told, and ``hyperhive study`` can end the search.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Sequence

from hyperhive.store.errors import StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import HYPEROPT, Status
from hyperhive.store.trials.trial import Trial

log = logging.getLogger(__name__)

_TELL_AFTER_S = 5.0
"""How long the same job must have waited before the reason is looked for."""


class Search:
    """A search that runs in this process.

    Args:
        store: where the jobs are.
        exp_key: of the experiment.
        timeout: seconds; None for no limit.
    """

    def __init__(self, store: Store, exp_key: str | None, timeout: float | None) -> None:
        self._store = store
        self._exp_key = exp_key
        self._name = "fmin" if exp_key is None else f"fmin of {exp_key!r}"
        self._timeout = timeout
        self._started_at = time.monotonic()
        self._unfinished: list[Trial] = []
        self._oldest: tuple[Any, float] = (None, 0.0)
        self._told: str | None = None
        self.is_cancelled = False
        """Whether somebody cancelled the experiment since this search began."""

    @property
    def is_over(self) -> bool:
        """Whether the time limit is reached."""
        return self._timeout is not None and time.monotonic() - self._started_at >= self._timeout

    def look(self) -> None:
        """See to the jobs that are unfinished; call it about once a second.

        Raises ``StudyWithdrawn`` if somebody deleted the experiment.
        """
        self._require_experiment()
        self._unfinished = self._store.trials.unfinished_jobs(self._exp_key)
        waiting = [trial for trial in self._unfinished if trial.status is Status.NEW]
        if self.is_over:
            limit = f"its timeout of {self._timeout:g} s is over"
            self._withdraw(waiting, limit)
        elif self.is_cancelled:  # fmin may have posted some before it was seen
            self._withdraw(waiting, "somebody cancelled it")
        elif waiting:
            self._tell(waiting)

    def _require_experiment(self) -> None:
        """Notice what ``hyperhive study`` did to the jobs that were unfinished at the last look."""
        known = [trial.id for trial in self._unfinished]
        now = self._store.trials.cancel_requests(known) if known else {}
        if known and not now:
            raise StudyWithdrawn(f"{self._name} ends: somebody deleted the experiment")
        if any(now.values()) and not (self.is_cancelled or self.is_over):
            self.is_cancelled = True
            log.warning("%s ends, as somebody cancelled it", self._name)

    def _withdraw(self, waiting: Sequence[Trial], why: str) -> None:
        reason = f"withdrawn before a worker had run it: {self._name} ends, as {why}"
        count = sum(self._store.queue.withdraw(trial, reason) for trial in waiting)
        if count:
            log.warning(
                "%s ends, as %s: its waiting jobs (%d) are withdrawn, and it waits for those that "
                "run",
                self._name,
                why,
                count,
            )

    def _tell(self, waiting: Sequence[Trial]) -> None:
        """Say why the oldest job waits, once for each reason, if nobody here can run it."""
        now = time.monotonic()
        if waiting[0].id != self._oldest[0]:
            self._oldest = (waiting[0].id, now)
        elif now - self._oldest[1] >= _TELL_AFTER_S:
            self._oldest = (waiting[0].id, now)
            reason = self._why_nobody_runs(waiting[0])
            if reason != self._told and reason is not None:
                log.warning("%s waits: %s", self._name, reason)
            self._told = reason

    def _why_nobody_runs(self, trial: Trial) -> str | None:
        here = self._store.workers.present(self._exp_key)
        advice = "run `hyperhive worker --allow-pickled-objectives`"
        if not here:
            return f"no worker is here: {advice}"
        if not any(worker.has(HYPEROPT) for worker in here):
            return f"no worker here runs hyperopt's jobs: {advice}"
        if any(worker.can_run(trial) for worker in here):
            return None
        error = (trial.error or {}).get("message", "no reason was given")
        return (
            f"every worker here has failed at {trial.title}, which ends within a minute or two "
            f"unless another worker comes ({error:.200})"
        )
