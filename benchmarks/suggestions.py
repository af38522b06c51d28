"""Evidence: with 100 finished trials, ``gp`` suggests in 24 ms, Optuna's in 142; with 500 in 116.

With 10,000 finished trials ``tpe`` suggests in 8 ms, Optuna's TPE in 71, hyperopt's in 154. Of 3
hyperparameters, on one core of two that also did other work, one run.

    python benchmarks/suggestions.py [--trials 100 500 1000 10000] [--repeats 3] [--points FILE]
                                     [--algorithms NAME ...]

Median milliseconds of one suggestion, of the processor's time on one core: another program on the
machine changes little. All take turns; a turn of the fast ones is 5 suggestions. The
history is the same for all: values drawn at random, and the loss of a bowl with noise. The spaces
are ``classic``, the three hyperparameters of LeNet-5, and ``ten``: three loguniform, three uniform,
two with a step, a randint and a choice.

By its name, an algorithm is what the coordinator does for the next trial, after one more has ended:
the trial is taken into the history, and the values are suggested. Those of others, as
``hyperopt:hyperopt.tpe.suggest``, get the history in their own form each time.
"hyperopt's TPE" is ``tpe.suggest`` alone, with trials that it has. "Optuna's TPE" and "Optuna's GP"
are ``ask`` of a study in memory that has the trials, with TPESampler and GPSampler as they are by
default; the latter only for up to 500 trials, as it takes seconds.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median
from typing import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch: one core
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.oracle import Hyperopt

from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.algorithms.plugged.samplers import ask, study_of
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.history import History
from hyperhive.coordinator.spaces.named import CLASSIC
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import Node
from hyperhive.coordinator.suggest import OWN, Suggester, use
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

RATE = {"distribution": "loguniform", "low": 1e-5, "high": 1.0}
SHARE = {"distribution": "uniform", "low": 0.0, "high": 1.0}
UNITS = {"distribution": "quniform", "low": 16, "high": 256, "step": 16}
TEN = parse(
    {
        **{f"rate{i}": RATE for i in range(3)},
        **{f"share{i}": SHARE for i in range(3)},
        **{f"units{i}": UNITS for i in range(2)},
        "layers": {"distribution": "randint", "low": 1, "high": 8},
        "kind": {"choices": ["a", "b", "c"]},
    }
)
SPACES = {"classic": CLASSIC, "ten": TEN}
OTHERS = ("hyperopt:hyperopt.tpe.suggest", "optuna:TPESampler")
THEIRS = {"hyperopt's TPE": None, "Optuna's TPE": "TPESampler", "Optuna's GP": "GPSampler"}
"""What is measured without hyperhive, and the sampler of Optuna that it is."""
FEW = ("Optuna's GP",)
"""Measured only for up to ``MOST_OF_FEW`` trials."""
MOST_OF_FEW = 500
CURVES = {"tpe": "hyperhive", "hyperopt's TPE": "hyperopt", "Optuna's TPE": "Optuna"}
"""What the curve shows, and under which name."""
BURST = 5
SLOW_S = 0.05
"""What takes longer is not measured in bursts, and only in ``TURNS_IF_SLOW`` turns."""
TURNS_IF_SLOW = 3
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)

Timed = Callable[[], float]
"""Makes one suggestion, and returns the seconds that it took of the processor."""


def drawn(space: Node, count: int) -> list[Observation]:
    """Return trials with random values; the losses are those of a bowl, with noise."""
    suggester, nothing = Suggester("random", space, 0, 1), Known(space)
    noise = np.random.default_rng(0)
    history = []
    for tid in range(count):
        vals = suggester.suggest(tid, nothing)
        bowl = sum((value - 0.3) ** 2 / (1 + value**2) for value in vals.values())
        history.append(Observation(tid, vals, float(bowl + noise.normal(0, 0.1))))
    return history


def as_trial(seen: Observation) -> Trial:
    """Return a trial as the coordinator reads it: claimed and ended, one second after another."""
    at = NOON + timedelta(seconds=seen.tid)
    return Trial.from_document(
        {
            "_id": seen.tid,
            "tid": seen.tid,
            "exp_key": "s",
            "state": int(Status.DONE),
            "misc": {"vals": {label: [value] for label, value in seen.vals.items()}},
            "issued": [{"at": at}],
            "refresh_time": at + timedelta(milliseconds=500),
            "result": {"loss": seen.loss},
        }
    )


def ours(algorithm: str, space: Node, seen: list[Observation], repeats: int) -> Timed:
    """Return what suggests after one more of these trials each time."""
    history, suggester = History(space), Suggester(algorithm, space, 0, 1)
    trials = [as_trial(each) for each in seen]
    for trial in trials[: -BURST * repeats]:
        history.take(trial)
    history.known(history.latest_claim)
    following = iter(trials[-BURST * repeats :])

    def suggest() -> float:
        trial = next(following)
        started_at = time.process_time()
        history.take(trial)
        suggester.suggest(trial.tid + 1, history.known(history.latest_claim))
        return time.process_time() - started_at

    return suggest


def hyperopts(space: Node, seen: list[Observation]) -> Timed:
    """Return what suggests by hyperopt's TPE, with trials that it has."""
    oracle = Hyperopt(space, 0)
    trials = oracle.trials(seen)

    def suggest() -> float:
        started_at = time.process_time()
        oracle.suggest("tpe", len(seen), trials)
        return time.process_time() - started_at

    return suggest


