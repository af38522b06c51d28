"""Evidence: refreshing 10,000 unchanged hyperopt trials costs 2 to 3 % of their first load.

Measured with a real mongod on the same machine, with 2 CPU cores.

    python benchmarks/refresh.py [--trials 10000]

``fmin`` refreshes its trials once per second or more often. For trials that have not changed, only
their versions are read, from an index.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bson import ObjectId
from hyperopt.base import JOB_STATE_DONE, STATUS_OK

from hyperhive.common.wording import percent
from hyperhive.mongoexp import MongoJobs, MongoTrials
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.updates import new_life

REFRESHES = 20


def fill(jobs: MongoJobs, exp_key: str, count: int) -> None:
    """Insert finished trials of a space of five hyperparameters."""
    labels = ("learning_rate", "momentum", "weight_decay", "epochs", "batch")
    documents = [
        {
            "_id": ObjectId(),
            "tid": tid,
            "exp_key": exp_key,
            "state": JOB_STATE_DONE,
            "spec": None,
            "result": {"status": STATUS_OK, "loss": tid / count},
            "misc": {
                "tid": tid,
                "cmd": ["domain_attachment", "FMinIter_Domain"],
                "workdir": None,
                "idxs": {label: [tid] for label in labels},
                "vals": {label: [tid / count] for label in labels},
            },
            "owner": "somebody",
            "version": 3,
            "book_time": None,
            "refresh_time": None,
            **new_life(),
        }
        for tid in range(count)
    ]
    with jobs.store.guard():
        jobs.jobs.insert_many(documents)


def measure(jobs: MongoJobs, exp_key: str) -> tuple[float, float]:
    """Return the median seconds of a first load, and of a refresh without changes."""
    loads, refreshes = [], []
    for _ in range(5):
        started_at = time.perf_counter()
        trials = MongoTrials(jobs, exp_key)
        loads.append(time.perf_counter() - started_at)
    for _ in range(REFRESHES):
        started_at = time.perf_counter()
        trials.refresh()
        refreshes.append(time.perf_counter() - started_at)
    return median(loads), median(refreshes)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what refreshing unchanged hyperopt trials costs")
    parser.add_argument("--trials", type=int, default=10_000)
    count = parser.parse_args().trials
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        uri = stack.enter_context(embedded_server(folder / "mongo"))
        jobs = MongoJobs(stack.enter_context(Store(uri)))
        jobs.create_indexes()
        fill(jobs, "refresh", count)
        load, refresh = measure(jobs, "refresh")
    print(f"{count:,} trials: first load {1000 * load:.0f} ms, ", end="")
    print(f"refresh {1000 * refresh:.1f} ms, {percent(refresh / load)} of it")


if __name__ == "__main__":
    main()
