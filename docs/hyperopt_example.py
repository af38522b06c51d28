"""The examples of hyperopt's README and of its MongoDB page on hyperhive; only an import differs.

    python docs/hyperopt_example.py

It starts hyperhive's private MongoDB and two workers on this machine, with the option that lets
them run hyperopt's jobs. For a server of your own, use its address instead of ``uri``.
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from typing import Any, Iterator

from hyperopt import fmin, hp, space_eval, tpe

from hyperhive.mongoexp import MongoTrials  # was: from hyperopt.mongoexp import MongoTrials
from hyperhive.store.server.embedded import embedded_server


def the_readmes(uri: str) -> None:
    """Run the example of hyperopt's README, with trials that are stored."""

    # define an objective function
    def objective(args: Any) -> Any:
        case, val = args
        if case == "case 1":
            return val
        else:  # noqa: RET505  (as the README has it)
            return val**2

    # define a search space
    space = hp.choice(
        "a", [("case 1", 1 + hp.lognormal("c1", 0, 1)), ("case 2", hp.uniform("c2", -10, 10))]
    )

    # minimize the objective over the space
    trials = MongoTrials(uri, exp_key="readme")
    best = fmin(
        objective,
        space,
        algo=tpe.suggest,
        max_evals=100,
        trials=trials,
        max_queue_len=10,  # 10 jobs wait at once; with only 1, one of two workers would be idle
        show_progressbar=False,
    )
    print("README: best is", best, "which is", space_eval(space, best))


def the_mongodb_pages(uri: str) -> None:
    """Run the example of hyperopt's page on MongoDB."""
    trials = MongoTrials(uri, exp_key="exp1")
    best = fmin(
        math.sin,
        hp.uniform("x", -2, 2),
        trials=trials,
        algo=tpe.suggest,
        max_evals=10,
        show_progressbar=False,
    )
    print("MongoDB page: best is", best)
    workers = {trial["owner"] for trial in MongoTrials(uri).trials}
    print(f"{len(MongoTrials(uri))} trials, run by {len(workers)} workers")


@contextlib.contextmanager
def two_workers(uri: str) -> Iterator[None]:
    """Run two worker processes while the context is open."""
    command = [sys.executable, "-m", "hyperhive", "worker", "--allow-pickled-objectives"]
    started = [
        subprocess.Popen(
            [*command, "--device", "cpu", "--slots", "1"],
            env={**os.environ, "HYPERHIVE_MONGO": uri},
        )
        for _ in range(2)
    ]
    try:
        yield
    finally:
        for worker in started:
            worker.terminate()
        for worker in started:
            worker.wait()


if __name__ == "__main__":
    with embedded_server() as uri, two_workers(uri):
        the_readmes(uri)
        the_mongodb_pages(uri)