def optunas(sampler: str, space: Node, seen: list[Observation]) -> Timed:
    """Return what asks a study of Optuna's that has the trials."""
    variables = variables_of(space)
    study = study_of(sampler, variables, Known(space, seen), 0)

    def suggest() -> float:
        started_at = time.process_time()
        trial, _ = ask(study, variables)
        seconds = time.process_time() - started_at
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return seconds

    return suggest


def made(name: str, space: Node, seen: list[Observation], repeats: int) -> Timed:
    """Return what makes the suggestions of a row of the table."""
    if name not in THEIRS:
        use(name)
        return ours(name, space, seen, repeats)
    sampler = THEIRS[name]
    return hyperopts(space, seen) if sampler is None else optunas(sampler, space, seen)


def measured(names: list[str], space: Node, count: int, repeats: int) -> dict[str, float]:
    """Return the median seconds of a suggestion after so many trials, by name."""
    seen = drawn(space, count)
    shown = [name for name in names if name not in FEW or count <= MOST_OF_FEW]
    timed = {name: made(name, space, seen, repeats) for name in shown}
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    gc.disable()  # as timeit does: it would look through all trials of hyperopt's
    for turn in range(repeats):
        gc.collect()
        for name, suggest in timed.items():
            is_slow = turn > 0 and median(seconds[name]) > SLOW_S
            if not is_slow:
                seconds[name] += [suggest() for _ in range(BURST if turn else 1)]
            elif turn < TURNS_IF_SLOW:
                seconds[name].append(suggest())
    gc.enable()
    return {name: median(each) for name, each in seconds.items()}


def main() -> None:
    """Measure and print."""
    names = [*OWN, *OTHERS, *THEIRS]
    parser = argparse.ArgumentParser(description="what a suggestion costs")
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 500, 1000, 10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--algorithms", nargs="+", default=names, metavar="NAME")
    parser.add_argument("--points", type=Path, help="a file for the curve, as JSON")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    width = max(map(len, options.algorithms))
    series: dict[str, list[tuple[int, float]]] = {}
    for label, space in SPACES.items():
        print(f"{label:{width}}", *(f"{count:>9,}" for count in options.trials))
        found = [measured(options.algorithms, space, n, options.repeats) for n in options.trials]
        for name in options.algorithms:
            cells = [f"{1000 * each[name]:9.2f}" if name in each else f"{'-':>9}" for each in found]
            print(f"{name:{width}}", *cells, flush=True)
        for name, shown in CURVES.items():
            pairs = zip(options.trials, found)
            series[f"{shown}, {label}"] = [(n, 1000 * of[name]) for n, of in pairs if name in of]
    if options.points is not None:
        axes = {"title": "One suggestion of TPE", "x": "finished trials", "y": "milliseconds"}
        options.points.write_text(json.dumps({**axes, "series": series}))


if __name__ == "__main__":
    main()
