"""hyperopt's ``fmin`` in dispatch.py, whose workers run beside it.

    python _dispatch_hyperopt.py PORT TRIALS ALGORITHM

It prints the seconds from its first post to its last result.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

from hyperopt import fmin, hp, rand, tpe
from hyperopt.mongoexp import MongoTrials

sys.path.insert(0, str(Path(__file__).parent))
from _dispatch_objective import objective

SPACE = {
    "x": hp.uniform("x", -5, 5),
    "y": hp.uniform("y", -5, 5),
    "rate": hp.loguniform("rate", math.log(1e-5), 0),
    "kind": hp.choice("kind", ["a", "b", "c"]),
    "seconds": 0.0,
}


def main() -> None:
    """Run one experiment."""
    port, trials, algorithm = sys.argv[1:]
    where = f"mongo://127.0.0.1:{port}/dispatch/jobs"
    suggest = {"random": rand.suggest, "tpe": tpe.suggest}[algorithm]
    jobs = MongoTrials(where, exp_key=f"{algorithm}-{time.time()}")
    began = time.monotonic()
    # As many wait as there are workers; by default one.
    fmin(
        objective,
        SPACE,
        suggest,
        int(trials),
        trials=jobs,
        max_queue_len=2,
        show_progressbar=False,
        verbose=False,
    )
    print(time.monotonic() - began)


main()
