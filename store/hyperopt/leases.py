"""The leases of the jobs that this process reserved by hyperopt's API."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from pymongo.errors import InvalidOperation

from hyperhive.store.errors import LeaseLost, StoreError
from hyperhive.store.trials.queue import DEFAULT_LEASE_S, TrialQueue
from hyperhive.store.trials.trial import Trial

log = logging.getLogger(__name__)


class LeaseKeeper:
    """Renews the leases of reserved jobs, in one thread, until each job is dropped.

    The thread runs only while there are jobs. When the process dies the leases end, and another
    process may reserve the jobs.
    """

    def __init__(self, queue: TrialQueue) -> None:
        self.lease = DEFAULT_LEASE_S
        self._queue = queue
        self._held: dict[Any, Trial] = {}
        self._guard = threading.Lock()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def keep(self, trial: Trial) -> None:
        """Renew a trial's lease from now on."""
        with self._guard:
            self._held[trial.id] = trial
            if self._thread is None or not self._thread.is_alive():  # a fork copies no threads
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()

    def drop(self, job_id: Any) -> None:
        """Stop renewing a job's lease, if it was kept."""
        with self._guard:
            self._held.pop(job_id, None)
            self._changed.set()

    def _run(self) -> None:
        due = time.monotonic() + self.lease / 4
        while True:
            self._changed.wait(max(0.0, due - time.monotonic()))
            with self._guard:
                self._changed.clear()
                held = list(self._held.values())
                if not held:
                    self._thread = None
                    return
            # A job that was dropped wakes this thread too: that must not delay the heartbeats.
            if time.monotonic() >= due:
                due += self.lease / 4
                for trial in held:
                    self._renew(trial)

    def _renew(self, trial: Trial) -> None:
        try:
            self._queue.heartbeat(trial, lease=self.lease)
        except LeaseLost:
            log.warning("%s is no longer this process's", trial.full_title)
            self.drop(trial.id)
        except InvalidOperation:  # the store was closed: its leases end by themselves
            self.drop(trial.id)
        except StoreError as error:
            log.warning("%s; the job goes on without it", error)
