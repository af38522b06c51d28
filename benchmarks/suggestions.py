"""Evidence: with 10,000 finished trials, TPE suggests in 7 ms, Optuna's in 56, hyperopt's in 156.

Of 3 hyperparameters, on 2 idle cores, one run. With 100 trials it is 0.9, 2.3 and 4.5 ms.

    make .venv-peers/.installed    # Optuna
    python benchmarks/suggestions.py [--trials 100 1000 5000 10000] [--repeats 8] [--points FILE]

Median milliseconds of one suggestion. All take turns; a turn of the fast ones is 5 suggestions. The
history is the same for all: values drawn at random, and the loss of a bowl with noise. The spaces
are ``classic``, the three hyperparameters of LeNet-5, and ``ten``: three loguniform, three uniform,
two with a step, a randint and a choice.

hyperhive: what the coordinator does for the next trial, after one more has ended: the trial is
taken into the history, and the values are suggested. hyperopt: ``tpe.suggest`` alone, with trials
that it has; ``rebuilt`` is with making these from the history, as the coordinator did before it had
a TPE of its own. Its suggestions are the same. Optuna: ``ask`` of a study in memory, its default
TPESampler (24 candidates, each parameter by itself), in another process.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median
from typing import Any, Callable, Iterator

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.oracle import Hyperopt

from benchmarks._common import PEERS, require_peers
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.history import History
from hyperhive.coordinator.spaces.named import CLASSIC
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import Choice, Node, parameters
from hyperhive.coordinator.suggest import Suggester
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

OPTUNA = PEERS / "bin" / "python"
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
TPE = ("hyperhive", "hyperopt", "rebuilt", "Optuna")
"""The columns that the curve shows too."""
SLOW = ("hyperopt", "rebuilt")
BURST = 5
COLUMNS = ("hyperhive", "hyperopt", "rebuilt", "Optuna", "random", "anneal")
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)

Timed = Callable[[], float]
"""Makes one suggestion, and returns the seconds it took."""


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
        started_at = time.perf_counter()
        history.take(trial)
        suggester.suggest(trial.tid + 1, history.known(history.latest_claim))
        return time.perf_counter() - started_at

    return suggest


def hyperopts(space: Node, seen: list[Observation], is_rebuilt: bool) -> Timed:
    """Return what suggests by hyperopt's TPE."""
    oracle = Hyperopt(space, 0)
    trials = oracle.trials(seen)

    def suggest() -> float:
        started_at = time.perf_counter()
        oracle.suggest("tpe", len(seen), oracle.trials(seen) if is_rebuilt else trials)
        return time.perf_counter() - started_at

    return suggest


@contextlib.contextmanager
def optunas(space: Node, seen: list[Observation], folder: Path) -> Iterator[Timed]:
    """Yield what asks Optuna, in a process of its own."""
    given = folder / "history.json"
    choices = {label: each for label, each in parameters(space).items() if isinstance(each, Choice)}
    trials = [
        [{name: int(v) if name in choices else v for name, v in each.vals.items()}, each.loss]
        for each in seen
    ]
    described = [list(for_optuna(label, each)) for label, each in parameters(space).items()]
    given.write_text(json.dumps({"space": described, "trials": trials}))
    script = Path(__file__).with_name("_suggestions_optuna.py")
    command = [str(OPTUNA), str(script), str(given)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def suggest() -> float:
            asked.write("ask\n")
            asked.flush()
            return float(answers.readline())

        yield suggest
        asked.close()


def for_optuna(label: str, each: Any) -> Iterator[Any]:
    """Yield a parameter's label, kind, low or options, high and step."""
    if isinstance(each, Choice):
        yield from (label, "choice", list(range(len(each.options))), None, None)
    else:
        given = each.arguments
        yield from (label, each.distribution, given["low"], given["high"], given.get("step"))


def measured(space: Node, count: int, repeats: int) -> dict[str, float]:
    """Return the median seconds of a suggestion after so many trials, by column."""
    seen = drawn(space, count)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        timed = {
            "hyperhive": ours("tpe", space, seen, repeats),
            "hyperopt": hyperopts(space, seen, is_rebuilt=False),
            "rebuilt": hyperopts(space, seen, is_rebuilt=True),
            "Optuna": stack.enter_context(optunas(space, seen, folder)),
            "random": ours("random", space, seen, repeats),
            "anneal": ours("anneal", space, seen, repeats),
        }
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        gc.disable()  # as timeit does: it would look through all trials of hyperopt's
        for turn in range(repeats):
            gc.collect()
            for name, suggest in timed.items():
                if name not in SLOW:
                    seconds[name] += [suggest() for _ in range(BURST)]
                elif turn < 3:
                    seconds[name].append(suggest())
        gc.enable()
    return {name: median(each) for name, each in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what a suggestion costs")
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 5000, 10_000])
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--points", type=Path, help="a file for the curve, as JSON")
    options = parser.parse_args()
    require_peers(parser)
    print(f"{'space':8} {'trials':>7}", *(f"{name:>10}" for name in COLUMNS))
    series: dict[str, list[tuple[int, float]]] = {}
    for label, space in SPACES.items():
        for count in options.trials:
            found = measured(space, count, options.repeats)
            cells = (f"{1000 * found[name]:10.2f}" for name in COLUMNS)
            print(f"{label:8} {count:7,}", *cells, flush=True)
            for name in TPE:
                series.setdefault(f"{name}, {label}", []).append((count, 1000 * found[name]))
    if options.points is not None:
        axes = {"title": "One suggestion of TPE", "x": "finished trials", "y": "milliseconds"}
        options.points.write_text(json.dumps({**axes, "series": series}))


if __name__ == "__main__":
    main()
