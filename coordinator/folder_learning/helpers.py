"""Who trains a version: the workers of the fleet, or else this machine's."""

from __future__ import annotations

import contextlib
import time

from hyperhive.coordinator.views.study_state import Snapshot
from hyperhive.store.trials.terms import LENET5
from hyperhive.worker.local import LocalWorkers, local_workers

_PATIENCE_S = 10.0
"""How long a shared server's workers may be away before this machine's cores train."""


class Helpers:
    """This machine's workers for one study, which run while this is open and they are needed.

    Args:
        uri: of the server.
        study: the one they work for.
        is_shared: whether other machines may have workers on the server.
    """

    def __init__(self, uri: str, study: str, is_shared: bool) -> None:
        self._uri = uri
        self._study = study
        self._is_shared = is_shared
        self._local: LocalWorkers | None = None
        self._alone_since: float | None = None
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Helpers:
        if not self._is_shared:
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def look(self, snapshot: Snapshot) -> None:
        """Start them if nobody else is there; raises ``WorkersFailed`` if they have ended."""
        if self._local is not None:
            self._local.raise_if_failed()
            return
        if snapshot.workers or not snapshot.is_reachable:
            self._alone_since = None
            return
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        if now - self._alone_since > _PATIENCE_S:
            self._start()

    def _start(self) -> None:
        workers = local_workers(None, LENET5, self._uri, study=self._study)
        self._local = self._running.enter_context(workers)
