"""A thread that writes, so that a camera's next picture does not wait for the disk."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Callable

from hyperhive.common.errors import OutputError

Job = Callable[[], None]

_MOST = 48_000_000
"""Bytes that may wait: two seconds of a camera of 640x480."""


class Writer:
    """Does jobs in their order, in a thread of its own. Only one thread may give them.

    What a job raises is raised at the next call, once: a disk's error as ``OutputError``. The jobs
    after it are done all the same.

    Args:
        folder: where the jobs write, for that sentence.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jobs: queue.Queue[tuple[Job, int] | None] = queue.Queue()
        self._held = 0
        self._holding = threading.Lock()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether so much waits that no picture should be added to it."""
        return self._held >= _MOST

    def submit(self, job: Job, holds: int = 0) -> None:
        """Have a job done soon, which holds so many bytes; raises what an earlier one raised."""
        self._raise()
        self._hold(holds)
        self._jobs.put((job, holds))

    def flush(self) -> None:
        """Wait until all jobs are done; raises what one of them raised."""
        self._jobs.join()
        self._raise()

    def close(self) -> None:
        """Do all jobs, and end the thread; raises what one of them raised."""
        self._jobs.put(None)
        self._thread.join()
        self._raise()

    def _work(self) -> None:
        while True:
            task = self._jobs.get()
            if task is None:
                return
            job, holds = task
            try:
                job()
            except Exception as error:  # raised in the thread that gives the jobs
                self._failure = error
            finally:
                self._hold(-holds)
                self._jobs.task_done()

    def _hold(self, more: int) -> None:
        with self._holding:
            self._held += more

    def _raise(self) -> None:
        failure, self._failure = self._failure, None
        if isinstance(failure, OSError):
            reason = failure.strerror or str(failure)
            raise OutputError(
                f"cannot write to {self._folder}: {reason}; the pictures that were counted before "
                "are kept"
            ) from failure
        if failure is not None:
            raise failure
