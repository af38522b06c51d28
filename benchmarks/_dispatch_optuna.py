"""One of Optuna's two processes in dispatch.py: it runs its share of each study that it is told of.

Reads one JSON list a line: storage, study, algorithm, trials, seconds. ``ready`` and, after each,
``done`` are its answers.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

sys.path.insert(0, str(Path(__file__).parent))
from _dispatch_objective import objective

SAMPLERS = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}


def main() -> None:
    """Answer until the input ends."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if sys.argv[1:]:
        optuna.create_study(storage=storage(sys.argv[1]), study_name=sys.argv[2])
        return
    run(optuna.create_study(sampler=SAMPLERS["tpe"]()), 20, 0.0)
    print("ready", flush=True)
    for line in sys.stdin:
        where, name, algorithm, trials, seconds = json.loads(line)
        sampler = SAMPLERS[algorithm](seed=os.getpid())
        study = optuna.load_study(storage=storage(where), study_name=name, sampler=sampler)
        run(study, trials, seconds)
        print("done", flush=True)


def storage(where: str) -> object:
    """Return a journal's storage for the name of its file; SQLite's has a URL."""
    return where if "://" in where else JournalStorage(JournalFileBackend(where))


def run(study: optuna.Study, trials: int, seconds: float) -> None:
    """Run trials of the objective in this process."""

    def suggested(trial: optuna.Trial) -> float:
        config = {
            "x": trial.suggest_float("x", -5, 5),
            "y": trial.suggest_float("y", -5, 5),
            "rate": trial.suggest_float("rate", 1e-5, 1, log=True),
            "kind": trial.suggest_categorical("kind", ["a", "b", "c"]),
            "seconds": seconds,
        }
        return objective(config)

    study.optimize(suggested, n_trials=trials)


main()
