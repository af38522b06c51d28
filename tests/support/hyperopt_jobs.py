"""Helpers for the tests of hyperopt's API: experiments on the session's server, and workers."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Iterator

from hyperopt import rand
from hyperopt.mongoexp import ReserveTimeout

from hyperhive.mongoexp import MongoJobs, MongoTrials, MongoWorker
from hyperhive.store.store import Store

QUIET: dict[str, Any] = {"show_progressbar": False, "max_queue_len": 4}


def document(tid: Any, exp_key: Any = "e", **fields: Any) -> dict[str, Any]:
    """Return a job with one hyperparameter, as ``fmin`` posts it."""
    return {
        "state": 0,
        "tid": tid,
        "spec": None,
        "result": {"status": "new"},
        "misc": {
            "tid": tid,
            "cmd": ("domain_attachment", "FMinIter_Domain"),
            "workdir": None,
            "idxs": {"x": [tid]},
            "vals": {"x": [0.5]},
        },
        "exp_key": exp_key,
        "owner": None,
        "version": 0,
        "book_time": None,
        "refresh_time": None,
        **fields,
    }


@contextlib.contextmanager
def workers(store: Store, count: int, folder: Any) -> Iterator[list[threading.Thread]]:
    """Run ``MongoWorker`` in threads until the context ends."""
    ended = threading.Event()

    def work() -> None:
        worker = MongoWorker(MongoJobs(store), 0.1, workdir=str(folder), logfilename=None)
        while not ended.is_set():
            with contextlib.suppress(ReserveTimeout):
                worker.run_one(reserve_timeout=0.2)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@contextlib.contextmanager
def searching(
    trials: MongoTrials, fn: Any, space: Any, count: int, **options: Any
) -> Iterator[None]:
    """Run ``fmin`` in a thread, and wait for its end when the context ends."""

    def search() -> None:
        trials.fmin(fn, space, rand.suggest, count, return_argmin=False, **options, **QUIET)

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def experiment(store: Store, exp_key: Any = "e") -> MongoTrials:
    return MongoTrials(MongoJobs(store), exp_key)
