"""Asks Optuna's TPE for suggestions: benchmarks/suggestions.py runs it with the peers' Python.

    .venv-peers/bin/python benchmarks/_suggestions_optuna.py HISTORY.json

HISTORY.json has the space, ``[label, kind, low or options, high, step]`` for each parameter, and
the trials, ``[values by label, loss]``. For each line on standard input it asks once, and writes
the seconds that this took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


def distribution(kind: str, low: Any, high: Any, step: Any) -> BaseDistribution:
    """Return Optuna's distribution for one of ours."""
    if kind == "choice":
        return CategoricalDistribution(low)
    if kind == "randint":
        return IntDistribution(low, high - 1)
    return FloatDistribution(low, high, log=kind == "loguniform", step=step)


def main() -> None:
    """Fill a study in memory, then answer."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    given = json.loads(Path(sys.argv[1]).read_text())
    space = {label: distribution(*rest) for label, *rest in given["space"]}
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.add_trials(
        optuna.trial.create_trial(params=params, distributions=space, value=loss)
        for params, loss in given["trials"]
    )
    for _ in sys.stdin:
        started_at = time.perf_counter()
        trial = study.ask(space)
        print(time.perf_counter() - started_at, flush=True)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)


if __name__ == "__main__":
    main()
